"""The values of presence as workers write them and edges read them, and the stored layout of an answer."""

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
"""Used instead of the source, only on the way to the script."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One user's new answer, encoded."""

    user_id: UserId
    item: bytes
    """The encoded answer that suites receive; opaque here."""
    order: Order
    sequence_number: str = ""
    """Empty when there is none. One of more than 255 bytes is treated as none."""
    source: Source = Source.POLL
    restarts: bool = False
    """True when sequence numbers have begun again: the order of polls decides, although the number is less."""


@dataclass(frozen=True, slots=True)
class KeptContact:
    """A contact as the store keeps it for those who were not there when it came."""

    contact: entries.TenantContact
    ago_s: float
    """Seconds since the store took it in, by the store's own clock."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of `Presences.accept`."""

    stored: Mapping[UserId, Revision]
    """User -> revision. Of several calls, the one that was carried out last has the greatest one, whichever reply comes first."""
    refused: frozenset[UserId]
    """Not newer than what is stored."""

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
    """The stored meaning of a name, and the time until which it need not be asked again."""

    outcome: Resolution
    expires: datetime


@dataclass(frozen=True, slots=True)
class PartitionHistory:
    """The history of one partition, as its node has it."""

    epoch: Epoch | None
    """The identity of its `changes`; None when it never had an owner."""
    last: Revision
    """The newest entry of its `changes`; START when there is none."""
    replid: str
    """The history that its node has; see `ServerIdentity`."""


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """Everything known of some names, all of one instant."""

    last: Revision
    """The newest entry of the partition's `changes` then; START when there was none."""
    epoch: Epoch | None
    """None when the partition never had an owner."""
    replid: str
    """The history that the server itself has; see `ServerIdentity`."""
    names: dict[Name, Resolution]
    """Names that are not known are absent."""
    answers: dict[UserId, tuple[Revision, bytes]]
    """Revision and item; users without an answer are absent."""
    is_held_back: bool = False
    """True while a change of who can be watched is not carried out: no answers are given, whatever is stored."""


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
