"""The states that phones show: for each state of consoles, the content of a presence document and a lamp. Pure.

A lamp is a dialog of RFC 4235. It is `early` only while a telephone system reports that the phone rings, because phones then blink and
offer to pick up the call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.core.values import RichState, ShownStatus

if TYPE_CHECKING:
    from suite.agent.core.values import Aggregation
    from suite.agent.settings.groups.sip_server import LampKinds

Lamp = Literal["terminated", "early", "confirmed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    """One state as phones show it.

    Attributes:
        is_open: False when the colleague cannot be reached.
        activities: names of RPID (RFC 4480).
        is_idle: True when nobody is at the keyboard.
        lamp: the state of the dialog.
        is_call: True when the lamp is lit by a call.
        word: the status whose name is the note.
    """

    is_open: bool = True
    activities: frozenset[str] = frozenset()
    is_idle: bool = False
    lamp: Lamp = "terminated"
    is_call: bool = False
    word: ShownStatus = ShownStatus.AVAILABLE


def _state(
    word: ShownStatus, *activities: str, lamp: Lamp = "terminated", idle: bool = False, call: bool = False
) -> PhoneState:
    is_open = word is not ShownStatus.OFFLINE
    return PhoneState(
        is_open=is_open, activities=frozenset(activities), is_idle=idle, lamp=lamp, is_call=call, word=word
    )


STATES: Final = {
    state.word: state
    for state in (
        _state(ShownStatus.AVAILABLE),
        _state(ShownStatus.AVAILABLE_IDLE, idle=True),
        _state(ShownStatus.BUSY, "busy", lamp="confirmed"),
        _state(ShownStatus.BUSY_IDLE, "busy", lamp="confirmed", idle=True),
        _state(ShownStatus.IN_A_CALL, "on-the-phone", lamp="confirmed", call=True),
        _state(ShownStatus.IN_A_MEETING, "busy", "meeting", lamp="confirmed"),
        _state(ShownStatus.DO_NOT_DISTURB, "busy", lamp="confirmed"),
        _state(ShownStatus.PRESENTING, "busy", lamp="confirmed"),
        _state(ShownStatus.FOCUSING, "busy", lamp="confirmed"),
        _state(ShownStatus.AWAY, "away"),
        _state(ShownStatus.BE_RIGHT_BACK, "away"),
        _state(ShownStatus.OUT_OF_OFFICE, "away"),
        _state(ShownStatus.OFFLINE),
        _state(ShownStatus.PHONE_FREE),
        _state(ShownStatus.PHONE_RINGING, "busy", lamp="early", call=True),
        _state(ShownStatus.ON_THE_PHONE, "on-the-phone", lamp="confirmed", call=True),
    )
}
"""Status -> state of phones. Absent are unknown, which no document can express, and a forwarded phone: see `phone_state`."""


def phone_state(shown: Aggregation, lamps: LampKinds) -> PhoneState | None:
    """Return the state that phones show of a colleague; None if it is unknown. A forwarded phone shows rich presence, and a note."""
    status = shown.status
    if status in (ShownStatus.FORWARDED_TO_VOICEMAIL, ShownStatus.FORWARDED_TO_NUMBER):
        known = shown.rich if shown.rich is not RichState.UNKNOWN else RichState.AVAILABLE
        found = replace(STATES[ShownStatus(known.value)], word=status)
    elif status in STATES:
        found = STATES[status]
    else:
        return None
    return found if found.is_call or lamps == "busy" else replace(found, lamp="terminated")
