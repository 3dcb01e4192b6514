"""People's actions, and how they end or fade automatically.

    come ──► Available ──► call, meeting, present, focus (Teams knows) · dnd, brb, away, busy (chosen) ──► available
      ▲          │ lock / unlock: Away, unless in a call or presenting · idle: Away after a while without a key pressed
      │          ▼ switch_off (the last device)
      └──── last state lingers ──► AvailableIdle or BusyIdle ──► Offline        (from other states straight to Offline)

    app_session ──► Available ── 5 min ──► Available/AvailableInactive ── 5 min ──► Away          until it expires

`sessions.py` computes the presence that others see. The strings are those in the table of Microsoft's older pages
(https://learn.microsoft.com/graph/cloud-communications-manage-presence-state).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.chance import Chance
from emulator.sessions import APPLICATION_INACTIVE, APPLICATIONS, AWAY, DOING, IDLE, PREFERRED, seen, there
from emulator.world import OFFLINE, Person, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.clock import Clock
    from emulator.switches import Span, Switches
    from emulator.world import World

__all__ = ["ACTIONS", "ENDING", "Life"]

DAY_S: Final = 86_400.0
PREFERRED_S: Final = {"busy": DAY_S, "dnd": DAY_S, "urgent_only": DAY_S}
"""Default duration of these choices; all others last a week: https://learn.microsoft.com/graph/api/presence-setuserpreferredpresence"""
APP_SESSION_S: Final = 300.0
"""Default and minimum duration of an application's session: see the page in the module's docstring."""
APP_SESSION_FADES_S: Final = 300.0
"""Time without an update until an application's Available becomes inactive, and then until it becomes Away."""


