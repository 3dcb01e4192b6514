"""The values of presence, which workers write and edges read, and the stored layout of an answer."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.core.presence import Name, Resolution, Source, UserId
from relay.core.reading.ordering import Order
from relay.core.revision import Epoch, Revision
from relay.store.presence import entries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_HEAD: Final = struct.Struct(">QIIQBB")
"""Head of a stored answer: revision (ms, sequence), fencing token, poll, source, length of the sequence number. The same as
in `_layout.lua`."""
_MAX_SEQUENCE_BYTES: Final = 255
_RESTARTS: Final = 3
"""Replaces the source in the call of the script; never stored."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One user's new answer, encoded."""

    user_id: UserId
    item: bytes
    """The encoded answer for suites; not interpreted here."""
    order: Order
    sequence_number: str = ""
    """Empty if there is none. More than 255 bytes are treated as none."""
    source: Source = Source.POLL
    restarts: bool = False
    """True if sequence numbers restarted: the order of polls decides, even if the number is lower."""


@dataclass(frozen=True, slots=True)
class KeptContact:
    """A stored contact, for readers that were not connected when it was written."""

    contact: entries.TenantContact
    ago_s: float
    """Seconds since the store wrote it, by the store's clock."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of `Presences.accept`."""

    stored: Mapping[UserId, Revision]
    """User -> revision. Of several calls, the last one to run has the greatest revision, in whichever order replies
    arrive."""
    refused: frozenset[UserId]
    """Users whose answers were not newer than the stored ones."""

    @property
    def revision(self) -> Revision | None:
        """Revision of the last entry of `changes`; None when nothing was stored."""
        return max(self.stored.values(), default=None)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One user's answer as it is stored."""

    revision: Revision
    order: Order
    sequence_number: str
    source: Source
    item: bytes


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """The stored resolution of a name, and the time after which it is resolved again."""

    outcome: Resolution
    expires: datetime


@dataclass(frozen=True, slots=True)
class PartitionHistory:
    """The history of one partition on its node."""

    epoch: Epoch | None
    """The identity of its `changes`; None when it never had an owner."""
    last: Revision
    """The newest entry of its `changes`; START when there is none."""
    replid: str
    """The data history of its node; see `ServerIdentity`."""


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """All stored data on some names, as a consistent snapshot."""

    last: Revision
    """The newest entry of the partition's `changes` at that time; START if there was none."""
    epoch: Epoch | None
    """None when the partition never had an owner."""
    replid: str
    """The server's data history; see `ServerIdentity`."""
    names: dict[Name, Resolution]
    """Unknown names are absent."""
    answers: dict[UserId, tuple[Revision, bytes]]
    """Revision and item; users without an answer are absent."""
    is_held_back: bool = False
    """True while a changed watching permission is not enforced yet: `answers` is then empty."""


def unpack(value: bytes) -> StoredAnswer:
    """Read a stored answer from its bytes."""
    ms, number, fence, poll, source, length = _HEAD.unpack_from(value)
    end = _HEAD.size + length
    sequence = value[_HEAD.size : end].decode()
    return StoredAnswer(Revision(ms << 64 | number), Order(fence, poll), sequence, Source(source), value[end:])


def revision_and_item(value: bytes) -> tuple[Revision, bytes]:
    """Read the revision and the item of a stored answer from its bytes."""
    ms, number, _, _, _, length = _HEAD.unpack_from(value)
    return Revision(ms << 64 | number), value[_HEAD.size + length :]


def pack(answer: Observed) -> bytes:
    """Return an observed answer in the stored layout, its revision zero."""
    sequence = answer.sequence_number.encode()
    if len(sequence) > _MAX_SEQUENCE_BYTES:
        sequence = b""
    source = _RESTARTS if answer.restarts else answer.source
    head = _HEAD.pack(0, 0, answer.order.fence, answer.order.poll, source, len(sequence))
    return head + sequence + answer.item
