"""Presence and the states of phones by SIP, from the preferred server that can be used.

    check ──► a server that answers ──► asking ──► what it said ──► trust applied ──► the board
      ▲                                   │
      └── every half minute, and when ────┘ a connection broke, or a login is refused

While no server answers, subscriptions wait: what was known is shown as uncertain, and then as unknown.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import PhoneSource, SourceName
from suite.agent.sources.sip.asking import SipAsking
from suite.agent.sources.sip.checking import check
from suite.agent.sources.sip.servers import ServerChoice
from suite.agent.sources.sip.trust import ServerTrust
from suite.agent.sources.source import NEEDS_A_PERSON, Connector, ConnectorState
from suite.backoff import PROVEN_AFTER, Backoff
from suite.sip.challenges import DigestClient
from suite.sip.digest import Login
from suite.sip.errors import SipError
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber
from suite.sip.user_agent import UserAgent, UserAgentSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.board import Board
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.sources.sip.resources import SipResource
    from suite.agent.sources.sip.states import SelfCheck
    from suite.sip.flows import Flow

log = logging.getLogger(__name__)
TICK_S: Final = 1.0
"""Seconds between two checks of the doubt."""
SHORTEST_PAUSE_S: Final = 1.0
"""Shortest time in seconds between two checks of a server that answers."""
_ORDER: Final = (Connector.FORBIDDEN, Connector.CREDENTIALS_NOT_FOUND, Connector.CONNECTION_ERROR)
"""States by precedence, when several servers cannot be used: those that a person must resolve come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipTiming:
    """The times of a SIP source, in seconds."""

    check_every: float = 30.0
    look_at_preferred_every: float = 60.0
    refused_again: float = 600.0
    """Pause after a server refused the login: more frequent attempts could lock the account."""


