"""The values in statements of sources and in the state that consoles show."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class SourceName(enum.StrEnum):
    """A source of rich presence, spelled as in `RichPresence.WinningTechnology`."""

    TEAMS = "MSTeams"
    SIP = "SipSimple"
    SFB = "SfB"
    LOCAL = "Local"


class PhoneSource(enum.StrEnum):
    """A source of telephony, in the order of precedence.

    Only programs that use the local API can report that a phone is forwarded. A state that a telephone system publishes takes
    precedence over one that the agent subscribed to, because a subscription may lag behind.
    """

    LOCAL = "Local"
    PUBLISHED = "SipPublished"
    SIP = "SipSimple"


class RichState(enum.StrEnum):
    """The rich presence of a user: the console statuses of the relay's protocol."""

    UNKNOWN = "unknown"
    AVAILABLE = "available"
    AVAILABLE_IDLE = "available_idle"
    BUSY = "busy"
    BUSY_IDLE = "busy_idle"
    IN_A_CALL = "in_a_call"
    IN_A_MEETING = "in_a_meeting"
    DO_NOT_DISTURB = "do_not_disturb"
    PRESENTING = "presenting"
    FOCUSING = "focusing"
    AWAY = "away"
    BE_RIGHT_BACK = "be_right_back"
    OUT_OF_OFFICE = "out_of_office"
    OFFLINE = "offline"


class TelephonyState(enum.StrEnum):
    """The state of a user's phone, as the telephone system reports it."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    RINGING = "ringing"
    BUSY = "busy"
    DO_NOT_DISTURB = "do_not_disturb"
    FORWARDED_TO_VOICEMAIL = "forwarded_to_voicemail"
    FORWARDED_TO_NUMBER = "forwarded_to_number"


class ShownStatus(enum.StrEnum):
    """The one status that a console shows for a user: a rich state or one of the phone's."""

    UNKNOWN = "unknown"
    AVAILABLE = "available"
    AVAILABLE_IDLE = "available_idle"
    BUSY = "busy"
    BUSY_IDLE = "busy_idle"
    IN_A_CALL = "in_a_call"
    IN_A_MEETING = "in_a_meeting"
    DO_NOT_DISTURB = "do_not_disturb"
    PRESENTING = "presenting"
    FOCUSING = "focusing"
    AWAY = "away"
    BE_RIGHT_BACK = "be_right_back"
    OUT_OF_OFFICE = "out_of_office"
    OFFLINE = "offline"
    PHONE_FREE = "phone_free"
    PHONE_RINGING = "phone_ringing"
    ON_THE_PHONE = "on_the_phone"
    FORWARDED_TO_VOICEMAIL = "forwarded_to_voicemail"
    FORWARDED_TO_NUMBER = "forwarded_to_number"


class Rule(enum.StrEnum):
    """The rule of aggregation that decided a shown status. The members are in the order in which they are tried."""

    RICH_DO_NOT_DISTURB = "rich_do_not_disturb"
    PHONE_DO_NOT_DISTURB = "phone_do_not_disturb"
    PHONE_FORWARDED = "phone_forwarded"
    PHONE_IN_USE = "phone_in_use"
    RICH = "rich"
    PHONE_FREE = "phone_free"
    NOTHING_KNOWN = "nothing_known"


@dataclass(frozen=True, slots=True, kw_only=True)
class RichStatement:
    """The statement of one source of rich presence about one user.

    Attributes:
        state: the state; UNKNOWN when the source does not know it.
        reason: the source's code for why the state is UNKNOWN (`stale`, `not_found`); empty otherwise.
        since: time at which the source observed the state; None when the source does not report it.
        is_uncertain: True while the source cannot confirm the state, because it is from before a break or a restart.
    """

    state: RichState = RichState.UNKNOWN
    reason: str = ""
    since: datetime | None = None
    is_uncertain: bool = False

    @property
    def is_known(self) -> bool:
        """Return True when the state is known."""
        return self.state is not RichState.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephonyStatement:
    """The statement of a telephone system about one user's phone. Its source withdraws it when it expires.

    Attributes:
        state: the phone's state.
        since: time at which the agent received it.
        is_uncertain: True while the source cannot confirm the state, because it is from before a break.
    """

    state: TelephonyState
    since: datetime | None = None
    is_uncertain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """The outcome for one user: the state that consoles show, its source, and the rule that decided.

    Attributes:
        status: the one status to show.
        rule: the rule that decided.
        reason: why nothing is known; empty unless `status` is UNKNOWN.
        since: time of the statement that decided.
        is_uncertain: True when the source cannot confirm that statement at the moment: show it as uncertain.
        rich: the rich state, for consoles that show both.
        rich_source: the source of the rich state; None when no source knows it.
        telephony: the phone's state, for consoles that show both.
    """

    status: ShownStatus = ShownStatus.UNKNOWN
    rule: Rule = Rule.NOTHING_KNOWN
    reason: str = ""
    since: datetime | None = None
    is_uncertain: bool = False
    rich: RichState = RichState.UNKNOWN
    rich_source: SourceName | None = None
    telephony: TelephonyState = TelephonyState.UNKNOWN
