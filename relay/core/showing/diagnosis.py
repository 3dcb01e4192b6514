"""Words, reasons and remedies for watched users and for the connection to Microsoft.

The words are those of similar connectors. For a user: available, busy, do not disturb, away, offline, error, access
denied, not found, not requested, requesting, user not configured, server not configured. For the connector: not
configured, disabled, forbidden, connection error, up and running.

Sentences are complete and in English. The caller fills in placeholders such as `%(seconds)s`, and may use a translation.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from relay.core.consent.tenant import TenantState
from relay.core.presence import Availability, Presence, Status


class Word(enum.StrEnum):
    """The state of a watched user in a word or two; the values are the English texts."""

    AVAILABLE = "available"
    BUSY = "busy"
    DO_NOT_DISTURB = "do not disturb"
    AWAY = "away"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    ACCESS_DENIED = "access denied"
    ERROR = "error"
    NOT_FOUND = "not found"
    NOT_REQUESTED = "not requested by anyone"
    REQUESTING = "requesting"
    SERVER_NOT_CONFIGURED = "server not configured"
    USER_NOT_CONFIGURED = "user not configured"


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about a user or a connection, with its values."""

    text: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text % self.values if self.values else self.text


@dataclass(frozen=True, slots=True)
class Absence:
    """A reason why a user has no presence.

    Attributes:
        word: the state in a word or two.
        why: the cause, in a sentence.
        remedy: the action for the reader.
    """

    word: Word
    why: str
    remedy: str


ABSENCES: Final[Mapping[Status, Absence]] = MappingProxyType(
    {
        Status.PENDING: Absence(
            Word.REQUESTING,
            "The relay is asking Microsoft for the presence of this user.",
            "Wait a few seconds. If nothing changes, check the connection to Microsoft.",
        ),
        Status.MALFORMED: Absence(
            Word.USER_NOT_CONFIGURED,
            "The suite’s name for this user is neither a user name such as ada@contoso.com nor an object id.",
            "Correct the name in the settings of the suite.",
        ),
        Status.NOT_FOUND: Absence(
            Word.NOT_FOUND,
            "Your organisation has no user of this name.",
            "Compare the name in the suite with the user name in Microsoft Entra. The relay tries again automatically.",
        ),
        Status.NOT_REPORTED: Absence(
            Word.USER_NOT_CONFIGURED,
            "Microsoft knows this user but reports no presence. Usually the user has no Teams licence.",
            "Give the user a licence that includes Teams. The relay tries again automatically.",
        ),
        Status.ACCESS_DENIED: Absence(
            Word.ACCESS_DENIED,
            "The account that reads presence is not allowed to see this user’s presence.",
            "Renew the consent with an account that can see presence, and check the privacy settings of Teams.",
        ),
        Status.NOT_PERMITTED: Absence(
            Word.ACCESS_DENIED,
            "The settings of your organisation do not allow suites to watch this user.",
            "To let suites watch this user, change “Who can be watched” in the settings.",
        ),
        Status.CONSENT_REQUIRED: Absence(
            Word.SERVER_NOT_CONFIGURED,
            "No account of your organisation has a valid consent.",
            "Renew the consent. One sign-in is enough, and suites and settings do not change.",
        ),
        Status.THROTTLED: Absence(
            Word.ERROR,
            "Microsoft has asked the relay to slow down, and the relay has not read this user yet.",
            "Nothing. The relay continues automatically. If the problem continues, watch fewer users.",
        ),
        Status.SOURCE_UNREACHABLE: Absence(
            Word.ERROR,
            "The relay cannot reach Microsoft, or Microsoft does not answer.",
            "Nothing. The relay tries again automatically. If the problem continues, tell the relay operator.",
        ),
        Status.STALE: Absence(
            Word.ERROR,
            "Microsoft has not confirmed the presence for three polling intervals, so the relay no longer shows it.",
            "Nothing. The relay tries again automatically. If the problem continues, check the connection to Microsoft.",
        ),
        Status.SUSPENDED: Absence(
            Word.SERVER_NOT_CONFIGURED,
            "The relay operator does not let the relay read your organisation right now.",
            "Ask the relay operator to approve or resume your organisation.",
        ),
    }
)
"""The absence for every status that an answer can have."""

