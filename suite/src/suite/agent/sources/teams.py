"""Microsoft Teams, from the relay: one client for all consoles, whose answers go on the board.

    the board's colleagues ──► names to watch ──► PresenceClient ──► what it was told of each ──► doubt applied ──► the board
                                                       │
                                                       └── every second: token and changed answers to the store

A restarted agent shows what the store has, as uncertain, and the relay sends only what changed since.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from suite import events as ev
from suite.agent.answers import RelayAnswers
from suite.agent.core.values import SourceName
from suite.agent.sources.doubt import Doubt, Trust
from suite.agent.sources.organisation import connection_to
from suite.agent.sources.source import NEEDS_A_PERSON, Connector, ConnectorState
from suite.agent.sources.statements import PENDING, TOO_MANY, doubted, statement_of
from suite.agent.store.answers import owner_of
from suite.chunking import MAX_USERS_A_MESSAGE, MAX_USERS_A_STREAM
from suite.client import PresenceClient
from suite.errors import ConfigError, Refused
from suite.names import key_of
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.board import Board
    from suite.agent.core.values import RichStatement
    from suite.agent.settings.groups.teams import TeamsSettings
    from suite.agent.store.answers import AnswerStore
    from suite.backoff import Backoff
    from suite.names import Key

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Seconds between two checks of the doubt, and between two writes to the store."""
REFUSED_WAIT_S: Final = 60.0
"""Seconds between a refusal and the next attempt: after a person has acted at the relay, the agent needs no restart."""
_OF_THE_KEY: Final = frozenset({"ERROR_REASON_SUITE_KEY_UNKNOWN", "UNAUTHENTICATED"})
"""Reasons of the relay for a key that it does not know. A revoked key is known, and forbidden."""


