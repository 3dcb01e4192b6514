"""The feed to a presence server: each colleague's state is published there (RFC 3903), so that its watchers need no way to the agent.

    the board ──► fed ──► documents ──► StateKeeper ──► PUBLISH

A published state is removed when it becomes unknown, when the colleague leaves the board, and when the agent stops. After a crash of the
machine, the server keeps it for `SipPublish.Expires`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import RichState
from suite.agent.feeds.documents import TYPES, published_document
from suite.agent.feeds.fed import fed_state
from suite.agent.feeds.feed import FeedLink, client_context
from suite.agent.feeds.names import FedNames, is_uri
from suite.agent.feeds.publishing import PublishTimes, StateKeeper
from suite.agent.sources.source import Connector, ConnectorState
from suite.sip.challenges import DigestClient
from suite.sip.digest import Login
from suite.sip.errors import SipDenied
from suite.sip.publisher import PublishedDocument
from suite.sip.servers import SipServer
from suite.sip.uris import host_port
from suite.sip.user_agent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.board import Board
    from suite.agent.feeds.documents import PublishedEvent
    from suite.agent.settings.groups.sip_publish import SipPublishSettings
    from suite.names import Key

log = logging.getLogger(__name__)

DENIED_WAIT_S: Final = 600.0
"""Seconds until a refused login is tried again: rarely enough not to be locked out."""
STOP_S: Final = 5.0
"""Most seconds that a stopping agent waits for the server."""
_PORTION: Final = 200
_FORBIDDEN: Final = 403

StateName = tuple[str, "PublishedEvent"]
"""A URI, and the event package of its published state."""


class SipPublishFeed:
    """The feed to one presence server. Another one is made when its settings change.

    Attributes:
        link: the state of the connection.
    """

    feed_name: str = "SipPublish"

    def __init__(
        self,
        settings: SipPublishSettings,
        board: Board,
        *,
        on_connector: Callable[[], None] = lambda: None,
        denied_wait_s: float = DENIED_WAIT_S,
        times: PublishTimes | None = None,
    ) -> None:
        self._settings = settings
        self._board = board
        self._denied_wait_s = denied_wait_s
        self._times = times
        self._names = FedNames([f"sip:{settings.user_template}"], is_uri)
        self._keeper: StateKeeper[StateName] | None = None
        self.link = FeedLink("sip publish", self._first(), on_connector)

    def _first(self) -> ConnectorState:
        if not self._settings.host:
            return ConnectorState(Connector.NOT_CONFIGURED, "SipPublish.Address is not set.")
        return ConnectorState(Connector.CONNECTING)

    async def run(self) -> None:
        """Run until cancelled. The published states are then removed, if the server can be reached."""
        if self.link.connector.state is not Connector.CONNECTING:
            await asyncio.Event().wait()
        server = self._server()
        async with UserAgent() as agent:

            def made(name: StateName) -> PublishedDocument:
                uri, event = name
                expires_s = int(self._settings.expires.total_seconds())
                return PublishedDocument(
                    agent, server, uri, event=event, content_type=TYPES[event], expires_s=expires_s
                )

            self._keeper = keeper = StateKeeper(made, self._settings.per_s, self._look, self._times)
            agent.on_closed(lambda _: keeper.probe())
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._follow(self._keeper), name="sip publish board")
                    while True:
                        await self._until_denied(self._keeper)
            finally:
                await self._end(self._keeper)

    def _server(self) -> SipServer:
        settings = self._settings
        login = Login(user=settings.user, password=settings.password) if settings.user else None
        return SipServer.at(
            host_port(settings.host, settings.port),
            settings.protocol,
            digest=DigestClient(login),
            tls=client_context(settings.ca_pem) if settings.protocol == "tls" else None,
        )

    async def _until_denied(self, keeper: StateKeeper[StateName]) -> None:
        """Publish until the server refuses the login, and wait then."""
        try:
            await keeper.run()
        except SipDenied as error:
            again = f"The agent tries again in {self._denied_wait_s / 60:.0f} minutes."
            state = Connector.FORBIDDEN if self._settings.user else Connector.CREDENTIALS_NOT_FOUND
            self.link.report(state, f"{error} {again}")
            await asyncio.sleep(self._denied_wait_s)

    async def _end(self, keeper: StateKeeper[StateName]) -> None:
        left = len(keeper)
        try:
            async with asyncio.timeout(STOP_S):
                left = await keeper.withdraw_all()
        except TimeoutError:
            pass
        if left:
            log.warning("sip publish: %d states could not be removed. The server keeps them until they expire.", left)

    def _look(self) -> None:
        """Report the state of the connection."""
        keeper = self._keeper
        if keeper is None:
            return
        if keeper.away is not None:
            self.link.report(Connector.CONNECTION_ERROR, str(keeper.away))
        elif keeper.refused:
            error = next(iter(keeper.refused.values()))
            is_for_all = len(keeper.refused) == len(keeper) and error.status == _FORBIDDEN
            many = len(keeper.refused)
            detail = f"{error} This concerns {many} state{'s' if many != 1 else ''} out of {len(keeper)}."
            self.link.report(Connector.FORBIDDEN if is_for_all else Connector.UP_AND_RUNNING, detail)
        elif keeper.has_answered:
            self.link.report(Connector.UP_AND_RUNNING, self._names.trouble)

    # From the board

    async def _follow(self, keeper: StateKeeper[StateName]) -> None:
        with self._board.listening(None, None, is_console=False) as listener:
            while True:
                await listener.wait()
                listener.take_notes()
                changed = listener.take()
                for start in range(0, len(changed), _PORTION):
                    for key in changed[start : start + _PORTION]:
                        self._show(keeper, key)
                    await asyncio.sleep(0)  # let other tasks run
                for key in self._names.take_freed():
                    self._show(keeper, key)

    def _show(self, keeper: StateKeeper[StateName], key: Key) -> None:
        """Publish the state of a colleague who changed, came or left."""
        entry = self._board.entries.get(key)
        for gone in self._names.set(key, entry.colleague if entry is not None else None):
            self._want(keeper, gone, RichState.UNKNOWN)
        if entry is not None:
            for uri in self._names[key]:
                self._want(keeper, uri, fed_state(entry.rich, self._board.winning))

    def _want(self, keeper: StateKeeper[StateName], uri: str, state: RichState) -> None:
        settings = self._settings
        for event in settings.events:
            keeper.want((uri, event), published_document(event, uri, state, settings.lamp_for, settings.language))
