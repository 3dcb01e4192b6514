"""The values that sources state and consoles are shown."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class SourceName(enum.StrEnum):
    """A source of rich presence, spelled as `RichPresence.WinningTechnology` names it."""

    TEAMS = "MSTeams"
    SIP = "SipSimple"
    SFB = "SfB"
    LOCAL = "Local"


class PhoneSource(enum.StrEnum):
    """A source of telephony, in the order in which they count.

    Only programs that use the local API can say that a phone is forwarded. What a telephone system publishes by itself counts
    before what was asked of it, because a subscription may lag behind.
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
    """The state of a user's phone, as the telephone system tells it."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    RINGING = "ringing"
    BUSY = "busy"
    DO_NOT_DISTURB = "do_not_disturb"
    FORWARDED_TO_VOICEMAIL = "forwarded_to_voicemail"
    FORWARDED_TO_NUMBER = "forwarded_to_number"


class ShownStatus(enum.StrEnum):
    """The one status that a console draws for a user: a rich state, or what the phone adds."""

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
    """The rule of aggregation that decided a shown status, in the order in which they are tried."""

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
        state: UNKNOWN when the source does not know.
        reason: why it does not know, in one word of the source's (`stale`, `not_found`); empty when it knows.
        since: time at which the source saw the state; None when it does not say.
        is_uncertain: True while the source cannot confirm it: what was known before a break, or before a restart.
    """

    state: RichState = RichState.UNKNOWN
    reason: str = ""
    since: datetime | None = None
    is_uncertain: bool = False

    @property
    def is_known(self) -> bool:
        """Return True when it says a state."""
        return self.state is not RichState.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephonyStatement:
    """The statement of the telephone system about one user. It is withdrawn by whoever made it when it expires.

    Attributes:
        state: of the phone.
        since: time at which the agent received it.
        is_uncertain: True while the source cannot confirm it: what was known before a break.
    """

    state: TelephonyState
    since: datetime | None = None
    is_uncertain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """The outcome for one user: what consoles are shown, who said it, and why that counts.

    Attributes:
        status: the one status to draw.
        rule: the rule that decided.
        reason: why nothing is known; empty unless `status` is UNKNOWN.
        since: time of what decided.
        is_uncertain: True when what decided cannot be confirmed at the moment: draw it as uncertain.
        rich: the rich state, for consoles that draw both.
        rich_source: the source that said it; None when none knows.
        telephony: the phone's state, for consoles that draw both.
    """

    status: ShownStatus = ShownStatus.UNKNOWN
    rule: Rule = Rule.NOTHING_KNOWN
    reason: str = ""
    since: datetime | None = None
    is_uncertain: bool = False
    rich: RichState = RichState.UNKNOWN
    rich_source: SourceName | None = None
    telephony: TelephonyState = TelephonyState.UNKNOWN