NOT_REQUESTED: Final = Absence(
    Word.NOT_REQUESTED,
    "No suite watches this user, so the relay does not read the presence.",
    "Add the user in a suite, or watch the user for one minute from here.",
)
"""For a user whom no suite watches."""

NOT_WATCHED_ANY_MORE: Final = Absence(
    Word.NOT_REQUESTED,
    "No suite watches this user any more. The relay keeps reading for a few minutes in case a suite returns.",
    "Nothing, unless a suite should watch this user.",
)
"""For a user who is no longer watched, and still read for a while."""

SUSPENDED: Final = Absence(
    Word.SERVER_NOT_CONFIGURED,
    "The relay operator has suspended your organisation, so the relay reads no presence.",
    "Ask the relay operator to resume your organisation.",
)
"""For all users while the tenant is suspended."""

HELD_BACK: Final = Absence(
    Word.REQUESTING,
    "The settings of your organisation have just changed. The relay is about to apply them.",
    "Wait a few seconds. If nothing changes, tell the relay operator.",
)
"""For all users, from a change of the rules on who can be watched until the worker has applied it."""

_WORDS: Final[Mapping[Availability, Word]] = MappingProxyType(
    {
        Availability.UNKNOWN: Word.UNKNOWN,
        Availability.AVAILABLE: Word.AVAILABLE,
        Availability.BUSY: Word.BUSY,
        Availability.DO_NOT_DISTURB: Word.DO_NOT_DISTURB,
        Availability.AWAY: Word.AWAY,
        Availability.BE_RIGHT_BACK: Word.AWAY,
        Availability.OFFLINE: Word.OFFLINE,
    }
)


def word(answer: Presence | Status | None) -> Word:
    """Return the state of a watched user in a word or two; pass None while there is no answer."""
    if isinstance(answer, Presence):
        return _WORDS[answer.availability]
    return ABSENCES[answer or Status.PENDING].word


def availability_word(availability: Availability) -> Word:
    """Return the word for a base state."""
    return _WORDS[availability]


class ConnectorState(enum.StrEnum):
    """The state of a tenant's connection to Microsoft; the values are the English texts."""

    NOT_CONFIGURED = "not configured"
    DISABLED = "disabled"
    FORBIDDEN = "forbidden"
    CONNECTION_ERROR = "connection error"
    UP_AND_RUNNING = "up and running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The known facts about a tenant's connection.

    Attributes:
        state: state in the tenant's record.
        grants: number of accounts that have consented.
        dead: number of those accounts whose consent no longer works.
        code: Microsoft's code for the reason; empty when unknown.
        status: the worker's last report; NONE without trouble, None when no worker has reported.
        age_s: seconds since Microsoft last confirmed the stored presence; None when it never has.
        interval_s: seconds between two reads of a user.
        pushed: number of users whose changes Microsoft announces.
        polled: number of users who are polled.
        silent: number of polled users whose changes should be announced.
        is_push_off: whether change notifications are switched off.
        push_reason: reason why users are polled instead; empty without trouble.
    """

    state: TenantState
    grants: int = 0
    dead: int = 0
    code: str = ""
    status: Status | None = None
    age_s: float | None = None
    interval_s: float = 0.0
    pushed: int = 0
    polled: int = 0
    silent: int = 0
    is_push_off: bool = True
    push_reason: str = ""


@dataclass(frozen=True, slots=True)
class Connector:
    """The state of a tenant's connection, and why.

    Attributes:
        state: the state in a word or two.
        cause: the reason, in a sentence.
        notes: further information, a sentence each.
    """

    state: ConnectorState
    cause: Remark
    notes: tuple[Remark, ...] = ()


def connector(seen: Seen) -> Connector:
    """Return the state of a tenant's connection, with the most important cause."""
    found = _by_record(seen) or _by_status(seen) or _by_age(seen)
    if found is None:
        found = _S.UP_AND_RUNNING, Remark("Microsoft last confirmed presence %(seconds)s s ago.", _rounded(seen.age_s))
    state, cause = found
    return Connector(state, cause, tuple(_notes(seen)) if state is _S.UP_AND_RUNNING else ())


