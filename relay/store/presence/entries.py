"""The entries of `changes`, and their stored form.

An entry is a flat list of fields, so that the script that accepts answers can omit single answers:

    p <id of the entry before>  a <tenant id>  (<user id> <item>)...            answers; a trace may follow the first `p`
    p <id of the entry before>  n <tenant id>  (<name> <outcome>)...            resolved names
    p <id of the entry before>  c ""           (<tenant id> <contact>)...       contact
    p <id of the entry before>  e <tenant id>  k <key id, or empty>             a suite key or the tenant has ended
    p <id of the entry before>  q <tenant id>  <request id> <user id> <name>... a question: which suites watch this user, or these names

An outcome is `u<user id>` or `s<status number>`; a contact is `<contact ms, or 0> <interval ms> <status number> <beat ms> <said ms>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from relay.core.presence import Name, Resolution, Status, TenantId, UserId
from relay.core.revision import Revision

if TYPE_CHECKING:
    from collections.abc import Callable


class TenantContact(msgspec.Struct, frozen=True, gc=False):
    """The freshness of the relay's data on a tenant."""

    tenant_id: TenantId
    contact_ms: int
    """Contact time in ms since 1970, UTC; 0 when there was none yet."""
    interval_ms: int
    status: Status
    """NONE if there is no problem."""
    beat_ms: int = 0
    """Time within which the worker writes the contact again, even if unchanged; 0: no such promise."""
    said_ms: int = 0
    """Time at which the worker wrote this, by the clock of the contact time; 0: written by an earlier release."""

    def said_at(self, said_ms: int) -> TenantContact:
        """Return the same contact with this time of writing."""
        return msgspec.structs.replace(self, said_ms=said_ms)

    @property
    def age_s(self) -> float:
        """Age of the contact time when the worker wrote this, in seconds; 0 if not known."""
        return max(0, self.said_ms - self.contact_ms) / 1000 if self.contact_ms and self.said_ms else 0.0


class ChangedAnswers(msgspec.Struct, frozen=True, gc=False):
    """Answers that changed, each with its encoded item. Their revision is the entry's."""

    revision: Revision
    previous: Revision
    gap: bool
    tenant_id: TenantId
    answers: list[tuple[UserId, bytes]]
    trace: bytes = b""
    """The trace context of the write (see `ops.span`); empty without a trace."""


class ChangedNames(msgspec.Struct, frozen=True, gc=False):
    """Names that resolve to another user or status than before."""

    revision: Revision
    previous: Revision
    gap: bool
    tenant_id: TenantId
    names: list[tuple[Name, Resolution]]


class ChangedContact(msgspec.Struct, frozen=True, gc=False):
    """Contact of some of the partition's tenants."""

    revision: Revision
    previous: Revision
    gap: bool
    contacts: list[TenantContact]


class EndedAccess(msgspec.Struct, frozen=True, gc=False):
    """A suite key was revoked, or (`key_id` empty) a tenant removed: its open streams must end."""

    revision: Revision
    previous: Revision
    gap: bool
    tenant_id: TenantId
    key_id: str


class WatcherQuestion(msgspec.Struct, frozen=True, gc=False):
    """A question which suites watch a user; see `explanations`."""

    revision: Revision
    previous: Revision
    gap: bool
    tenant_id: TenantId
    request_id: str
    user_id: UserId | None
    names: tuple[Name, ...]


class UnknownEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry that this release cannot read."""

    revision: Revision
    previous: Revision
    gap: bool


ChangesEntry = ChangedAnswers | ChangedNames | ChangedContact | EndedAccess | WatcherQuestion | UnknownEntry
"""`revision` is the entry's id, `previous` the id of the entry before it. `gap` is True if the reader missed entries in
between."""


def parse_id(entry_id: bytes) -> Revision:
    """Return a stream id as a revision. Unchecked, because the fan-out calls it in its inner loop."""
    ms, _, sequence = entry_id.partition(b"-")
    return Revision(int(ms) << 64 | int(sequence))


def parse(entry_id: bytes, fields: list[bytes], position: Revision) -> ChangesEntry:
    """Read one entry for a reader that was at `position`."""
    revision = parse_id(entry_id)
    try:
        previous = parse_id(fields[1])
        gap = previous != position
        return _READERS[fields[2]](revision, previous, gap, fields)
    except (KeyError, IndexError, ValueError):
        return UnknownEntry(revision, position, gap=True)


def _answers(revision: Revision, previous: Revision, gap: bool, fields: list[bytes]) -> ChangesEntry:  # noqa: FBT001
    ids = [field.decode() for field in fields[4::2]]
    answers = list(zip(ids, fields[5::2]))  # noqa: B905
    # Earlier releases use the position of this field, not its name, so they can read entries with a trace.
    return ChangedAnswers(revision, previous, gap, TenantId(fields[3].decode()), answers, fields[0][1:])  # type: ignore[arg-type]


def _names(revision: Revision, previous: Revision, gap: bool, fields: list[bytes]) -> ChangesEntry:  # noqa: FBT001
    names = [(Name(fields[i].decode()), parse_resolution(fields[i + 1])) for i in range(4, len(fields), 2)]
    return ChangedNames(revision, previous, gap, TenantId(fields[3].decode()), names)


def _contact(revision: Revision, previous: Revision, gap: bool, fields: list[bytes]) -> ChangesEntry:  # noqa: FBT001
    contacts = [contact(TenantId(fields[i].decode()), fields[i + 1]) for i in range(4, len(fields), 2)]
    return ChangedContact(revision, previous, gap, contacts)


def _ended(revision: Revision, previous: Revision, gap: bool, fields: list[bytes]) -> ChangesEntry:  # noqa: FBT001
    return EndedAccess(revision, previous, gap, TenantId(fields[3].decode()), fields[5].decode())


def _asked(revision: Revision, previous: Revision, gap: bool, fields: list[bytes]) -> ChangesEntry:  # noqa: FBT001
    user, names = fields[5].decode(), tuple(Name(field.decode()) for field in fields[6:] if field)
    return WatcherQuestion(
        revision, previous, gap, TenantId(fields[3].decode()), fields[4].decode(), UserId(user) if user else None, names
    )


_READERS: dict[bytes, Callable[[Revision, Revision, bool, list[bytes]], ChangesEntry]] = {
    b"a": _answers,
    b"n": _names,
    b"c": _contact,
    b"e": _ended,
    b"q": _asked,
}


def parse_resolution(text: bytes) -> Resolution:
    """Return the resolution of a name from its stored form. A status of a later release becomes PENDING."""
    if text[:1] == b"u":
        return UserId(text[1:].decode())
    number = int(text[1:])
    return Status(number) if number in Status._value2member_map_ else Status.PENDING


def render_resolution(value: Resolution) -> bytes:
    """Return the stored form of a resolution."""
    return b"s%d" % value if isinstance(value, Status) else b"u" + value.encode()


def contact(tenant_id: TenantId, text: bytes) -> TenantContact:
    """Return a tenant's contact from its stored form. A status of a later release becomes STALE."""
    contact_ms, interval_ms, number, *later = (int(part) for part in text.split())
    status = Status(number) if number in Status._value2member_map_ else Status.STALE
    return TenantContact(tenant_id, contact_ms, interval_ms, status, *later[:2])


def render_contact(value: TenantContact) -> bytes:
    """Return the stored form of a tenant's contact."""
    return b"%d %d %d %d %d" % (value.contact_ms, value.interval_ms, value.status, value.beat_ms, value.said_ms)


def kept_at(text: bytes) -> int | None:
    """Return when the store wrote a contact, in ms since 1970 by its clock; None if an earlier release wrote it."""
    parts = text.split()
    return int(parts[5]) if len(parts) > 5 else None


def pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    """Return a flat reply as pairs."""
    return list(zip(flat[::2], flat[1::2], strict=True))
