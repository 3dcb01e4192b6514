"""Build an agent from its parts, and apply changes of its settings while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from importlib import metadata
from typing import TYPE_CHECKING, Final

from suite.agent.added import AddedColleagues
from suite.agent.answers import RelayAnswers
from suite.agent.api.accepting import ServerTls
from suite.agent.api.app import LocalApi
from suite.agent.api.guard import Guard
from suite.agent.api.serving import listen, serving
from suite.agent.api.sign_in import SignIn
from suite.agent.board import Board
from suite.agent.certificate import server_context
from suite.agent.core.values import SourceName
from suite.agent.feeds.asterisk import AsteriskFeed
from suite.agent.feeds.feed import Feed
from suite.agent.files import LOOK_EVERY_S
from suite.agent.notekeeping.clock import NoteClock
from suite.agent.notekeeping.follower import HubFollower
from suite.agent.notekeeping.keeper import NoteKeeper
from suite.agent.parts import Parts, RunningPart
from suite.agent.rpc.server import RpcTls, rpc_serving
from suite.agent.settings.kinds import is_loopback
from suite.agent.settings.watching import SettingsWatch
from suite.agent.sipserver.phones import PhonesState, ServesPhones
from suite.agent.sources.local import LocalStates
from suite.agent.sources.sfb.skype import SkypeSource
from suite.agent.sources.sip.opening import sip_source
from suite.agent.sources.source import Connector, ConnectorState, RichSource
from suite.agent.sources.teams import TeamsSource
from suite.agent.store.answers import AnswerStore
from suite.agent.store.colleagues import ColleagueStore
from suite.agent.store.database import Database, StoreInUse
from suite.agent.store.notes import NoteStore
from suite.agent.users.watching import UsersWatch
from suite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from socket import socket

    from suite.agent.settings.groups.api import ApiSettings
    from suite.agent.settings.groups.asterisk import AsteriskSettings
    from suite.agent.settings.groups.hub import HubSettings
    from suite.agent.settings.groups.sfb import SfbSettings
    from suite.agent.settings.groups.sip_publish import SipPublishSettings
    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.settings.groups.teams import TeamsSettings
    from suite.agent.settings.load import AgentSettings, LoadedSettings
    from suite.agent.settings.reading import LineFault
    from suite.agent.users.reading import UsersFile
    from suite.backoff import Backoff

log = logging.getLogger("suite.agent")

EXPIRE_EVERY_S: Final = 1.0


class Agent:
    """One agent. `run` serves until it is cancelled.

    Attributes:
        board: all colleagues, with the state that consoles show.
    """

    def __init__(
        self, path: Path, loaded: LoadedSettings, *, look_every_s: float = LOOK_EVERY_S, backoff: Backoff | None = None
    ) -> None:
        """Build an agent from settings that were loaded.

        Args:
            path: the settings file.
            loaded: its content, with settings that can be used.
            look_every_s: interval at which files are checked for changes.
            backoff: the waits between two streams to the relay.
        """
        assert loaded.settings is not None
        self._settings: AgentSettings = loaded.settings
        self._watch = SettingsWatch(path, loaded)
        self._path = path
        self._look_every_s = look_every_s
        self._backoff = backoff
        self._version = _version()
        self._users: UsersWatch | None = None
        self._answers: AnswerStore | None = None
        self._parts = Parts()
        self._notes: NoteKeeper | None = None
        api, certificate = self._settings.api, self._settings.api.certificate
        self._is_local = is_loopback(api.host)
        self._sign_in = SignIn(api.token, port=api.port, is_secure=certificate is not None)
        self._tls = ServerTls(server_context(certificate)) if certificate is not None else None
        self._rpc_tls = RpcTls(certificate) if certificate is not None else None
        self._passed_on = RelayAnswers()
        self._passed_on.on_wanted = self._watched
        self.board = Board(self._settings.winning)
        self.board.on_watched = self._watched

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ConfigError: the port is taken, or another agent uses the store.
        """
        self._tell(self._path, self._watch.in_force.faults)
        settings = self._settings
        database = await asyncio.to_thread(_database, settings.store)
        try:
            self._answers = AnswerStore(database) if database is not None else None
            notes = NoteKeeper(self.board, NoteStore(database) if database is not None else None, NoteClock())
            self._notes = notes
            await notes.load()
            added = AddedColleagues(self.board, ColleagueStore(database) if database is not None else None)
            await added.load()
            await self._read_users()
            try:
                await self._serve(notes, added)
            finally:
                await self._parts.close()
                await notes.close()
        finally:
            if database is not None:
                database.close()

    async def _serve(self, notes: NoteKeeper, added: AddedColleagues) -> None:
        """Serve the local API."""
        settings = self._settings
        local = LocalStates(self.board, asyncio.get_running_loop().time)
        api = LocalApi(
            board=self.board,
            local=local,
            notes=notes,
            added=added,
            connectors=self._connectors,
            feeds=self._feeds,
            version=self._version,
            consoles=settings.api.consoles,
            phones=self._phones,
            sign_in=self._sign_in,
        )
        guard = self._guard(api)
        async with (
            serving(guard, _bound(settings), settings.api.consoles, self._tls) as server,
            self._rpc_serving(),
        ):
            self._told_address()
            try:
                await self._run(guard, local, notes, server)
            finally:
                api.stopping.set()

    async def _run(self, guard: Guard, local: LocalStates, notes: NoteKeeper, server: asyncio.Task[None]) -> None:
        await self._use_parts()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(guard), name="follow")
            group.create_task(self._expire(local), name="expire")
            group.create_task(notes.run(), name="notes")
            await asyncio.wait({server})  # `await server` would cancel it in the middle of its connections
            server.result()
            raise RuntimeError("The server ended.")

    def _guard(self, api: LocalApi) -> Guard:
        settings = self._settings.api
        scheme = "https" if self._tls is not None else "http"
        return Guard(
            api.app(),
            settings.port,
            settings.origins,
            host=settings.host,
            scheme=scheme,
            any_host=not is_loopback(settings.host),
        )

    def _rpc_serving(self) -> contextlib.AbstractAsyncContextManager[object]:
        api = self._settings.api
        if api.grpc_port is None:
            return contextlib.nullcontext()
        return rpc_serving(api.host, api.grpc_port, self._passed_on, self._sign_in, api.consoles, self._rpc_tls)

    def _told_address(self) -> None:
        api = self._settings.api
        log.info(
            "serving on %s://%s:%d%s%s, %d colleagues",
            "https" if self._tls is not None else "http",
            f"[{api.host}]" if ":" in api.host else api.host,
            api.port,
            f" and gRPC on port {api.grpc_port}" if api.grpc_port is not None else "",
            " with a token" if api.token else "",
            len(self.board),
        )

    # Files

    async def _follow(self, guard: Guard) -> None:
        """Check the settings and the file of colleagues for changes, and apply them."""
        while True:
            await asyncio.sleep(self._look_every_s)
            loaded = await asyncio.to_thread(self._watch.look)
            if loaded is not None:
                self._tell(self._path, loaded.faults)
                if loaded.settings is None:
                    log.warning("settings: the new version cannot be used. The old one stays in force.")
                else:
                    await self._apply(loaded.settings, guard)
            if self._users is not None and (found := await asyncio.to_thread(self._users.look)) is not None:
                self._take_users(found)

    async def _apply(self, new: AgentSettings, guard: Guard) -> None:
        """Apply new settings."""
        old, self._settings = self._settings, new
        log.info("settings: a new version is in force")
        self.board.set_winning(new.winning)
        guard.origins = frozenset(new.api.origins)
        if new.users_file != old.users_file:
            await self._read_users()
        await self._use_parts()
        self._apply_access(old.api, new.api)
        if _fixed(new) != _fixed(old):
            log.warning(
                "settings: Host, Port, GrpcPort, Consoles, Store and those of the log, and whether there is a certificate, "
                "take effect at the next start"
            )

    def _apply_access(self, old: ApiSettings, new: ApiSettings) -> None:
        """Apply a new token or certificate. A new token ends open connections; a new certificate applies to new ones."""
        # A new address takes effect at the next start. Until then, one that other machines can reach never goes without a token.
        if new.token != old.token and (new.token or self._is_local):
            self._sign_in.use(new.token)
            log.info("api: another token is in force" if new.token else "api: no token is needed any more")
        if self._tls is not None and new.certificate is not None and new.certificate != old.certificate:
            try:
                self._tls.context = server_context(new.certificate)
            except ValueError as error:  # it was valid a moment ago: the disk or memory is full
                log.warning("api: the certificate stays as it was. %s", error)
                return
            if self._rpc_tls is not None:
                self._rpc_tls.certificate = new.certificate
            log.info("api: another certificate is in force")

    async def _read_users(self) -> None:
        path = self._settings.users_file
        self._users = await asyncio.to_thread(UsersWatch, path) if path is not None else None
        if self._users is None:
            self.board.set_colleagues(())
        else:
            self._take_users(await asyncio.to_thread(self._users.load))

    def _take_users(self, found: UsersFile) -> None:
        assert self._users is not None
        self._tell(self._users.path, found.faults)
        if found.colleagues is None:
            log.warning("colleagues: the file cannot be used. The colleagues stay as they are.")
        else:
            self.board.set_colleagues(found.colleagues)
            log.info("colleagues: %d, %d rows or columns with faults", len(found.colleagues), len(found.faults))

    def _tell(self, path: Path, faults: Iterable[LineFault]) -> None:
        for fault in faults:
            log.log(logging.ERROR if fault.breaks else logging.WARNING, "%s: %s", path.name, fault)

    # Sources and other parts

    async def _use_parts(self) -> None:
        """Start the parts that the settings enable, and restart those whose settings changed."""
        settings = self._settings
        await self._parts.use("teams", settings.teams, self._teams)
        await self._parts.use("sfb", settings.sfb, self._sfb, is_wanted=settings.sfb.enabled)
        await self._parts.use("sip", settings.sip, self._sip, is_wanted=settings.sip.enabled)
        await self._parts.use("hub", settings.hub, self._hub, is_wanted=bool(settings.hub.url))
        sip_server = settings.sip_server
        await self._parts.use("sip server", sip_server, self._sip_server, is_wanted=sip_server.enabled)
        await self._parts.use("asterisk", settings.asterisk, self._asterisk, is_wanted=settings.asterisk.enabled)
        publish = settings.sip_publish
        await self._parts.use("sip publish", publish, self._sip_publish, is_wanted=publish.enabled)

    def _teams(self, settings: TeamsSettings) -> TeamsSource:
        return TeamsSource(
            settings,
            self.board,
            self._answers,
            answers=self._passed_on,
            on_connector=self.board.wake_all,
            version=self._version,
            backoff=self._backoff,
        )

    def _sfb(self, settings: SfbSettings) -> SkypeSource:
        return SkypeSource(settings, self.board, on_connector=self.board.wake_all, backoff=self._backoff)

    def _sip(self, settings: SipSimpleSettings) -> RichSource:
        return sip_source(settings, self.board, self.board.wake_all, self._backoff)

    def _hub(self, settings: HubSettings) -> HubFollower:
        assert self._notes is not None
        return HubFollower(settings, self._notes, self._backoff)

    def _sip_server(self, settings: SipServerSettings) -> RunningPart:
        from suite.agent.sipserver.server import PhoneServer  # SIP's packages are optional

        assert self._notes is not None
        return PhoneServer(settings, self.board, self._notes.text_of)

    def _asterisk(self, settings: AsteriskSettings) -> AsteriskFeed:
        return AsteriskFeed(settings, self.board, on_connector=self.board.wake_all, backoff=self._backoff)

    def _sip_publish(self, settings: SipPublishSettings) -> RunningPart:
        from suite.agent.feeds.sip_publish import SipPublishFeed  # SIP's packages are optional

        return SipPublishFeed(settings, self.board, on_connector=self.board.wake_all)

    def _sources(self) -> Iterator[RichSource]:
        """Yield the running sources."""
        for part in self._parts:
            if isinstance(part, RichSource):
                yield part

    def _connectors(self) -> dict[SourceName, ConnectorState]:
        return {
            SourceName.TEAMS: ConnectorState(Connector.CONNECTING),
            SourceName.SIP: ConnectorState(Connector.DISABLED),
            SourceName.SFB: ConnectorState(Connector.DISABLED),
            SourceName.LOCAL: ConnectorState(Connector.UP_AND_RUNNING),
            **{source.name: source.connector for source in self._sources()},
        }

    def _phones(self) -> PhonesState:
        return next((part.phones for part in self._parts if isinstance(part, ServesPhones)), PhonesState())

    def _feeds(self) -> dict[str, ConnectorState]:
        return {part.feed_name: part.link.connector for part in self._parts if isinstance(part, Feed)}

    def _watched(self) -> None:
        for source in self._sources():
            source.watch()

    async def _expire(self, local: LocalStates) -> None:
        """Withdraw expired states, and raise the error of a part that failed."""
        while True:
            await asyncio.sleep(EXPIRE_EVERY_S)
            local.expire()
            self._parts.check()


def _fixed(settings: AgentSettings) -> tuple[object, ...]:
    """Return the settings that take effect only at the next start."""
    api = settings.api
    return api.host, api.port, api.grpc_port, api.consoles, api.certificate is None, settings.store, settings.log


def _bound(settings: AgentSettings) -> socket:
    host, port = settings.api.host, settings.api.port
    try:
        return listen(host, port)
    except OSError as error:
        raise ConfigError(f"The agent cannot listen on {host}, port {port}: {error.strerror or error}.") from None


def _database(path: Path) -> Database | None:
    """Open the store; None when it cannot be used, because the agent can serve presence without it.

    Raises:
        StoreInUse: another agent has it open.
    """
    try:
        return Database(path)
    except StoreInUse:
        raise
    except ConfigError as error:
        log.warning(
            "store: %s The agent runs without it: after a restart it reads all presences again, and no note can be written.",
            error,
        )
        return None


def _version() -> str:
    try:
        return metadata.version("presence-suite")
    except metadata.PackageNotFoundError:
        return ""
