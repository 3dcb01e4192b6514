"""Composition: builds the roles and runs them in one process, from the first connection to the last.

    start     ops port -> Redis (waits for as long as it takes) -> preflight -> roles -> ready
    stop      1  /readyz reports not ready: load balancers look elsewhere
              2  the edge asks its suites to move; workers go on reading for them
              3  workers hand their partitions over
              4  telemetry is sent, connections close

If the stop is cut short in step 2, suites reconnect with backoff; in step 3, partitions wait until their leases expire;
in step 4, some metrics are lost.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from relay.errors import RelayError, StoreUnavailable
from relay.http.admission import open_more_descriptors
from relay.ops import garbage
from relay.ops.expiry import Expiry
from relay.ops.health import Health, OpsServer, OwnAnswers
from relay.ops.listening import listener
from relay.ops.loop import run as run_on_loop
from relay.ops.private_files import exposed
from relay.ops.supervision import running, supervised
from relay.ops.telemetry import Telemetry
from relay.settings import env
from relay.settings.env import SettingsInvalid
from relay.settings.roles import Role
from relay.store.sealing.marks import NO_MARKS
from relay.store.server.connection import Store
from relay.store.server.health import StoreHealth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Any

    from relay.settings.load import Settings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import StoreSettings

log = structlog.get_logger(__name__)
T = TypeVar("T")

STORE_RETRY_S: Final = 1.0
"""Pause at start between two checks of a Redis that does not answer or accepts no writes."""
_REMIND_EVERY: Final = 30
"""Checks between two log lines about it."""
_WITH_RING: Final = frozenset({Role.WORKER, Role.WEB, Role.CONSOLE})
"""Roles that decrypt grants or sign-in flows."""


class PreflightFailed(RelayError):
    """The relay's surroundings do not meet its requirements.

    Attributes:
        faults: all faults, worded for operators.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Running:
    """The ports of a relay that is ready.

    Attributes:
        edge_port: for suites; None without the edge.
        web_port: for browsers; None without the pages.
        webhook_port: for Graph's notifications; None without the webhook.
        console_port: for operators; None without the console.
        ops_port: for health and metrics.
    """

    ops_port: int
    edge_port: int | None = None
    web_port: int | None = None
    webhook_port: int | None = None
    console_port: int | None = None


@dataclass(frozen=True, slots=True)
class Sibling:
    """The place of a process among those that run the same roles on one machine; see `relay.processes`.

    Attributes:
        number: from 1.
        edge_port: the port on which all of them listen.
        ops_socket: the path of a Unix socket that replaces the ops port.
    """

    number: int
    edge_port: int
    ops_socket: Path


