"""The SIP server as a part of the agent: it applies new settings while it runs, and ends its subscriptions when it stops."""

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
"""Retry-after of subscriptions, in seconds, when the agent stops: it may be started again."""
SHORTEST_S: Final = 30
"""Shortest lifetime of a subscription or publication, in seconds: the shortest that phones can be set to."""

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
        """Prepare the server.

        Args:
            settings: the first settings.
            board: all colleagues.
            note_of: returns the note about a colleague.
            listen_again_s: seconds between two attempts to open an address.
            user_agent: timers and bounds of the user agent.
            shortest_s: shortest lifetime of a subscription or publication, in seconds.
            show_every_s: seconds between two checks whether the state that consoles show has changed.
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
        """Return True when the server listens on the addresses of its settings, and on no others."""
        return self._listening.open.keys() == set(self._settings.addresses)

    @property
    def phones(self) -> PhonesState:
        """Return the state of the SIP server."""
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
        """Apply new settings. Subscriptions that are still allowed and reachable continue.

        Returns:
            True, because the server needs no restart.
        """
        before, self._settings = self._settings, settings
        self._access.use(settings)
        self._publishing.settings = settings
        if settings.publishers != before.publishers or settings.realm != before.realm:
            # A client that may still publish does so again when its next refresh is answered 412.
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
        """Notify consoles when the state has changed."""
        shown = PhonesState()
        while True:
            if shown != (shown := self.phones):
                self._board.wake_all()
            await asyncio.sleep(self._show_every_s)

    def _limits(self) -> NotifierLimits:
        most = self._settings.subscriptions
        return NotifierLimits(shortest_s=self._shortest_s, watchers=most, watchers_of_an_address=most)

    async def _closing(self, address: SipAddress, connections: bool) -> None:  # noqa: FBT001 - called by position
        """End the subscriptions over a socket that is about to be closed, so that their phones subscribe again."""
        await self._notifier.end(
            [each for each in self._notifier if needs(each.flow, address, connections=connections)], "deactivated"
        )
