"""A colleague's state as Asterisk has it: the state of a device, which lights lamps, and a presence state with a text. Pure.

Asterisk draws a device of state UNKNOWN as a free phone, so that somebody of whom nothing is known is UNAVAILABLE. Only a device that
is not fed any more becomes UNKNOWN, as it was before it was ever fed. Nothing is told as ringing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from suite.agent.core.values import RichState


class DeviceState(enum.StrEnum):
    """The states of a custom device that are told."""

    UNKNOWN = "UNKNOWN"
    NOT_INUSE = "NOT_INUSE"
    INUSE = "INUSE"
    BUSY = "BUSY"
    UNAVAILABLE = "UNAVAILABLE"


class LampFor(enum.StrEnum):
    """The states for which a lamp is lit."""

    BUSY = "busy"
    """Everybody who is busy, by a meeting or by choice."""
    CALLS = "calls"
    """Calls, and whoever is not to be disturbed."""


@dataclass(frozen=True, slots=True)
class PresenceState:
    """A presence state of Asterisk.

    Attributes:
        state: `available`, `away`, `xa`, `dnd`, `unavailable` or `not_set`.
        subtype: the state in the agent's own words, for dial plans.
        message: the state in words for people.
    """

    state: str
    subtype: str = ""
    message: str = ""


NEVER_FED: Final = (DeviceState.UNKNOWN, PresenceState("not_set"))
"""What a device has that is not fed any more."""

_STATES: Final = {
    RichState.UNKNOWN: (DeviceState.UNAVAILABLE, "not_set", ""),
    RichState.AVAILABLE: (DeviceState.NOT_INUSE, "available", "Available"),
    RichState.AVAILABLE_IDLE: (DeviceState.NOT_INUSE, "available", "Available, idle"),
    RichState.BUSY: (DeviceState.INUSE, "dnd", "Busy"),
    RichState.BUSY_IDLE: (DeviceState.INUSE, "dnd", "Busy, idle"),
    RichState.IN_A_CALL: (DeviceState.INUSE, "dnd", "In a call"),
    RichState.IN_A_MEETING: (DeviceState.INUSE, "dnd", "In a meeting"),
    RichState.DO_NOT_DISTURB: (DeviceState.BUSY, "dnd", "Do not disturb"),
    RichState.PRESENTING: (DeviceState.BUSY, "dnd", "Presenting"),
    RichState.FOCUSING: (DeviceState.BUSY, "dnd", "Focusing"),
    RichState.AWAY: (DeviceState.NOT_INUSE, "away", "Away"),
    RichState.BE_RIGHT_BACK: (DeviceState.NOT_INUSE, "away", "Be right back"),
    RichState.OUT_OF_OFFICE: (DeviceState.UNAVAILABLE, "xa", "Out of office"),
    RichState.OFFLINE: (DeviceState.UNAVAILABLE, "unavailable", "Offline"),
}
_BUSY_WITHOUT_A_CALL: Final = frozenset({RichState.BUSY, RichState.BUSY_IDLE, RichState.IN_A_MEETING})


def device_state(state: RichState, lamp_for: LampFor = LampFor.BUSY) -> DeviceState:
    """Return the state of the device."""
    if lamp_for is LampFor.CALLS and state in _BUSY_WITHOUT_A_CALL:
        return DeviceState.NOT_INUSE
    return _STATES[state][0]


def presence_state(state: RichState) -> PresenceState:
    """Return the presence state."""
    _, name, message = _STATES[state]
    return PresenceState(name, "" if state is RichState.UNKNOWN else state.value, message)
