"""Positions in a partition's `changes`, the identity of that sequence, and the resume token that carries both to a suite."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import Final, NewType

from relay.core.presence import TenantId

Revision = NewType("Revision", int)
"""A position: the id of a stream entry, milliseconds << 64 | sequence, so that revisions compare as numbers."""

Epoch = NewType("Epoch", str)
"""The identity of a partition's `changes`; a new one means that history was lost. Compared for equality only."""

START: Final = Revision(0)
"""The position before every entry."""

_SEQUENCE_BITS: Final = 64
_SEQUENCE_MASK: Final = (1 << _SEQUENCE_BITS) - 1

_FORMAT: Final = 1
_HEAD: Final = struct.Struct("!B16sQQB")
_CHECK: Final = struct.Struct("!I")
MAX_TOKEN_CHARS: Final = 512
"""Longer texts are refused unread: a token has about 120 characters."""


def parse(entry_id: bytes) -> Revision:
    """Return the revision that a stream id (`b"1700000000000-3"`) stands for.

    Raises:
        ValueError: `entry_id` is not a stream id.
    """
    ms, _, sequence = entry_id.partition(b"-")
    return Revision(int(ms) << _SEQUENCE_BITS | int(sequence or 0))


def render(revision: Revision) -> bytes:
    """Return the stream id of a revision; the inverse of `parse`."""
    return b"%d-%d" % (revision >> _SEQUENCE_BITS, revision & _SEQUENCE_MASK)


def epoch_in(history: str, random: str) -> Epoch:
    """Return an epoch of a server's history (`master_replid`). Suites see it in resume tokens, so it hides the id.

    Scripts compute the same value (see accept.lua), and have no other hash. 160 random bits of a replication id cannot
    be guessed.
    """
    digest = hashlib.sha1(f"{random}.{history}".encode(), usedforsecurity=False).hexdigest()
    return Epoch(f"{random}.{digest}")


def is_of(epoch: Epoch, history: str) -> bool:
    """Return True if an epoch was declared in this history."""
    return epoch == epoch_in(history, epoch.partition(".")[0])


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """The position up to which a suite has seen a tenant's presence: up to and including `revision` of `epoch`."""

    tenant_id: TenantId
    epoch: Epoch
    revision: Revision

    def encode(self) -> str:
        """Return the token as text, opaque to suites.

        The token contains nothing secret and is not signed. A forged token harms only the suite that forged it, because
        the suite key alone decides what a suite may see.
        """
        epoch = self.epoch.encode()
        head = _HEAD.pack(
            _FORMAT,
            uuid.UUID(self.tenant_id).bytes,
            self.revision >> _SEQUENCE_BITS,
            self.revision & _SEQUENCE_MASK,
            len(epoch),
        )
        body = head + epoch
        return base64.urlsafe_b64encode(body + _CHECK.pack(zlib.crc32(body))).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> ResumeToken | None:
        """Return the token that `text` is, or None when it cannot be read (garbage, cut short, or of another format)."""
        if len(text) > MAX_TOKEN_CHARS:
            return None
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            body, check = raw[: -_CHECK.size], raw[-_CHECK.size :]
            version, tenant, ms, sequence, epoch_bytes = _HEAD.unpack_from(body)
            epoch = body[_HEAD.size :].decode("ascii")
        except (binascii.Error, struct.error, UnicodeError):
            return None
        if version != _FORMAT or len(epoch) != epoch_bytes or _CHECK.pack(zlib.crc32(body)) != check:
            return None
        revision = Revision(ms << _SEQUENCE_BITS | sequence)
        return cls(TenantId(str(uuid.UUID(bytes=tenant))), Epoch(epoch), revision)
