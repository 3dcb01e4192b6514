"""The presence that others see of a person: the states of all sessions, aggregated as in Teams.

    chosen by the person  >  DoNotDisturb  >  Busy  >  Available  >  Away          https://learn.microsoft.com/graph/cloud-communications-manage-presence-state

Each client of Teams is a session: here a desktop and a mobile, and one of an application that sets presence. A
person's own choice holds only while there is a session: https://learn.microsoft.com/graph/api/presence-setuserpreferredpresence
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.world import OFFLINE, Shown

if TYPE_CHECKING:
    from emulator.world import Person

AVAILABLE: Final = Shown("Available", "Available")
AWAY: Final = Shown("Away", "Away")

DOING: Final = {
    "call": Shown("Busy", "InACall"),
    "conference": Shown("Busy", "InAConferenceCall"),
    "meeting": Shown("Busy", "InAMeeting"),
    "present": Shown("DoNotDisturb", "Presenting"),
    "focus": Shown("DoNotDisturb", "Focusing"),
}
"""The activities that Teams itself detects."""
PREFERRED: Final = {
    "busy": Shown("Busy", "Busy"),
    "dnd": Shown("DoNotDisturb", "DoNotDisturb"),
    "urgent_only": Shown("DoNotDisturb", "UrgentInterruptionsOnly"),
    "brb": Shown("BeRightBack", "BeRightBack"),
    "away": AWAY,
    "appear_offline": Shown("Offline", "OffWork"),
}
"""The states that a person can choose."""
IDLE: Final = {"Available": Shown("AvailableIdle", "Inactive"), "Busy": Shown("BusyIdle", "Busy")}
"""The state after the last device was switched off. That these precede Offline is reported, not documented; the name
of the activity is assumed."""

APPLICATIONS: Final = {
    "Available": AVAILABLE, "Away": AWAY, "InACall": Shown("Busy", "InACall"),
    "InAConferenceCall": Shown("Busy", "InAConferenceCall"), "Presenting": Shown("DoNotDisturb", "Presenting"),
}  # fmt: skip
"""The presence that an application may set, by activity: https://learn.microsoft.com/graph/api/presence-setpresence"""
APPLICATION_INACTIVE: Final = Shown("Available", "AvailableInactive")

HELD_THROUGH_LOCK: Final = {"call", "conference", "present"}
_RANK: Final = {"DoNotDisturb": 4, "Busy": 3, "Available": 2, "Away": 1}


def there(person: Person) -> bool:
    """Return whether a person has any session."""
    return bool(person.desktop) or person.mobile or person.app_session is not None


def seen(person: Person) -> Shown:
    """Return what others see of a person; Offline without a session."""
    if not there(person):
        return OFFLINE
    if person.preferred:
        return PREFERRED[person.preferred]
    shown = max(_states(person), key=lambda state: _RANK.get(state.availability, 0))
    return Shown("Available", "OutOfOffice") if shown is AVAILABLE and person.out_of_office else shown


def _states(person: Person) -> list[Shown]:
    """Return the state of each session. An activity takes place on the device in use."""
    doing = DOING.get(person.doing, AVAILABLE)
    states = []
    if person.desktop:
        used = person.desktop == "active" or person.doing in HELD_THROUGH_LOCK
        states.append(doing if used else AWAY)
    if person.mobile:
        states.append(doing)
    if person.app_session is not None:
        states.append(person.app_session)
    return states


_LOOKS: Final = {
    "Available": "available", "AvailableIdle": "away", "Busy": "busy", "BusyIdle": "busy", "DoNotDisturb": "dnd",
    "Away": "away", "BeRightBack": "away", "Offline": "offline",
}  # fmt: skip


def teams_icon(person: Person) -> str:
    """Return Teams' icon: available, busy, dnd, away, offline, out_of_office, or unknown (for people without a licence).

    Teams is reported to draw AvailableIdle as Away: https://github.com/microsoftgraph/microsoft-graph-toolkit/issues/3336
    """
    if not person.licensed:
        return "unknown"
    if person.shown.activity == "OutOfOffice":
        return "out_of_office"
    return _LOOKS.get(person.shown.availability, "unknown")
