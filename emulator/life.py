"""What people do, what others then see, and how it fades after switching off.

    come ──► Available ──► call, meeting, present, focus (Teams knows) · dnd, brb, away, busy (chosen) ──► available
      ▲          │ lock / unlock: Away, unless in a call or presenting
      │          ▼ switch_off (the last device)
      └──── last state lingers ──► AvailableIdle or BusyIdle ──► Offline        (from other states straight to Offline)

The strings are those of the older pages' table (https://learn.microsoft.com/graph/cloud-communications-manage-presence-state);
that the idle values stand between switching off and Offline is reported, not documented. What an idle state's activity is
called is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.world import OFFLINE, Person, Shown

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from emulator.clock import Clock
    from emulator.switches import Span, Switches
    from emulator.world import World

AVAILABLE: Final = Shown("Available", "Available")
AWAY: Final = Shown("Away", "Away")

DOING: Final = {
    "call": Shown("Busy", "InACall"),
    "meeting": Shown("Busy", "InAMeeting"),
    "present": Shown("DoNotDisturb", "Presenting"),
    "focus": Shown("DoNotDisturb", "Focusing"),
}
PREFERRED: Final = {
    "busy": Shown("Busy", "Busy"),
    "dnd": Shown("DoNotDisturb", "DoNotDisturb"),
    "brb": Shown("BeRightBack", "BeRightBack"),
    "away": AWAY,
    "appear_offline": Shown("Offline", "OffWork"),
}
IDLE: Final = {"Available": Shown("AvailableIdle", "Inactive"), "Busy": Shown("BusyIdle", "Busy")}

HELD_THROUGH_LOCK: Final = {"call", "present"}


def seen(person: Person) -> Shown:
    """What others see of a person who has a device on. What was chosen goes before what Teams knows."""
    if person.preferred:
        return PREFERRED[person.preferred]
    if person.desktop == "locked" and not person.mobile and person.doing not in HELD_THROUGH_LOCK:
        return AWAY
    shown = DOING.get(person.doing, AVAILABLE)
    return Shown("Available", "OutOfOffice") if shown is AVAILABLE and person.out_of_office else shown


class Life:
    """Carries out what people do. Every visible change gets a new sequence number."""

    def __init__(self, world: World, clock: Clock, switches: Callable[[], Switches], chance: random.Random) -> None:
        self._world = world
        self._clock = clock
        self._switches = switches
        self._chance = chance

    def act(self, person: Person, action: str, *, device: str = "desktop", text: str = "") -> None:
        """Let a person do something.

        Args:
            person: who.
            action: one of ACTIONS.
            device: `desktop` or `mobile`, for `come`; for `switch_off` also `all`.
            text: the message, for `out_of_office` and `status_message`.

        Raises:
            ValueError: nobody can do that.
        """
        if action in DOING:
            person.doing, person.preferred = action, ""
            self._be_there(person)
        elif action in PREFERRED:
            person.preferred = action
            self._be_there(person)
        elif action in _SIMPLE:
            _SIMPLE[action](self, person, device, text)
        else:
            raise ValueError(f"no such action: {action}; there are {', '.join(ACTIONS)}")

    def show(self, person: Person, shown: Shown) -> None:
        """Have others see exactly this from now on, until the person does something."""
        self._stop_fading(person)
        self._set(person, shown)

    def touch(self, person: Person) -> None:
        """Give the presence a new sequence number and have it encoded anew."""
        person.sequence = self._world.next_sequence()
        person.fragment = b""

    def _set(self, person: Person, shown: Shown) -> None:
        if shown != person.shown:
            person.shown = shown
            self.touch(person)

    def _be_there(self, person: Person) -> None:
        self._stop_fading(person)
        if not person.desktop and not person.mobile:
            person.desktop = "active"
        self._set(person, seen(person))

    def _come(self, person: Person, device: str, _text: str) -> None:
        person.doing = person.preferred = ""
        if device == "mobile":
            person.mobile = True
        else:
            person.desktop = "active"
        self._be_there(person)

    def _available(self, person: Person, _device: str, _text: str) -> None:
        person.doing = person.preferred = ""
        if person.desktop or not person.mobile:
            person.desktop = "active"
        self._be_there(person)

    def _hang_up(self, person: Person, _device: str, _text: str) -> None:
        person.doing = ""
        self._be_there(person)

    def _lock(self, person: Person, _device: str, _text: str) -> None:
        person.desktop = "locked"
        self._be_there(person)

    def _unlock(self, person: Person, _device: str, _text: str) -> None:
        person.desktop = "active"
        self._be_there(person)

    def _out_of_office(self, person: Person, _device: str, text: str) -> None:
        person.out_of_office, person.out_of_office_message = True, text
        self._refresh(person)

    def _in_office(self, person: Person, _device: str, _text: str) -> None:
        person.out_of_office, person.out_of_office_message = False, ""
        self._refresh(person)

    def _status_message(self, person: Person, _device: str, text: str) -> None:
        person.status_message = text
        self.touch(person)

    def _refresh(self, person: Person) -> None:
        """Show again what is to be seen, when something beside the two strings changed."""
        self.touch(person)
        if person.desktop or person.mobile:
            self._set(person, seen(person))

    def _switch_off(self, person: Person, device: str, _text: str) -> None:
        if device in {"desktop", "all"}:
            person.desktop = ""
        if device in {"mobile", "all"}:
            person.mobile = False
        if person.desktop or person.mobile:
            self._be_there(person)
            return
        person.doing = ""
        self._stop_fading(person)
        person.fade = self._clock.after(self._time(self._switches().linger_s), lambda: self._fade(person))

    def _fade(self, person: Person) -> None:
        """Microsoft finds out that nobody is there any more."""
        person.fade = None
        idle = IDLE.get(person.shown.availability)
        if idle is None:
            self._set(person, OFFLINE)
            return
        self._set(person, idle)
        person.fade = self._clock.after(self._time(self._switches().idle_s), lambda: self._set(person, OFFLINE))

    def _stop_fading(self, person: Person) -> None:
        if person.fade is not None:
            person.fade.cancel()
            person.fade = None

    def _time(self, span: Span) -> float:
        return self._chance.uniform(*span)


_SIMPLE: Final[dict[str, Callable[[Life, Person, str, str], None]]] = {
    "come": Life._come,
    "available": Life._available,
    "hang_up": Life._hang_up,
    "lock": Life._lock,
    "unlock": Life._unlock,
    "out_of_office": Life._out_of_office,
    "in_office": Life._in_office,
    "status_message": Life._status_message,
    "switch_off": Life._switch_off,
}

ACTIONS: Final = (*_SIMPLE, *DOING, *PREFERRED)