_S = ConnectorState
_Found = tuple[ConnectorState, Remark]
_STALE_INTERVALS: Final = 3
_GRACE_S: Final = 5.0
_INTERVAL_ASSUMED_S: Final = 5.0


def _by_record(seen: Seen) -> _Found | None:
    match seen.state:
        case TenantState.SUSPENDED:
            return _S.DISABLED, Remark("The relay operator has suspended your organisation.")
        case TenantState.REMOVED:
            return _S.DISABLED, Remark("Your organisation has left this relay.")
        case TenantState.PENDING:
            return _S.NOT_CONFIGURED, Remark("Your organisation is waiting for the approval of the relay operator.")
        case TenantState.CONSENT_REQUIRED if seen.code:
            return _S.FORBIDDEN, Remark(
                "No account has a valid consent. Microsoft reports: %(code)s.", {"code": seen.code}
            )
        case TenantState.CONSENT_REQUIRED:
            return _S.FORBIDDEN, Remark("No account has a valid consent.")
    return (_S.NOT_CONFIGURED, Remark("No account has consented.")) if not seen.grants else None


def _by_status(seen: Seen) -> _Found | None:
    match seen.status:
        case None:
            return _S.CONNECTION_ERROR, Remark("No worker of this relay has read your organisation yet.")
        case Status.CONSENT_REQUIRED:
            return _S.FORBIDDEN, Remark("No account has a valid consent.")
        case Status.ACCESS_DENIED:
            return _S.FORBIDDEN, Remark("The account that reads presence is not allowed to see it.")
        case Status.SUSPENDED:
            return _S.DISABLED, Remark("The relay operator has suspended your organisation.")
        case Status.THROTTLED:
            return _S.CONNECTION_ERROR, Remark("Microsoft has asked the relay to slow down.")
        case Status.SOURCE_UNREACHABLE:
            return _S.CONNECTION_ERROR, Remark("The relay cannot reach Microsoft, or Microsoft does not answer.")
        case Status.NONE:
            return None
    return _S.CONNECTION_ERROR, Remark("Microsoft has not confirmed the presence for three polling intervals.")


def _by_age(seen: Seen) -> _Found | None:
    if seen.age_s is None:
        return _S.CONNECTION_ERROR, Remark("Microsoft has not answered for your organisation yet.")
    if seen.age_s <= _STALE_INTERVALS * (seen.interval_s or _INTERVAL_ASSUMED_S) + _GRACE_S:
        return None
    return _S.CONNECTION_ERROR, Remark(
        "Microsoft last confirmed presence %(seconds)s s ago. The relay’s worker may have stopped.",
        _rounded(seen.age_s),
    )


def _notes(seen: Seen) -> Sequence[Remark]:
    notes = [Remark("Users are read every %(seconds)s s.", _rounded(seen.interval_s))]
    if seen.pushed:
        notes.append(Remark("Microsoft sends change notifications for %(users)s users.", {"users": seen.pushed}))
    if seen.silent:
        notes.append(
            Remark(
                "Change notifications for %(users)s users have stopped. The relay polls these users.",
                {"users": seen.silent},
            )
        )
    elif seen.push_reason and not seen.is_push_off:
        notes.append(
            Remark(
                "The relay polls users instead of getting change notifications: %(reason)s",
                {"reason": seen.push_reason},
            )
        )
    if seen.dead:
        notes.append(
            Remark(
                "%(dead)s of %(grants)s accounts no longer work. Reading continues with the others.",
                {"grants": seen.grants, "dead": seen.dead},
            )
        )
    return notes


def _rounded(seconds: float | None) -> dict[str, object]:
    return {"seconds": f"{seconds or 0.0:.0f}"}


def sentences() -> list[str]:
    """Return every sentence and word of this module, for translation."""
    told = [
        text
        for absence in (*ABSENCES.values(), NOT_REQUESTED, NOT_WATCHED_ANY_MORE, SUSPENDED, HELD_BACK)
        for text in (absence.why, absence.remedy)
    ]
    return [*Word, *ConnectorState, *told]
