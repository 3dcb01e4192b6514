"""The events of the audit log: changes of custody with their author, and suites that watched users.

The tenant's people read the log. It contains no secret (no token, no suite key, no personal value of a setting) and no
presence: it records that a user was watched, never the presence that a suite saw. The store adds the time of each
entry.

    deeds     a grant, a suite key, a setting or the tenant itself was changed; each is written in the same step as the change
    watches   a suite watched some users from one time to another
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from datetime import datetime

MAX_TEXT_CHARS: Final = 320
"""Longest text: a UPN or a name as suites give them. A longer text is cut."""
MAX_USERS: Final = 100
"""Users in one entry; more users take several entries."""
MAX_DETAILS: Final = 40
"""Details of one entry. There are fewer settings than this."""


class EventKind(enum.StrEnum):
    """The kind of an event; the store and the export use these values."""

    TENANT_ADMITTED = "tenant-admitted"
    """A consent made the organisation a tenant."""
    TENANT_APPLIED = "tenant-applied"
    """The tenant signed up; the operator has not decided."""
    TENANT_APPROVED = "tenant-approved"
    """The operator approved the tenant."""
    TENANT_SUSPENDED = "tenant-suspended"
    """The operator suspended the tenant: the relay reads nothing for it."""
    TENANT_RESUMED = "tenant-resumed"
    """The operator resumed the tenant: the relay reads for it again."""
    TENANT_LEFT = "tenant-left"
    """The tenant left, or the operator removed it; its consents and suite keys were deleted."""
    TENANT_RESTORED = "tenant-restored"
    """The operator restored the tenant from a backup."""
    GRANT_ADDED = "grant-added"
    """An account's consent was stored; the relay reads with it."""
    GRANT_REPLACED = "grant-replaced"
    """A new consent replaced the earlier consent of the same account."""
    GRANT_WITHDRAWN = "grant-withdrawn"
    """An account's consent was deleted."""
    KEY_MADE = "key-made"
    """A suite key was made."""
    KEY_ROTATED = "key-rotated"
    """A new key was made to replace an old one. The end of the old key is a separate `KEY_REVOKED`."""
    KEY_REVOKED = "key-revoked"
    """A suite key no longer works."""
    KEY_RENAMED = "key-renamed"
    """A suite key has a new label."""
    SETTINGS_CHANGED = "settings-changed"
    """Settings of the organisation changed. Personal values are left out."""
    CONTACT_CHANGED = "contact-changed"
    """The organisation's contact changed. Both names are left out."""
    MANAGER_ADDED = "manager-added"
    """An account became a manager of the tenant."""
    MANAGER_REMOVED = "manager-removed"
    """An account is no longer a manager of the tenant."""
    ACCESS_ASKED = "access-asked"
    """An account asks to read for the tenant; a manager decides."""
    ACCESS_REFUSED = "access-refused"
    """A manager refused an account that asked to read for the tenant; its consent was deleted."""
    ACCESS_WITHDRAWN = "access-withdrawn"
    """The request was withdrawn by the person who made it."""
    WATCH_BEGAN = "watch-began"
    """A suite began to watch `users`, at `since`."""
    WATCHED = "watched"
    """A suite watched `users`, from `since` to `until`; recorded at the end."""


WATCHES: Final = frozenset({EventKind.WATCH_BEGAN, EventKind.WATCHED})
"""The kinds that record watching; all others are deeds."""


class ActorKind(enum.StrEnum):
    """The kind of an event's author."""

    ACCOUNT = "account"
    OPERATOR = "operator"
    SUITE = "suite"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of an event. Made with `account`, `suite`, or one of `OPERATOR` and `RELAY`."""

    kind: ActorKind
    id: str = ""
    """An account's object id, a suite's key id."""
    name: str = ""
    """An account's UPN, a suite's label."""

    @classmethod
    def account(cls, upn: str, account_id: str) -> Self:
        """Return an account that signed in with Microsoft."""
        return cls(ActorKind.ACCOUNT, cut(account_id), cut(upn))

    @classmethod
    def operator(cls, name: str, account_id: str = "") -> Self:
        """Return an operator who signed in to the console; the id is empty for one who has only a trial's token."""
        return cls(ActorKind.OPERATOR, cut(account_id), cut(name))

    @property
    def for_tenants(self) -> Actor:
        """The author as a tenant's people see it, without the names of the operator's employees."""
        return OPERATOR if self.kind is ActorKind.OPERATOR else self

    @classmethod
    def suite(cls, key_id: str, label: str) -> Self:
        """Return a suite, by its key."""
        return cls(ActorKind.SUITE, cut(key_id), cut(label))


OPERATOR: Final = Actor(ActorKind.OPERATOR)
"""An operator without a name: a person who runs commands. The log cannot distinguish such persons."""
RELAY: Final = Actor(ActorKind.RELAY)
"""The relay, when no person or suite caused the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event. Make it with the functions below, which limit its size."""

    kind: EventKind
    by: Actor
    subject_id: str = ""
    """The thing changed: a grant's account id, a suite key's id."""
    subject: str = ""
    """The name of that thing, for people: a UPN, a label."""
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Further details for a reader: a setting -> `old -> new`, or `changed` where its value is personal."""
    users: tuple[str, ...] = ()
    """The users that a suite watched, by the names that it used; at most `MAX_USERS`."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry in the log, with its id and time."""

    id: str
    time: datetime
    """The time of writing, by the store's clock."""
    entry: Entry