class TeamsSource:
    """The Teams presence of the colleagues on the board. Another one is made when its settings change.

    Attributes:
        connector: the state of the connection to the relay.
    """

    name: SourceName = SourceName.TEAMS

    def __init__(
        self,
        settings: TeamsSettings,
        board: Board,
        store: AnswerStore | None = None,
        *,
        answers: RelayAnswers | None = None,
        on_connector: Callable[[], None] = lambda: None,
        version: str = "",
        backoff: Backoff | None = None,
    ) -> None:
        self.connector = ConnectorState(Connector.CONNECTING)
        self._settings = settings
        self._board = board
        self._store = store
        self._answers = answers if answers is not None else RelayAnswers()
        self._on_connector = on_connector
        self._version = version
        self._backoff = backoff
        self._keys: dict[str, list[Key]] = {}
        """Watched name -> the board's keys of the colleagues with this UPN."""
        self._said: dict[str, RichStatement] = {}
        """Watched name -> the relay's last statement, before doubt is applied."""
        self._others = asyncio.Event()
        self._trust = Trust(0.0, 0.0)
        self._doubt: tuple[Doubt, str] = self._trust.doubt(0.0)
        self._dirty: set[str] = set()
        self._stored_token = ""
        self._is_complete = False
        self._organisation = Status.NONE
        """The last status of the organisation. The relay sends it on each stream."""

    def watch(self) -> None:
        """Notify the source that the colleagues on the board changed."""
        self._others.set()

    async def run(self) -> None:
        """Run until cancelled. The source's statements are then withdrawn."""
        try:
            idle = self._idle()
            while idle is None:
                await self._until_refused()
                await asyncio.sleep(REFUSED_WAIT_S)
            self._connected(idle)
            await asyncio.Event().wait()
        finally:
            self._board.withdraw(self.name)
            self._answers.renew()

    def _idle(self) -> ConnectorState | None:
        """Return the state of a source that is off or not configured; None when it can run."""
        if not self._settings.enabled:
            return ConnectorState(Connector.DISABLED)
        if not self._settings.address:
            return ConnectorState(Connector.NOT_CONFIGURED, "Relay.Address is not set.")
        if not self._settings.key:
            return ConnectorState(Connector.CREDENTIALS_NOT_FOUND, "There is no suite key: set Relay.KeyFile.")
        return None

    async def _until_refused(self) -> None:
        """Run one client until the relay refuses it."""
        # A refusal holds until the relay has let the agent in: nothing old is shown meanwhile.
        self._trust = Trust(self._now(), self._settings.unknown_after.total_seconds(), self._trust.refusal)
        self._is_complete, self._organisation = False, Status.NONE
        try:
            client = await self._opened()
        except ConfigError as error:
            self._connected(ConnectorState(Connector.NOT_CONFIGURED, str(error)))
            return
        async with client:
            beside = [asyncio.create_task(self._tick(client)), asyncio.create_task(self._follow_board(client))]
            try:
                async for event in client.events():
                    self._take(event, client)
                    for task in beside:
                        if task.done():
                            task.result()  # raises its exception
            except Refused as error:
                self._refused(error)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.wait(beside)
                await self._keep(client)

    async def _opened(self) -> PresenceClient:
        """Return a client with the stored answers, and show them as uncertain."""
        settings, store = self._settings, self._store
        self._others.clear()
        self._keys = self._wanted()
        held = await asyncio.to_thread(store.load, owner_of(settings)) if store is not None else None
        client = PresenceClient(
            settings.address,
            settings.key,
            ca_pem=settings.ca_pem,
            server_name=settings.server_name,
            proxy=settings.proxy,
            form=settings.form,
            client_name="presence-suite agent",
            version=self._version,
            instance_id=store.instance_id if store is not None else None,
            users=self._keys,
            held=held,
            backoff=self._backoff,
        )
        self._doubt = self._trust.doubt(self._now())
        self._pass_on_doubt()
        self._answers.find = client.find
        self._read_all(client)
        # Names that are not watched any more are deleted from the store with the next token, which does not cover them.
        self._dirty.update(held.names if held is not None else ())
        return client

    # Names to watch

    def _wanted(self) -> dict[str, list[Key]]:
        """Return the names to watch, up to the limit of a stream -> the board's keys of the colleagues with this UPN."""
        most = MAX_USERS_A_STREAM if self._settings.form == "watch" else MAX_USERS_A_MESSAGE
        spelled: dict[Key, str] = {}
        wanted: dict[str, list[Key]] = {}
        for key, entry in self._board.entries.items():
            if not entry.colleague.upn:
                continue
            name = spelled.setdefault(key_of(entry.colleague.upn), entry.colleague.upn)
            if name in wanted or len(wanted) < most:
                wanted.setdefault(name, []).append(key)
            else:
                self._board.state_rich(key, self.name, TOO_MANY)
        for name_key, wanted_name in self._answers.wanted.items():
            name = spelled.setdefault(name_key, wanted_name)
            if name in wanted or len(wanted) < most:
                wanted.setdefault(name, [])
        return wanted

    async def _follow_board(self, client: PresenceClient) -> None:
        """Update the watched names when the colleagues on the board change."""
        while True:
            await self._others.wait()
            self._others.clear()
            before, self._keys = self._keys, self._wanted()
            gone = [name for name in before if name not in self._keys]
            for name in gone:
                self._said.pop(name, None)
            self._dirty.update(gone)
            await client.unsubscribe(gone)
            await client.subscribe(name for name in self._keys if name not in before)
            for name in self._keys:
                self._say(name, self._said.get(name, PENDING))

    # Events of the relay

    def _take(self, event: ev.Event, client: PresenceClient) -> None:
        """Take one event."""
        match event:
            case ev.Changed(_, names):
                for name in names:
                    self._read(name, client)
            case ev.Resolved(name):
                self._read(name, client)
            case ev.Connected():
                self._dirty.update(self._keys)
                self._connected(connection_to(self._organisation))
            case ev.Disconnected(reason):
                self._is_complete = False
                self._trust.broke(self._now())
                self._connected(ConnectorState(Connector.CONNECTION_ERROR, reason))
            case ev.Reset():
                self._is_complete = False
                self._trust.reset()
                self._read_all(client)
            case ev.SnapshotComplete():
                self._is_complete = True
                self._trust.completed()
                self._look(client)
            case ev.TenantStatus(status, contact_time, poll_interval):
                self._organisation = status
                self._answers.contacted(contact_time, poll_interval)
                self._trust.tenant(status)
                self._connected(connection_to(status))
                self._look(client)
            case ev.Progress(contact_time, poll_interval):
                self._answers.contacted(contact_time, poll_interval)

    def _read_all(self, client: PresenceClient) -> None:
        for name in self._keys:
            self._read(name, client)

    def _read(self, name: str, client: PresenceClient) -> None:
        """Show the client's answer about a name."""
        if name in self._keys:
            self._dirty.add(name)
            found = client.find(name)
            self._say(name, statement_of(*found))
            self._answers.put(name, *found)

    def _say(self, name: str, said: RichStatement) -> None:
        self._said[name] = said
        shown = doubted(said, self._doubt)
        for key in self._keys[name]:
            self._board.state_rich(key, self.name, shown)

    def _look(self, client: PresenceClient) -> None:
        """Show all statements again when the doubt has changed."""
        doubt = self._trust.doubt(self._now())
        if doubt != self._doubt:
            self._doubt = doubt
            self._read_all(client)
        self._pass_on_doubt()

    def _pass_on_doubt(self) -> None:
        """Report the doubt to clients of the relay's own API."""
        degree, _ = self._doubt
        status = self._organisation if degree is Doubt.UNCERTAIN else Status.NONE
        if degree is Doubt.UNCERTAIN and status is Status.NONE:
            status = Status.STALE
        if degree is Doubt.UNKNOWN:
            status = Status.SOURCE_UNREACHABLE
        self._answers.trust(status, is_hidden=degree is Doubt.UNKNOWN)

    def _refused(self, error: Refused) -> None:
        is_key = error.reason in _OF_THE_KEY
        state = Connector.CREDENTIALS_NOT_FOUND if is_key else Connector.FORBIDDEN
        self._connected(ConnectorState(state, str(error)))
        self._trust.refused(state.value)
        self._doubt = self._trust.doubt(self._now())
        self._pass_on_doubt()
        for name in self._keys:
            self._say(name, self._said.get(name, PENDING))

    def _connected(self, connector: ConnectorState) -> None:
        if connector != self.connector:
            if connector.state is not self.connector.state:
                level = logging.WARNING if connector.state in NEEDS_A_PERSON else logging.INFO
                log.log(level, "teams: %s", f"{connector.state.value} {connector.detail}".rstrip())
            self.connector = connector
            self._on_connector()

    # The store

    async def _tick(self, client: PresenceClient) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._answers.sweep()
            self._look(client)
            if self._is_complete and not client.has_events:
                await self._keep(client)

    async def _keep(self, client: PresenceClient) -> None:
        """Store the answers that changed since the last call, together with the token that covers them."""
        if self._store is None or not self._is_complete or client.has_events:
            return
        held = client.held(name for name in self._dirty if name in self._keys)
        if not self._dirty and held.token == self._stored_token:
            return
        dirty, self._dirty = self._dirty, set()
        writing = asyncio.create_task(
            asyncio.to_thread(self._store.save, owner_of(self._settings), held, dirty - held.names.keys())
        )
        try:
            await asyncio.wait({writing})
        finally:
            # A write is not cancelled: the last one, when the agent stops, must follow it and know its result.
            await asyncio.wait({writing})
            if writing.result():
                self._stored_token = held.token
            else:
                self._dirty |= dirty

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
