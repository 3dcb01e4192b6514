"""Availability and activity of a contact as one state. Pure.

Availability has eight values: https://learn.microsoft.com/skype-sdk/ucwa/availability_ref
Activity is one of the words below, or a text in the application's language: https://learn.microsoft.com/skype-sdk/ucwa/contactpresence_ref
So both are compared by their letters alone: `in-a-meeting` is `In a meeting`.
"""

from __future__ import annotations

import re
from typing import Final

from suite.agent.core.values import RichState

_PLAIN: Final = {
    "online": RichState.AVAILABLE,
    "idleonline": RichState.AVAILABLE_IDLE,
    "busy": RichState.BUSY,
    "idlebusy": RichState.BUSY_IDLE,
    "donotdisturb": RichState.DO_NOT_DISTURB,
    "berightback": RichState.BE_RIGHT_BACK,
    "away": RichState.AWAY,
    "offline": RichState.OFFLINE,
}
_FINER: Final = {
    ("busy", "onthephone"): RichState.IN_A_CALL,
    ("busy", "inacall"): RichState.IN_A_CALL,
    ("busy", "inaconference"): RichState.IN_A_CALL,
    ("busy", "inaconferencecall"): RichState.IN_A_CALL,
    ("busy", "inameeting"): RichState.IN_A_MEETING,
    ("busy", "presenting"): RichState.PRESENTING,
    ("donotdisturb", "presenting"): RichState.PRESENTING,
    ("away", "berightback"): RichState.BE_RIGHT_BACK,
    ("away", "outofoffice"): RichState.OUT_OF_OFFICE,
}
"""Availability and activity -> a more precise state. Do not disturb stays do not disturb in a conference; an idle contact stays idle in
every activity; `off-work` and `urgent-interruptions-only` do not change the state of their availability."""
_NO_LETTER: Final = re.compile(r"[^a-z]")


def state_of(availability: str, activity: str) -> RichState:
    """Return the state of a contact; UNKNOWN for an availability that Microsoft has not published."""
    base, what = _letters(availability), _letters(activity)
    return _FINER.get((base, what), _PLAIN.get(base, RichState.UNKNOWN))


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text.lower())