def grant_added(by: Actor, account_id: str, upn: str) -> Entry:
    """Return the event of a new grant. The store turns it into `GRANT_REPLACED` when the account already had a grant."""
    return _entry(EventKind.GRANT_ADDED, by, account_id, upn)


def grant_withdrawn(by: Actor, account_id: str, upn: str) -> Entry:
    """Return the event of a deleted grant."""
    return _entry(EventKind.GRANT_WITHDRAWN, by, account_id, upn)


def key_made(by: Actor, label: str) -> Entry:
    """Return the event of a new suite key; the store fills in the key's id."""
    return _entry(EventKind.KEY_MADE, by, "", label)


def key_rotated(by: Actor, label: str, former_key_id: str) -> Entry:
    """Return the event of a suite key that replaces another; the store fills in the new key's id."""
    return _entry(EventKind.KEY_ROTATED, by, "", label, {"takes the place of": former_key_id})


def key_revoked(by: Actor, key_id: str, label: str) -> Entry:
    """Return the event of a revoked suite key."""
    return _entry(EventKind.KEY_REVOKED, by, key_id, label)


def key_renamed(by: Actor, key_id: str, before: str, label: str) -> Entry:
    """Return the event of a renamed suite key."""
    return _entry(EventKind.KEY_RENAMED, by, key_id, label, {"formerly": before})


def settings_changed(
    by: Actor, before: Mapping[str, str], after: Mapping[str, str], shown: Container[str] = ()
) -> Entry | None:
    """Return the event of changed settings; None when no value changed.

    Args:
        by: the author of the change.
        before: setting -> value, before the change.
        after: setting -> value, after the change.
        shown: the settings whose values are not personal. For other settings the entry says only that they changed.
    """
    details = changes(before, after, shown)
    return _entry(EventKind.SETTINGS_CHANGED, by, "", "", details) if details else None


def contact_changed(by: Actor) -> Entry:
    """Return the event of a new contact. Both persons' names are personal and stay out of the log."""
    return _entry(EventKind.CONTACT_CHANGED, by, "", "")


def manager_added(by: Actor, account_id: str, upn: str, origin: str = "") -> Entry:
    """Return the event of a new manager; `origin` gives the reason when no person added the account."""
    return _entry(EventKind.MANAGER_ADDED, by, account_id, upn, {"as": origin} if origin else {})


def manager_removed(by: Actor, account_id: str, upn: str) -> Entry:
    """Return the event of a manager whose role ended."""
    return _entry(EventKind.MANAGER_REMOVED, by, account_id, upn)


def access_asked(by: Actor) -> Entry:
    """Return the event of a request for access: a consent that a manager has to accept."""
    return _entry(EventKind.ACCESS_ASKED, by, by.id, by.name)


def access_refused(by: Actor, account_id: str, upn: str) -> Entry:
    """Return the event of a refused request, whose consent is deleted."""
    return _entry(EventKind.ACCESS_REFUSED, by, account_id, upn)


def access_withdrawn(by: Actor) -> Entry:
    """Return the event of a withdrawn request, whose consent is deleted."""
    return _entry(EventKind.ACCESS_WITHDRAWN, by, by.id, by.name)


def tenant(kind: EventKind, by: Actor, reason: str = "") -> Entry:
    """Return an event of the tenant as a whole."""
    return _entry(kind, by, "", "", {"reason": reason} if reason else {})


def watch_began(by: Actor, users: Iterable[str], since: datetime) -> Entry:
    """Return the event of a suite that begins to watch users. Pass `MAX_USERS` at most: further users are left out."""
    return Entry(kind=EventKind.WATCH_BEGAN, by=by, users=_users(users), since=since)


def watched(by: Actor, users: Iterable[str], since: datetime, until: datetime) -> Entry:
    """Return the event of a suite that watched users, `MAX_USERS` at most."""
    return Entry(kind=EventKind.WATCHED, by=by, users=_users(users), since=since, until=until)


def _users(users: Iterable[str]) -> tuple[str, ...]:
    return tuple(cut(user) for user in sorted(users)[:MAX_USERS])


def changes(before: Mapping[str, str], after: Mapping[str, str], shown: Container[str] = ()) -> dict[str, str]:
    """Return setting -> its change as text, for the settings that changed."""
    names = sorted(name for name in {*before, *after} if before.get(name, "") != after.get(name, ""))
    return {
        name: f"{before.get(name, '') or '(none)'} -> {after.get(name, '') or '(none)'}" if name in shown else "changed"
        for name in names
    }


def cut(text: str) -> str:
    """Return a text fit for an entry: on one line, at most `MAX_TEXT_CHARS` characters."""
    if len(text) <= MAX_TEXT_CHARS and text.isprintable():
        return text  # nearly always
    return "".join(character if character.isprintable() else " " for character in text[:MAX_TEXT_CHARS])


def _entry(
    kind: EventKind, by: Actor, subject_id: str, subject: str, details: Mapping[str, str] | None = None
) -> Entry:
    some = list((details or {}).items())[:MAX_DETAILS]
    return Entry(
        kind=kind,
        by=by,
        subject_id=cut(subject_id),
        subject=cut(subject),
        details=MappingProxyType({cut(name): cut(value) for name, value in some}),
    )