async def run(
    settings: Settings,
    roles: Iterable[Role],
    stop: asyncio.Event,
    announce: Callable[[Running], None] | None = None,
    sibling: Sibling | None = None,
) -> None:
    """Run roles until `stop` is set, then stop them cleanly.

    Args:
        settings: must contain the settings that these roles require (`roles.needs_of`).
        roles: the roles to run.
        stop: ends the run, at any moment.
        announce: called once, when all are ready.
        sibling: the place of this process among those that share the edge's port; None when it is alone.

    Raises:
        PreflightFailed: Redis does not meet the relay's requirements.
        OSError: a port is taken.
        TaskBroke: a bug in one of the tasks; everything was stopped cleanly.
    """
    roles = frozenset(roles)
    open_more_descriptors()
    health = Health()
    health.expect("store", *roles)
    for file in exposed(settings.private_files()):
        log.warning(
            "private_file_exposed", setting=file.name, path=str(file.path), mode=f"{file.mode:04o}", hint=file.remedy
        )
    for name in env.retired_in_use():
        log.warning("setting_without_effect", setting=name, hint="remove it: a later release refuses unknown settings")
    async with AsyncExitStack() as stack:
        attributes = {} if sibling is None else {"relay.process": str(sibling.number)}
        telemetry = stack.enter_context(Telemetry(settings.telemetry_settings(roles, attributes)))
        address = (settings.ops.host, settings.ops.port) if sibling is None else sibling.ops_socket
        ops = OpsServer(address, OwnAnswers(health, telemetry.exposition))
        await stack.enter_async_context(ops)
        store = await stack.enter_async_context(reached(settings.store_settings(), stop))
        if store is None:
            return
        store_health = StoreHealth(store)
        health.watch("store", store_health.fault)
        health.set("store", ready=True)
        try:
            async with asyncio.TaskGroup() as tasks:
                ring = settings.key_ring() if roles & _WITH_RING else None
                marks = settings.edge_marks(ring) if Role.EDGE in roles else NO_MARKS
                parts = _Parts(store, ring, marks, health, ops.port, announce, sibling)
                loops = {"store-health": store_health.run, "garbage": garbage.collect, **telemetry.loops}
                async with running(loops), _announced(parts):
                    await _run_roles(settings, roles, stop, tasks, parts)
        except ExceptionGroup as group:
            # The first error is the cause; the others follow from it.
            raise _first(group) from group


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts that the roles share."""

    store: Store
    ring: KeyRing | None
    """The key ring, for the roles that decrypt grants."""
    marks: Marks
    """The public keys with which the edge verifies suite keys."""
    health: Health
    ops_port: int
    announce: Callable[[Running], None] | None
    sibling: Sibling | None


async def _run_roles(
    settings: Settings, roles: frozenset[Role], stop: asyncio.Event, tasks: asyncio.TaskGroup, parts: _Parts
) -> None:
    worker = None
    expiring = Expiry(settings.expiring(roles), parts.health)
    for role in roles:
        parts.health.watch(role, partial(expiring.trouble, role))
    expiry = tasks.create_task(supervised("expiry", expiring.run), name="expiry")
    if Role.WORKER in roles:
        worker = tasks.create_task(supervised("worker", lambda: _work(settings, parts)), name="worker")
    try:
        async with AsyncExitStack() as edges:
            ports = {}
            for role, listening in _LISTENING.items():
                if role in roles:
                    ports[f"{role}_port"] = await edges.enter_async_context(listening(settings, parts))
                    parts.health.set(role, ready=True)
            running = Running(ops_port=parts.ops_port, **ports)
            log.info("ready", roles=sorted(roles), **asdict(running))
            if parts.announce is not None:
                parts.announce(running)
            await stop.wait()
            log.info("stopping")
            parts.health.set("running", ready=False)
    finally:
        expiry.cancel()
        if worker is not None:
            worker.cancel()


async def _work(settings: Settings, parts: _Parts) -> None:
    # Roles are imported where they start, so that a process loads only the roles that it runs.
    from relay.alerts.settings import alert_settings
    from relay.store.custody.vault import Vault
    from relay.worker.cloud import Cloud
    from relay.worker.settings import worker_settings
    from relay.worker.worker import Worker

    assert parts.ring is not None
    vault = Vault(parts.store, parts.ring)
    alerts = alert_settings(settings.mail, settings.notice, settings.web)
    push = settings.push_settings()
    groups = (settings.worker, settings.poll, settings.watch, settings.subscription)
    async with Cloud(settings.graph_settings(), vault) as cloud:
        worker = Worker(parts.store, vault, cloud, worker_settings(*groups, push=push, alerts=alerts), _identity())
        parts.health.watch(Role.WORKER, worker.trouble)
        parts.health.set(Role.WORKER, ready=True)
        await worker.run()


@asynccontextmanager
async def _announced(parts: _Parts) -> AsyncIterator[None]:
    """Publishes which keys this process has, so that no operator retires a key that it needs; see `RingUsers`."""
    from relay.store.sealing.ring_users import ANNOUNCE_EVERY, RingUsers

    async def announce() -> None:
        while True:
            with suppress(StoreUnavailable):
                if parts.ring is not None:
                    await users.announce(name, parts.ring)
                else:
                    await users.announce_verifier(name, parts.marks)
            await asyncio.sleep(ANNOUNCE_EVERY.total_seconds())

    if parts.ring is None and parts.marks is NO_MARKS:
        yield
        return
    users, name = RingUsers(parts.store), _identity()
    try:
        async with running({"ring-user": announce}):
            yield
    finally:
        with suppress(RelayError):  # the published entry expires
            await users.leave(name)


@asynccontextmanager
async def _edge(settings: Settings, parts: _Parts) -> AsyncIterator[int]:
    """Run the edge while the context lasts, and yield its port."""
    from relay.edge.server import EdgeServer
    from relay.edge.settings import edge_settings

    edge = replace(edge_settings(settings.edge, settings.watch, settings.poll), tls_files=settings.tls_files(Role.EDGE))
    if parts.sibling is not None:
        edge = replace(edge, port=parts.sibling.edge_port, shares_port=True)
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(EdgeServer(edge, parts.store, parts.marks, _identity()))
        except RuntimeError as error:  # gRPC's only error when it cannot listen
            if parts.sibling is None:  # otherwise the supervisor holds the port
                with listener(edge.host, edge.port):
                    pass  # raises if the address cannot be used; otherwise the certificate is at fault
            raise SettingsInvalid(
                [
                    "RELAY_EDGE_TLS_CERT: gRPC cannot use this certificate or its key; RSA, and EC on P-256 or P-384, work"
                ]
            ) from error
        yield server.port


@asynccontextmanager
async def _web(settings: Settings, parts: _Parts) -> AsyncIterator[int]:
    """Serve the pages while the context lasts, and yield their port."""
    from onboarding.app import served
    from onboarding.settings import web_settings

    assert parts.ring is not None
    web = web_settings(settings.web, settings.http, push=settings.push_settings(), has_mail=settings.mail.is_sent)
    web = replace(web, tls_files=settings.tls_files(Role.WEB))
    async with served(web, parts.store, parts.ring, settings.graph_settings()) as port:
        yield port


@asynccontextmanager
async def _console(settings: Settings, parts: _Parts) -> AsyncIterator[int]:
    """Serve the operator's console while the context lasts, and yield its port."""
    from console.app import served
    from console.settings import console_settings

    assert parts.ring is not None
    given = console_settings(settings.console, settings.web, settings.http)
    console = replace(given, tls_files=settings.tls_files(Role.CONSOLE))
    entra = settings.console_graph_settings() if settings.console.client_id is not None else None
    async with served(console, parts.store, parts.ring, settings.cloud.public_settings(), entra) as port:
        yield port


