"""The feed to Asterisk or FreePBX: each colleague's state becomes that of a custom device, which lights lamps, and a presence state.

    the board ──► fed ──► names and values ──► Wishes ──► rate limit ──► Setvar

Asterisk keeps custom states after its own restart, and after the agent stops. So all states are sent again on each connection; a colleague
who leaves the board becomes unavailable; and so do all devices when the agent stops, so that no lamp stays lit.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import RichState
from suite.agent.feeds.ami import (
    AmiDenied,
    AmiError,
    AmiRefused,
    device_variable,
    is_settable,
    presence_value,
    presence_variable,
)
from suite.agent.feeds.ami_link import ANSWER_S, PING_S, opened
from suite.agent.feeds.fed import fed_state
from suite.agent.feeds.feed import FeedLink, client_context
from suite.agent.feeds.names import FedNames, leftovers
from suite.agent.feeds.states import device_state, presence_state
from suite.agent.feeds.wishes import Wishes
from suite.agent.sources.source import Connector, ConnectorState
from suite.backoff import Backoff
from suite.sip.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.board import Board
    from suite.agent.feeds.ami_link import AmiLink
    from suite.agent.settings.groups.asterisk import AsteriskSettings
    from suite.names import Key

log = logging.getLogger(__name__)

DENIED_WAIT_S: Final = 600.0
"""Seconds until a refused login is tried again: rarely enough not to be locked out."""
AGAIN_S: Final = (1.0, 300.0)
"""Shortest and longest pause in seconds before a refused state is sent again."""
STOP_S: Final = 5.0
"""Most seconds that a stopping agent waits for Asterisk."""
_PORTION: Final = 200
_DARK: Final = frozenset({"UNAVAILABLE", "UNKNOWN", "not_set"})
"""States of devices and presence that report nothing about a colleague."""
_WINDOW: Final = 32
"""Most actions that wait for their answers."""


class AsteriskFeed:
    """The feed to one Asterisk. Another one is made when its settings change.

    Attributes:
        link: the state of the connection.
    """

    feed_name: str = "Asterisk"

    def __init__(
        self,
        settings: AsteriskSettings,
        board: Board,
        *,
        on_connector: Callable[[], None] = lambda: None,
        backoff: Backoff | None = None,
        ping_s: float = PING_S,
        answer_s: float = ANSWER_S,
        denied_wait_s: float = DENIED_WAIT_S,
        again_s: tuple[float, float] = AGAIN_S,
    ) -> None:
        self._settings = settings
        self._board = board
        self._backoff = backoff or Backoff()
        self._ping_s = ping_s
        self._answer_s = answer_s
        self._denied_wait_s = denied_wait_s
        self._again_s = again_s
        self._wishes = Wishes()
        self._news = asyncio.Event()
        templates = [each for each in (settings.device, settings.presence) if each is not None]
        self._names = FedNames(templates, is_settable)
        self.link = FeedLink("asterisk", self._first(), on_connector)

    def _first(self) -> ConnectorState:
        settings = self._settings
        for setting, value in (("Address", settings.host), ("User", settings.user)):
            if not value:
                return ConnectorState(Connector.NOT_CONFIGURED, f"Asterisk.{setting} is not set.")
        if not settings.secret:
            return ConnectorState(Connector.CREDENTIALS_NOT_FOUND, "There is no secret: set Asterisk.SecretFile.")
        return ConnectorState(Connector.CONNECTING)

    async def run(self) -> None:
        """Run until cancelled. All devices then become unavailable, if Asterisk can be reached."""
        if self.link.connector.state is not Connector.CONNECTING:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="asterisk board")
            while True:
                wait_s = await self._until_broken()
                await asyncio.sleep(wait_s)

    async def _until_broken(self) -> float:
        """Feed until the connection breaks, report the reason, and return the seconds to wait."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._session()
        except AmiDenied as error:
            wait_min = self._denied_wait_s / 60
            self.link.report(Connector.FORBIDDEN, f"{error} The agent tries again in {wait_min:.0f} minutes.")
            return self._denied_wait_s
        except AmiError as error:
            self.link.report(Connector.CONNECTION_ERROR, str(error))
        return self._backoff.after(timedelta(seconds=loop.time() - began)).total_seconds()

    async def _session(self) -> None:
        settings = self._settings
        async with opened(
            settings.host,
            settings.port,
            settings.user,
            settings.secret,
            tls=client_context(settings.ca_pem) if settings.tls else None,
            answer_s=self._answer_s,
        ) as link:
            self._wishes.lost()
            self._news.set()
            self.link.report(Connector.UP_AND_RUNNING)
            try:
                await self._feed(link)
            except asyncio.CancelledError:
                await self._end(link)
                raise

    # To Asterisk

    async def _feed(self, link: AmiLink) -> None:
        """Send due values until the connection breaks."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.stay(self._ping_s), name="asterisk pings")
                await self._until_ready(link)
                await self._clear_leftovers(link)
                group.create_task(self._retry(), name="asterisk retries")
                group.create_task(self._send(link, Turns(self._settings.per_s)), name="asterisk sender")
        except ExceptionGroup as errors:
            if errors.split(AmiError)[1] is not None:
                raise
            raise _first_of(errors) from None

    async def _send(self, link: AmiLink, turns: Turns | None) -> None:
        """Send due values: with `turns` at their pace and without end, without `turns` all at once."""
        slots = asyncio.Semaphore(_WINDOW)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                while turns is not None and not self._wishes.due:
                    self._news.clear()
                    await self._news.wait()
                if turns is not None:
                    await turns.take()
                taken = self._wishes.take()
                if taken is None:
                    if turns is None:
                        return
                    slots.release()  # the due value changed back to the one that Asterisk has
                    continue
                group.create_task(self._set(link, *taken)).add_done_callback(lambda _: slots.release())

    async def _until_ready(self, link: AmiLink) -> None:
        """Send one state until Asterisk accepts it. A starting Asterisk accepts logins before it has the functions."""
        pause_s = self._again_s[0]
        while True:
            while (taken := self._wishes.take()) is None:
                self._news.clear()
                await self._news.wait()
            if await self._set(link, *taken):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._again_s[1])
            self._wishes.retry()

    async def _clear_leftovers(self, link: AmiLink) -> None:
        """Reset the states of colleagues who left while the agent was not connected. Asterisk keeps them until then."""
        settings = self._settings
        for template, action, name_field, state_field in (
            (settings.device, "DeviceStateList", "device", "state"),
            (settings.presence, "PresenceStateList", "presentity", "status"),
        ):
            if template is None:
                continue
            try:
                listed = await link.listing(action)
            except AmiRefused as error:  # the module that lists the states is not loaded
                log.info("asterisk: %s Lamps of former colleagues stay as they are.", error)
                continue
            known = {name for key in self._names for name in self._names[key]}
            set_ones = [each.get(name_field) for each in listed if each.get(state_field) not in _DARK]
            for name in leftovers(template, set_ones):
                if name not in known and is_settable(name):
                    self._remove(name)
        self._news.set()

    async def _set(self, link: AmiLink, variable: str, value: str) -> bool:
        """Set one state; return False when Asterisk refuses it."""
        try:
            await link.action("Setvar", Variable=variable, Value=value)
        except AmiDenied:
            raise
        except AmiRefused as error:
            self._wishes.refuse(variable)
            self.link.report(Connector.UP_AND_RUNNING, f"{error} The agent tries again.")
            return False
        self._wishes.done(variable)
        if not self._wishes.refused:
            self.link.report(Connector.UP_AND_RUNNING, self._names.trouble)
        return True

    async def _retry(self) -> None:
        """Send refused states again, with growing pauses."""
        pause_s = self._again_s[0]
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._again_s[1])
            self._wishes.retry()
            self._news.set()

    async def _end(self, link: AmiLink) -> None:
        """Reset all states to those of an unknown colleague."""
        self._wishes.lost()
        for key in self._names:
            self._want(key, RichState.UNKNOWN)
        try:
            async with asyncio.timeout(STOP_S):
                await self._send(link, None)
        except (TimeoutError, ExceptionGroup):
            log.warning("asterisk: %d states could not be reset. They stay as they are.", self._wishes.due)

    # From the board

    async def _follow(self) -> None:
        with self._board.listening(None, None, is_console=False) as listener:
            while True:
                await listener.wait()
                listener.take_notes()
                changed = listener.take()
                for start in range(0, len(changed), _PORTION):
                    for key in changed[start : start + _PORTION]:
                        self._show(key)
                    await asyncio.sleep(0)  # let other tasks run
                for key in self._names.take_freed():
                    self._show(key)
                self._news.set()

    def _show(self, key: Key) -> None:
        """Queue the state of a colleague who changed, came or left."""
        entry = self._board.entries.get(key)
        for old in self._names.set(key, entry.colleague if entry is not None else None):
            self._leave(old)
        if entry is not None:
            self._want(key, fed_state(entry.rich, self._board.winning))

    def _want(self, key: Key, state: RichState) -> None:
        for name in self._names[key]:
            self._wishes.want(*self._told(name, state))

    def _told(self, name: str, state: RichState) -> tuple[str, str]:
        """Return the variable of a name, and its value for a state."""
        if name.startswith("Custom:"):
            return device_variable(name), device_state(state, self._settings.lamp_for).value
        return presence_variable(name), presence_value(presence_state(state, self._settings.language))

    def _leave(self, name: str) -> None:
        self._wishes.leave(*self._told(name, RichState.UNKNOWN))

    def _remove(self, name: str) -> None:
        self._wishes.remove(*self._told(name, RichState.UNKNOWN))


def _first_of(group: ExceptionGroup[Exception]) -> Exception:
    """Return the error that ended a connection; a denial before the errors that followed from it."""
    denied, others = group.split(AmiDenied)
    found: BaseException = denied or others or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, Exception)
    return found
