"""The SIP server as a part of the agent: it follows its settings while it runs, and tells its subscriptions when it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import PhoneSource
from suite.agent.sipserver.access import SipAccess
from suite.agent.sipserver.documents import EVENTS
from suite.agent.sipserver.listening import LISTEN_AGAIN_S, SipListening, needs
from suite.agent.sipserver.phones import PhonesState
from suite.agent.sipserver.publishing import PhonePublishing
from suite.agent.sipserver.registering import PhoneRegistering
from suite.agent.sipserver.watching import PhoneWatching
from suite.agent.sources.source import Connector
from suite.sip.notifier import Notifier
from suite.sip.publications import Publications
from suite.sip.publish_door import PublishDoor
from suite.sip.user_agent import UserAgent, UserAgentSettings
from suite.sip.watchers import NotifierLimits

if TYPE_CHECKING:
    from collections import Counter

    from suite.agent.board import Board
    from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
    from suite.agent.sipserver.watching import NoteOf

COME_BACK_S: Final = 15
"""Phones are asked to subscribe again after so long when the agent stops: it may be started again."""
SHORTEST_S: Final = 30
"""Of a subscription or publication; phones can be set to no shorter time than this."""

SHOW_EVERY_S: Final = 2.0


class PhoneServer:
    """The SIP server. `run` serves until it is cancelled."""

    def __init__(
        self,
        settings: SipServerSettings,
        board: Board,
        note_of: NoteOf = lambda _: "",
        *,
        listen_again_s: float = LISTEN_AGAIN_S,
        user_agent: UserAgentSettings | None = None,
        shortest_s: int = SHORTEST_S,
        show_every_s: float = SHOW_EVERY_S,
    ) -> None:
        """Take the settings.

        Args:
            settings: the first ones.
            board: all colleagues.
            note_of: returns the note about somebody.
            listen_again_s: time between two tries of an address that cannot be had.
            user_agent: timers and bounds of the user agent.
            shortest_s: the shortest subscription or publication.
            show_every_s: time between two looks whether consoles must be told another state.
        """
        self._settings = settings
        self._board = board
        self._shortest_s = shortest_s
        self._show_every_s = show_every_s
        self._access = SipAccess(settings)
        self._watching = PhoneWatching(settings, board, self._access, note_of)
        self._publishing = PhonePublishing(settings, board, self._access)
        self._watching.on_colleagues = self._publishing.settle
        self._agent = UserAgent(user_agent)
        self._notifier = Notifier(self._agent, self._watching, EVENTS, self._limits())
        self._watching.count_of = self._notifier.count_of
        self._publications = Publications(shortest_s=shortest_s)
        self._door = PublishDoor(self._agent, self._publishing, EVENTS, self._publications)
        self._agent.handle("REGISTER", PhoneRegistering(self._access).registered)
        self._listening = SipListening(self._agent, listen_again_s, self._closing)

    @property
    def is_listening(self) -> bool:
        """Return True when it listens on all its addresses, and on no others."""
        return self._listening.open.keys() == set(self._settings.addresses)

    @property
    def phones(self) -> PhonesState:
        """Return its state."""
        trouble = self._listening.trouble
        if trouble:
            state = Connector.CONNECTION_ERROR
        else:
            state = Connector.UP_AND_RUNNING if self.is_listening else Connector.CONNECTING
        return PhonesState(state=state, detail=trouble, subscriptions=len(self))

    @property
    def counts(self) -> Counter[str]:
        """Return what was refused or lost, by reason."""
        return self._agent.transport.counts

    def __len__(self) -> int:
        """Return the number of subscriptions."""
        return len(self._notifier)

    def adjust(self, settings: SipServerSettings) -> bool:
        """Go on with other settings. Subscriptions stay as far as they are still allowed, and reachable.

        Returns:
            True: nothing must be begun anew.
        """
        before, self._settings = self._settings, settings
        self._access.use(settings)
        self._publishing.settings = settings
        if settings.publishers != before.publishers or settings.realm != before.realm:
            # Whoever may still publish does it again when its next refresh is answered 412.
            self._publications.clear()
            self._publishing.clear()
        self._watching.use(settings)
        self._notifier.limits = self._limits()
        self._listening.changed()
        return True

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self._agent:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._listening.run(lambda: self._settings), name="sip listening")
                    group.create_task(self._watching.follow(), name="sip watching")
                    group.create_task(self._show(), name="sip state")
            finally:
                self._door.close()
                self._publishing.clear()
                self._board.withdraw_telephony(PhoneSource.PUBLISHED)
                await self._notifier.close("probation", COME_BACK_S)

    async def _show(self) -> None:
        """Let consoles show the state when it is another one."""
        shown = PhonesState()
        while True:
            if shown != (shown := self.phones):
                self._board.wake_all()
            await asyncio.sleep(self._show_every_s)

    def _limits(self) -> NotifierLimits:
        most = self._settings.subscriptions
        return NotifierLimits(shortest_s=self._shortest_s, watchers=most, watchers_of_an_address=most)

    async def _closing(self, address: SipAddress, connections: bool) -> None:  # noqa: FBT001 - called by position
        """Ask those who subscribed over a socket that is about to be closed to subscribe again."""
        await self._notifier.end(
            [each for each in self._notifier if needs(each.flow, address, connections=connections)], "deactivated"
        )
