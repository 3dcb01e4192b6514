"""A colleague's state as Asterisk has it: the state of a device, which lights lamps, and a presence state with a text. Pure.

Asterisk shows a device of state UNKNOWN as a free phone, and does not let it be set. A colleague with an unknown state is UNAVAILABLE,
and so is a device that is not fed any more. No state is sent as ringing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import RichState, ShownStatus
from suite.agent.sipserver.words import word_of

if TYPE_CHECKING:
    from suite.agent.settings.groups.sip_server import LampKinds


class DeviceState(enum.StrEnum):
    """The states of a custom device that are sent."""

    NOT_INUSE = "NOT_INUSE"
    INUSE = "INUSE"
    BUSY = "BUSY"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class PresenceState:
    """A presence state of Asterisk.

    Attributes:
        state: `available`, `away`, `xa`, `dnd`, `unavailable` or `not_set`.
        subtype: the state in the agent's own words, for dial plans.
        message: the state in the words that phones show.
    """

    state: str
    subtype: str = ""
    message: str = ""


_STATES: Final = {
    RichState.UNKNOWN: (DeviceState.UNAVAILABLE, "not_set"),
    RichState.AVAILABLE: (DeviceState.NOT_INUSE, "available"),
    RichState.AVAILABLE_IDLE: (DeviceState.NOT_INUSE, "available"),
    RichState.BUSY: (DeviceState.INUSE, "dnd"),
    RichState.BUSY_IDLE: (DeviceState.INUSE, "dnd"),
    RichState.IN_A_CALL: (DeviceState.INUSE, "dnd"),
    RichState.IN_A_MEETING: (DeviceState.INUSE, "dnd"),
    RichState.DO_NOT_DISTURB: (DeviceState.BUSY, "dnd"),
    RichState.PRESENTING: (DeviceState.BUSY, "dnd"),
    RichState.FOCUSING: (DeviceState.BUSY, "dnd"),
    RichState.AWAY: (DeviceState.NOT_INUSE, "away"),
    RichState.BE_RIGHT_BACK: (DeviceState.NOT_INUSE, "away"),
    RichState.OUT_OF_OFFICE: (DeviceState.UNAVAILABLE, "xa"),
    RichState.OFFLINE: (DeviceState.UNAVAILABLE, "unavailable"),
}
_LIT: Final = frozenset({DeviceState.INUSE, DeviceState.BUSY})


def device_state(state: RichState, lamps: LampKinds = "busy") -> DeviceState:
    """Return the state of the device. With `calls`, all busy states except a call are not in use, and the lamp stays dark."""
    found = _STATES[state][0]
    return DeviceState.NOT_INUSE if found in _LIT and lamps == "calls" and state is not RichState.IN_A_CALL else found


def presence_state(state: RichState, language: str = "en") -> PresenceState:
    """Return the presence state, with a text in one of `LANGUAGES`."""
    name = _STATES[state][1]
    if state is RichState.UNKNOWN:
        return PresenceState(name)
    return PresenceState(name, state.value, word_of(ShownStatus(state.value), language))