class Life:
    """Carries out people's actions. Every visible change gets a new sequence number.

    `changes` counts all changes that the control surface can show; a person's `changed` is the count at their last change.
    `on_shown` is called with the person and the previous presence whenever the presence that others see changes.
    """

    def __init__(self, world: World, clock: Clock, switches: Callable[[], Switches], seed: int) -> None:
        self._world = world
        self._clock = clock
        self._switches = switches
        self._seed = seed
        self.changes = 0
        self.on_shown: Callable[[Person, Shown], None] = lambda _person, _before: None

    def act(
        self, person: Person, action: str, *, device: str = "desktop", text: str = "", for_s: float | None = None
    ) -> None:
        """Let a person do an action.

        Args:
            person: the person.
            action: one of ACTIONS.
            device: `desktop` or `mobile`, for `come`; for `switch_off` also `all`.
            text: the message, for `out_of_office` and `status_message`; for `app_session` one of APPLICATIONS.
            for_s: the world's seconds after which it ends automatically, for one of ENDING; None: only what Microsoft lets
                expire ends automatically.

        Raises:
            ValueError: the action or its arguments are invalid.
        """
        if for_s is not None and action not in ENDING:
            raise ValueError(f"{action} does not end automatically; for_s is for {', '.join(ENDING)}")
        self.changes += 1
        person.changed = self.changes
        if action in DOING:
            person.doing = action
            self._choose(person, "")
        elif action in PREFERRED:
            self._choose(person, action)
            self._end(person, "preferred", for_s or PREFERRED_S.get(action, 7 * DAY_S), "unchosen")
        elif action in _SIMPLE:
            _SIMPLE[action](self, person, device, text)
            if for_s is not None:
                self._end(person, action, for_s, ENDING[action])
        else:
            raise ValueError(f"there is no action {action}; there are {', '.join(ACTIONS)}")

    def show(self, person: Person, shown: Shown) -> None:
        """Show exactly this presence to others, until the person's next action."""
        self._stop_fading(person)
        self._set(person, shown)

    def touch(self, person: Person) -> None:
        """Give the presence a new sequence number, and encode it again at the next read."""
        self.changes += 1
        person.changed = self.changes
        person.sequence = self._world.next_sequence()
        person.fragment = b""

    def forget(self, person: Person) -> None:
        """Cancel everything of a person that ends automatically, and the out-of-office state."""
        self._stop_fading(person)
        for due in (person.timers or {}).values():
            due.cancel()
        person.timers = person.app_session = None
        person.oof_event = person.out_of_office = False
        person.out_of_office_message = person.status_message = ""

    def snapshot(self) -> Callable[[], None]:
        """Save nothing, because the state belongs to the people; return a function that marks all people as changed."""

        def restore() -> None:
            self.changes += 1
            for person in self._world.people():
                person.changed = self.changes

        return restore

    def _set(self, person: Person, shown: Shown) -> None:
        if shown != person.shown:
            before, person.shown = person.shown, shown
            self.touch(person)
            self.on_shown(person, before)

    def _be_there(self, person: Person) -> None:
        self._stop_fading(person)
        if not there(person):
            person.desktop = "active"
        self._set(person, seen(person))

    def _choose(self, person: Person, preferred: str) -> None:
        person.preferred = preferred
        self._stop(person, "preferred")
        self._stop(person, "idle")
        self._be_there(person)

    # Devices

    def _come(self, person: Person, device: str, _text: str) -> None:
        person.doing = ""
        if device == "mobile":
            person.mobile = True
        else:
            person.desktop = "active"
        self._choose(person, "")

    def _available(self, person: Person, _device: str, _text: str) -> None:
        person.doing = ""
        if person.desktop or not person.mobile:
            person.desktop = "active"
        self._choose(person, "")

    def _hang_up(self, person: Person, _device: str, _text: str) -> None:
        person.doing = ""
        self._be_there(person)

    def _lock(self, person: Person, _device: str, _text: str) -> None:
        person.desktop = "locked"
        self._stop(person, "idle")
        self._be_there(person)

    def _unlock(self, person: Person, _device: str, _text: str) -> None:
        person.desktop = "active"
        self._stop(person, "idle")
        self._be_there(person)

    def _idle(self, person: Person, _device: str, _text: str) -> None:
        """Leave the desktop without input; after a while Teams shows the person as away."""
        self._be_there(person)
        if person.desktop:
            self._end(person, "idle", self._switches().inactive_s, "go_idle")

    def _go_idle(self, person: Person, _device: str, _text: str) -> None:
        if person.desktop == "active":
            person.desktop = "idle"
            self._be_there(person)

    def _switch_off(self, person: Person, device: str, _text: str) -> None:
        if device in {"desktop", "all"}:
            person.desktop = ""
            self._stop(person, "idle")
        if device in {"mobile", "all"}:
            person.mobile = False
        if there(person):
            self._be_there(person)
            return
        person.doing = ""
        self._stop_fading(person)
        person.faded += 1
        person.fade = self._clock.after(self._time(person, self._switches().linger_s), lambda: self._fade(person))

    def _fade(self, person: Person) -> None:
        """Let the lingering state fade after the last device was switched off."""
        person.fade = None
        idle = IDLE.get(person.shown.availability)
        if idle is None:
            self._set(person, OFFLINE)
            return
        self._set(person, idle)
        person.fade = self._clock.after(self._time(person, self._switches().idle_s), lambda: self._faded(person))

    def _faded(self, person: Person) -> None:
        person.fade = None
        self._set(person, OFFLINE)

    def _stop_fading(self, person: Person) -> None:
        if person.fade is not None:
            person.fade.cancel()
            person.fade = None

    # Additions to the state

    def _out_of_office(self, person: Person, _device: str, text: str) -> None:
        person.oof_event, person.out_of_office, person.out_of_office_message = False, True, text
        self._stop(person, "out_of_office_event")
        self._refresh(person)

    def _out_of_office_event(self, person: Person, _device: str, text: str) -> None:
        person.oof_event, person.out_of_office, person.out_of_office_message = True, True, text
        self._refresh(person)

    def _event_ends(self, person: Person, device: str, text: str) -> None:
        if person.oof_event:
            self._in_office(person, device, text)

    def _in_office(self, person: Person, _device: str, _text: str) -> None:
        person.oof_event, person.out_of_office, person.out_of_office_message = False, False, ""
        self._stop(person, "out_of_office")
        self._stop(person, "out_of_office_event")
        self._refresh(person)

    def _status_message(self, person: Person, _device: str, text: str) -> None:
        person.status_message, person.status_published = text, self._clock.utc()
        self._stop(person, "status_message")
        self.touch(person)

    def _refresh(self, person: Person) -> None:
        """Update the visible presence after a change other than of the two strings."""
        self.touch(person)
        if there(person):
            self._set(person, seen(person))

    # An application's session

    def _app_session(self, person: Person, _device: str, text: str) -> None:
        name = text or "Available"
        if name not in APPLICATIONS:
            raise ValueError(f"no application can set {name}; there are {', '.join(APPLICATIONS)}")
        person.app_session = APPLICATIONS[name]
        self._stop(person, "app_fade")
        if name == "Available":
            self._end(person, "app_fade", APP_SESSION_FADES_S, "app_inactive")
        self._end(person, "app_session", APP_SESSION_S, "app_session_end")
        self._be_there(person)

    def _app_inactive(self, person: Person, _device: str, _text: str) -> None:
        person.app_session = APPLICATION_INACTIVE
        self._end(person, "app_fade", APP_SESSION_FADES_S, "app_away")
        self._be_there(person)

    def _app_away(self, person: Person, _device: str, _text: str) -> None:
        person.app_session = AWAY
        self._be_there(person)

    def _app_session_end(self, person: Person, _device: str, _text: str) -> None:
        person.app_session = None
        self._stop(person, "app_session")
        self._stop(person, "app_fade")
        if there(person):
            self._be_there(person)
        elif person.fade is None:
            self._set(person, OFFLINE)

    # Automatic ends

    def _unchosen(self, person: Person, _device: str, _text: str) -> None:
        person.preferred = ""
        if there(person):
            self._be_there(person)

    def _end(self, person: Person, name: str, after_s: float, then: str) -> None:
        """Schedule the action `then`, replacing the one that was scheduled under this name."""
        self._stop(person, name)

        def due() -> None:
            timers = person.timers or {}
            timers.pop(name, None)
            self.changes += 1
            person.changed = self.changes
            _LATER[then](self, person, "desktop", "")

        if person.timers is None:
            person.timers = {}
        person.timers[name] = self._clock.after(after_s, due)

    def _stop(self, person: Person, name: str) -> None:
        if person.timers:
            due = person.timers.pop(name, None)
            if due is not None:
                due.cancel()

    def _time(self, person: Person, span: Span) -> float:
        """Return a random time out of a span, always the same for one person and occasion, independent of others."""
        least, most = span
        return (
            least + (most - least) * Chance(self._seed, person.oid, "fade", person.faded, len(person.shown[0])).share()
        )