@asynccontextmanager
async def _webhook(settings: Settings, parts: _Parts) -> AsyncIterator[int]:
    """Run the webhook while the context lasts, and yield its port."""
    from relay.webhook.server import receiving
    from relay.webhook.settings import webhook_settings

    webhook = replace(webhook_settings(settings.webhook, settings.http), tls_files=settings.tls_files(Role.WEBHOOK))
    async with receiving(webhook, parts.store, settings.cloud.public_settings()) as port:
        yield port


_LISTENING: Final[Mapping[Role, Callable[[Settings, _Parts], AbstractAsyncContextManager[int]]]] = {
    Role.EDGE: _edge,
    Role.WEB: _web,
    Role.WEBHOOK: _webhook,
    Role.CONSOLE: _console,
}


@asynccontextmanager
async def reached(settings: StoreSettings, stop: asyncio.Event) -> AsyncIterator[Store | None]:
    """Yield the store once it answers, accepts writes and passes the preflight; None when `stop` was set first.

    Raises:
        PreflightFailed: it does not meet the relay's requirements.
    """
    async with Store(settings) as store:
        faults = await _looked_at(store, stop)
        if faults:
            raise PreflightFailed(faults)
        yield None if faults is None else store


async def _looked_at(store: Store, stop: asyncio.Event) -> list[str] | None:
    """Return the preflight's findings as soon as Redis is usable; None when `stop` was set first."""
    looks, said = 0, ""
    while not stop.is_set():
        try:
            faults = await store.preflight()
        except StoreUnavailable as error:
            if str(error) != said or looks % _REMIND_EVERY == 0:
                said = str(error)
                log.warning("waiting_for_store", hint=f"{said}; the relay waits for it", waited_s=looks)
            looks += 1
            await _pause(stop, STORE_RETRY_S)
        else:
            if looks:
                log.info("store_reached")
            return faults
    return None


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error


def _identity() -> str:
    """Return a unique name for a worker or an edge, which shows operators where the process runs."""
    return f"{socket.gethostname()}-{secrets.token_hex(4)}"


def until_signalled(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run `work` on a new event loop. Its argument is set on SIGINT or SIGTERM; a second signal cancels it."""

    async def main() -> T:
        stop = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None

        def signalled() -> None:
            if stop.is_set():
                task.cancel()
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, signalled)
        return await work(stop)

    return run_on_loop(main())