class SipSource:
    """The presence of the colleagues on the board by SIP. Another one is made when its settings change.

    Attributes:
        connector: the state of the connection to the server.
    """

    name: SourceName = SourceName.SIP

    def __init__(
        self,
        settings: SipSimpleSettings,
        board: Board,
        *,
        on_connector: Callable[[], None] = lambda: None,
        backoff: Backoff | None = None,
        timing: SipTiming | None = None,
        user_agent: UserAgentSettings | None = None,
    ) -> None:
        self.connector = ConnectorState(Connector.CONNECTING)
        self._settings = settings
        self._board = board
        self._on_connector = on_connector
        self._backoff = backoff or Backoff()
        self._timing = timing or SipTiming()
        self._user_agent = user_agent or UserAgentSettings(name="presence-suite agent")
        self._others = asyncio.Event()
        self._alarmed = asyncio.Event()
        self._choice = ServerChoice(count=len(settings.servers), look_every_s=self._timing.look_at_preferred_every)
        self._trust = ServerTrust(0.0, 0.0)
        self._asking: SipAsking
        self._found: dict[int, SelfCheck] = {}
        """Number of a server -> result of its last check."""
        self._is_broken = False
        self._used: int | None = None
        """Number of the server that has the subscriptions."""
        self._peers: frozenset[tuple[str, int]] = frozenset()

    def watch(self) -> None:
        """Notify the source that the colleagues on the board changed."""
        self._others.set()

    async def run(self) -> None:
        """Run until cancelled. The source's statements are then withdrawn."""
        try:
            idle = self._idle()
            if idle is None:
                await self._serve()
            else:
                self._connected(idle)
            await asyncio.Event().wait()
        finally:
            self._board.withdraw(self.name)
            self._board.withdraw_telephony(PhoneSource.SIP)

    def _idle(self) -> ConnectorState | None:
        """Return the state of a source that is not configured; None when it can run."""
        if not self._settings.servers:
            return ConnectorState(Connector.NOT_CONFIGURED, "SipSimple.Address is not set.")
        if not self._settings.uri:
            return ConnectorState(Connector.NOT_CONFIGURED, "SipSimple.Uri is not set.")
        return None

    async def _serve(self) -> None:
        """Subscribe at servers until cancelled."""
        settings = self._settings
        self._trust = ServerTrust(self._now(), settings.unknown_after.total_seconds())
        servers = self._servers()
        async with UserAgent(self._user_agent) as agent:
            await self._bound(agent)
            subscriber = Subscriber(agent, settings.per_s)
            agent.on_closed(self._closed)
            asking = self._asking = SipAsking(subscriber, settings, self._show, self._alarmed.set)
            subscriber.turns.hold()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._follow_board(), name="sip colleagues")
                    group.create_task(self._tick(), name="sip doubt")
                    group.create_task(self._keep_a_server(servers, subscriber), name="sip server")
            finally:
                await asking.close()
                await subscriber.close()

    def _servers(self) -> list[SipServer]:
        settings = self._settings
        tls = None
        if settings.protocol == "tls":
            ca = settings.ca_pem.decode() if settings.ca_pem is not None else None
            tls = ssl.create_default_context(cadata=ca)
        login = Login(user=settings.user, password=settings.password) if settings.password else None
        return [
            replace(
                SipServer.at(address, settings.protocol, digest=DigestClient(login), tls=tls),
                tls_name=settings.server_name,
                also_from=settings.notify_from,
            )
            for address in settings.servers
        ]

    async def _bound(self, agent: UserAgent) -> None:
        """Bind the local address of the settings, and retry until that succeeds."""
        settings = self._settings
        while settings.protocol == "udp" and (settings.local_address or settings.local_port):
            host = settings.local_address or "0.0.0.0"  # noqa: S104 - it takes what servers send
            try:
                await agent.listen("udp", host, settings.local_port)
            except OSError as error:
                detail = f"{host}, UDP port {settings.local_port} cannot be used: {error.strerror or error}."
                self._connected(ConnectorState(Connector.CONNECTION_ERROR, detail))
                await asyncio.sleep(self._backoff.after(timedelta(0)).total_seconds())
            else:
                return

    # ---- the server -----------------------------------------------------------------------------------------------------

    async def _keep_a_server(self, servers: list[SipServer], subscriber: Subscriber) -> None:
        """Check servers periodically, and at once after an alarm."""
        while True:
            self._alarmed.clear()
            began = self._now()
            verdict = await self._look(servers, subscriber)
            if verdict.is_usable:
                self._backoff.after(PROVEN_AFTER)  # the next pause without a server is the shortest again
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.check_every):
                        await self._alarmed.wait()
                await asyncio.sleep(max(0.0, began + SHORTEST_PAUSE_S - self._now()))
            elif verdict.needs_a_person:
                await asyncio.sleep(self._timing.refused_again)
            else:
                await asyncio.sleep(self._backoff.after(timedelta(0)).total_seconds())

    async def _look(self, servers: list[SipServer], subscriber: Subscriber) -> SelfCheck:
        """Check servers until one passes, and use it. Return its check, or else the failed check that decides the next pause."""
        spare: list[int] = []
        for number in self._choice.candidates(self._now()):
            found = self._found[number] = await check(subscriber, servers[number], self._settings)
            if not found.is_usable:
                again = self._now() + self._timing.refused_again if found.needs_a_person else None
                self._choice.fails(number, again)
            elif self._choice.answers(number, self._now()):
                return await self._used_now(number, servers, subscriber)
            else:
                spare.append(number)
        for number in spare:
            # A preferred one that answered for the first time is better than none.
            if self._choice.answers(number, self._now()):
                return await self._used_now(number, servers, subscriber)
        return self._without_server(subscriber)

    async def _used_now(self, number: int, servers: list[SipServer], subscriber: Subscriber) -> SelfCheck:
        found = self._found[number]
        await self._use(number, servers[number])
        subscriber.turns.release()
        self._connected(self._in_words(found.state, number, servers))
        return found

    def _without_server(self, subscriber: Subscriber) -> SelfCheck:
        """Pause all subscriptions, and return the failed check that decides the next pause."""
        subscriber.turns.hold()
        failed = [each for each in self._found.values() if not each.is_usable]
        worst = min(failed, key=lambda each: _ORDER.index(each.state.state))
        self._trust.lost(self._now(), worst.state.state.value if worst.needs_a_person else "")
        self._asking.broke()
        self._show_all()
        self._connected(worst.state)
        # One server may refuse the agent while another is only unreachable: that one is checked again soon.
        return next((each for each in failed if not each.needs_a_person), worst)

    async def _use(self, number: int, server: SipServer) -> None:
        """Start or resume the subscriptions at a server."""
        before, self._used = self._used, number
        was_lost = self._trust.down_since is not None or self._is_broken
        self._is_broken = False
        self._trust.found()
        if before != number:
            with suppress(SipError):
                self._peers = frozenset((target.host, target.port) for target in await server.targets())
            is_planned = before is not None and self._found[before].is_usable and not was_lost
            self._asking.use(server, is_planned=is_planned)
            self._show_all()
        elif was_lost:
            self._asking.server_is_back()
            self._show_all()
        elif server.protocol == "udp":
            self._asking.try_one()

    @staticmethod
    def _in_words(state: ConnectorState, number: int, servers: list[SipServer]) -> ConnectorState:
        if number == 0 or state.detail:
            return state
        return ConnectorState(
            state.state, f"{servers[number]} is used, because {servers[0]} is preferred but cannot be used."
        )

    def _closed(self, flow: Flow) -> None:
        """Note that a connection was closed."""
        if flow.peer in self._peers:
            self._is_broken = True
            self._asking.broke()
            self._alarmed.set()

    # ---- the board ------------------------------------------------------------------------------------------------------

    async def _follow_board(self) -> None:
        """Subscribe to the colleagues on the board, whenever they change."""
        while True:
            self._others.clear()
            colleagues = [(key, entry.colleague) for key, entry in self._board.entries.items()]
            for key in self._asking.follow(colleagues):
                self._board.state_rich(key, self.name, None)
                self._board.state_telephony(key, PhoneSource.SIP, None)
            self._show_all()
            await self._others.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._now()
            for resource in self._asking.resources.values():
                if self._trust.doubt(resource, now) != resource.shown:
                    self._show(resource)

    def _show_all(self) -> None:
        for resource in self._asking.resources.values():
            self._show(resource)

    def _show(self, resource: SipResource) -> None:
        """Put the state of a resource on the board, with doubt applied."""
        resource.shown = self._trust.doubt(resource, self._now())
        rich, phone = resource.statements(resource.shown)
        for key in resource.keys:
            if resource.says_why:
                self._board.state_rich(key, self.name, rich)
            if resource.says_phone:
                self._board.state_telephony(key, PhoneSource.SIP, phone)

    def _connected(self, connector: ConnectorState) -> None:
        if connector != self.connector:
            if connector.state is not self.connector.state:
                level = logging.WARNING if connector.state in NEEDS_A_PERSON else logging.INFO
                log.log(level, "sip: %s", f"{connector.state.value} {connector.detail}".rstrip())
            self.connector = connector
            self._on_connector()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