_SIMPLE: Final[dict[str, Callable[[Life, Person, str, str], None]]] = {
    "come": Life._come,
    "available": Life._available,
    "hang_up": Life._hang_up,
    "lock": Life._lock,
    "unlock": Life._unlock,
    "idle": Life._idle,
    "out_of_office": Life._out_of_office,
    "out_of_office_event": Life._out_of_office_event,
    "in_office": Life._in_office,
    "status_message": Life._status_message,
    "app_session": Life._app_session,
    "app_session_end": Life._app_session_end,
    "switch_off": Life._switch_off,
}

_LATER: Final[dict[str, Callable[[Life, Person, str, str], None]]] = {
    "app_inactive": Life._app_inactive,
    "app_away": Life._app_away,
    "app_session_end": Life._app_session_end,
    "event_ends": Life._event_ends,
    "go_idle": Life._go_idle,
    "in_office": Life._in_office,
    "status_message": Life._status_message,
    "unchosen": Life._unchosen,
}

ENDING: Final = {
    **dict.fromkeys(PREFERRED, "unchosen"), "out_of_office": "in_office", "out_of_office_event": "event_ends",
    "status_message": "status_message", "app_session": "app_session_end",
}  # fmt: skip
"""Action that can end automatically -> the action that ends it."""

ACTIONS: Final = (*_SIMPLE, *DOING, *PREFERRED)
