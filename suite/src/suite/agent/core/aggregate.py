"""The rules of aggregation: from the statements of all sources about one user to the state that consoles show.

Pure. Three questions, in this order:

1. **Which rich source counts?** The winning technology, if it knows the user's state. Otherwise the first other source that does,
   in the order of `SourceName`. A source without a state never hides one with a state.
2. **Which state of the phone counts?** That of the first source with one, in the order of `PhoneSource`.
3. **Is rich presence shown, or the phone?** In this order: do not disturb of either, a forwarded phone, a phone that rings or is
   busy, rich presence, a free phone. Each is a `Rule`.

Only do not disturb hides a phone that rings or is busy; no other rich state does, older or newer. Times of a
telephone system and of Microsoft come from different clocks, so a comparison would make consoles flicker. A phone whose
connector died does not stay busy, because its state expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.values import (
    Aggregation,
    PhoneSource,
    RichState,
    RichStatement,
    Rule,
    ShownStatus,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_SOURCE: Final = "no_source"
"""The reason when no source has a statement about a user, or none gives a reason."""
NOTHING: Final = RichStatement(reason=NO_SOURCE)

DO_NOT_DISTURB_STATES: Final = frozenset({RichState.DO_NOT_DISTURB, RichState.PRESENTING, RichState.FOCUSING})
"""The rich states in which Teams itself blocks calls."""

_NO_PHONE: Final = TelephonyStatement(state=TelephonyState.UNKNOWN)

_FORWARDED: Final = {
    TelephonyState.FORWARDED_TO_VOICEMAIL: ShownStatus.FORWARDED_TO_VOICEMAIL,
    TelephonyState.FORWARDED_TO_NUMBER: ShownStatus.FORWARDED_TO_NUMBER,
}
_IN_USE: Final = {
    TelephonyState.RINGING: ShownStatus.PHONE_RINGING,
    TelephonyState.BUSY: ShownStatus.ON_THE_PHONE,
}


def aggregate(
    rich: Mapping[SourceName, RichStatement],
    telephony: Mapping[PhoneSource, TelephonyStatement],
    winning: SourceName,
) -> Aggregation:
    """Return the state that consoles show for one user.

    Args:
        rich: source -> its statement; sources that are off or have no statement are absent.
        telephony: source -> its statement about the phone; sources without one, or whose statement expired, are absent.
        winning: the winning technology.
    """
    source, said = _rich(rich, winning)
    of_phone = _phone(telephony)
    phone = of_phone.state
    rule, status = _decide(said.state, phone)
    is_of_the_phone = rule.value.startswith("phone_")
    return Aggregation(
        status=status,
        rule=rule,
        reason="" if status is not ShownStatus.UNKNOWN else said.reason or NO_SOURCE,
        since=of_phone.since if is_of_the_phone else said.since,
        is_uncertain=of_phone.is_uncertain if is_of_the_phone else said.is_uncertain,
        rich=said.state,
        rich_source=source,
        telephony=phone,
    )


def _rich(rich: Mapping[SourceName, RichStatement], winning: SourceName) -> tuple[SourceName | None, RichStatement]:
    """Return the source that counts and its statement; None and a statement with the reason when no source knows the state."""
    order = [winning, *(source for source in SourceName if source is not winning)]
    stated = [(source, rich[source]) for source in order if source in rich]
    for source, statement in stated:
        if statement.is_known:
            return source, statement
    return None, next((statement for _, statement in stated if statement.reason), NOTHING)


def _phone(telephony: Mapping[PhoneSource, TelephonyStatement]) -> TelephonyStatement:
    stated = [telephony[source] for source in PhoneSource if source in telephony]
    return next((statement for statement in stated if statement.state is not TelephonyState.UNKNOWN), _NO_PHONE)


def _decide(rich: RichState, phone: TelephonyState) -> tuple[Rule, ShownStatus]:
    if rich in DO_NOT_DISTURB_STATES:
        return Rule.RICH_DO_NOT_DISTURB, ShownStatus(rich.value)
    if phone is TelephonyState.DO_NOT_DISTURB:
        return Rule.PHONE_DO_NOT_DISTURB, ShownStatus.DO_NOT_DISTURB
    if phone in _FORWARDED:
        return Rule.PHONE_FORWARDED, _FORWARDED[phone]
    if phone in _IN_USE:
        return Rule.PHONE_IN_USE, _IN_USE[phone]
    if rich is not RichState.UNKNOWN:
        return Rule.RICH, ShownStatus(rich.value)
    if phone is TelephonyState.IDLE:
        return Rule.PHONE_FREE, ShownStatus.PHONE_FREE
    return Rule.NOTHING_KNOWN, ShownStatus.UNKNOWN
