"""Faults of a staged relay. Each is an async context manager: it lasts as long as the context, and is over after it."""

from __future__ import annotations

import asyncio
import resource
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psutil

from bench.load.world import user_id
from relay.store.custody.notices import Letter, Notice, NoticeKind, encode
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.server import keys
from tests.chaos.processes import Process
from tests.monitoring.stages.world import CLIENT_ID, World
from tests.support.fault_proxy import Delay, Fault
from tests.support.ring import MARKS

Staging = Callable[[World], AbstractAsyncContextManager[None]]
READS: Final = "/v1.0/communications/getPresencesByUserId"


@asynccontextmanager
async def _meanwhile(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# Microsoft


def graph_fails(**how: Any) -> Staging:
    """Microsoft answers as told; see `emulator.faults.Fault`."""

    @asynccontextmanager
    async def staged(world: World) -> AsyncIterator[None]:
        number = (await world.relay.ask("POST", "faults", how))["id"]
        try:
            yield
        finally:
            await world.relay.ask("DELETE", f"faults/{number}")

    return staged


@asynccontextmanager
async def one_tenant_not_read(world: World) -> AsyncIterator[None]:
    """Microsoft answers no read of one tenant."""
    async with graph_fails(path=READS, tenant=world.tenants[0].tenant_id, status=503)(world):
        yield


@asynccontextmanager
async def secret_refused(world: World) -> AsyncIterator[None]:
    """Entra takes the relay's client secret for wrong."""
    await world.relay.ask("POST", f"applications/{CLIENT_ID}/refuse", {"kind": "secret_wrong"})
    try:
        yield
    finally:
        await world.relay.ask("POST", f"applications/{CLIENT_ID}/refuse", {"kind": ""})


@asynccontextmanager
async def old_grant(world: World) -> AsyncIterator[None]:
    """A tenant comes back from a backup of eight days ago, and Entra is not reached for it."""
    spare = world.spare
    async with graph_fails(contains="/oauth2/v2.0/token", tenant=spare.tenant_id, status=503)(world):
        await world.admit(spare)
        account = user_id(spare.accounts[0])
        grant = await world.relay.vault.load(spare.tenant_id, account)
        assert grant is not None
        old = datetime.now(UTC) - timedelta(days=8)
        await world.relay.vault.save(replace(grant, created=old, last_refresh=old), grant.version)
        yield


# Redis


@asynccontextmanager
async def redis_killed(world: World) -> AsyncIterator[None]:
    """Redis is killed, and started again at the end."""
    world.servers.valkey.kill()
    try:
        yield
    finally:
        await asyncio.to_thread(world.servers.valkey.start)


@asynccontextmanager
async def redis_without_its_file(world: World) -> AsyncIterator[None]:
    """Somebody switches Redis' append-only file off."""
    valkey = world.servers.valkey
    await asyncio.to_thread(valkey.configure, "appendonly", "no")
    try:
        yield
    finally:
        await asyncio.to_thread(valkey.configure, "appendonly", "yes")


@asynccontextmanager
async def redis_loses_writes(world: World) -> AsyncIterator[None]:
    """Redis writes to no file for some seconds and is killed: what it took meanwhile is gone."""
    await world.servers.suffer("lose_disk", 5.0)
    yield


def slow_line(name: str, seconds: float) -> Staging:
    """What Redis sends to a process comes so many seconds late."""

    @asynccontextmanager
    async def staged(world: World) -> AsyncIterator[None]:
        world.lines[name].delay_s = Delay(0.0, seconds)
        try:
            yield
        finally:
            world.lines[name].delay_s = Delay()

    return staged


@asynccontextmanager
async def clock_ahead(world: World) -> AsyncIterator[None]:
    """The clock of the edge's node is ten seconds ahead."""
    world.edge_clock.step(10)
    try:
        yield
    finally:
        world.edge_clock.step(0)


def cut_line(name: str) -> Staging:
    """A line leads nowhere."""

    @asynccontextmanager
    async def staged(world: World) -> AsyncIterator[None]:
        line = world.lines[name]
        await line.become(Fault.REFUSE)
        line.reset()
        try:
            yield
        finally:
            await line.become(Fault.NONE)

    return staged


@asynccontextmanager
async def suites_come_to_a_cut_edge(world: World) -> AsyncIterator[None]:
    """An edge does not reach Redis, and suites with keys that it has not seen yet come to it."""
    tenant = world.tenants[0]

    async def come() -> None:
        while True:
            key = (await SuiteKeys(world.relay.store, MARKS).issue(tenant.tenant_id, "visitor")).text
            async with world.client(key, tenant.names[:1]):
                await asyncio.sleep(0.5)

    async with _meanwhile(come()), cut_line("edge")(world):
        yield


# Processes


def _workers(world: World) -> list[Process]:
    return [process for name, process in world.relay.processes.items() if name.startswith("worker")]


@asynccontextmanager
async def workers_killed(world: World) -> AsyncIterator[None]:
    """Every worker is killed, and started again at the end."""
    for worker in _workers(world):
        worker.kill()
    try:
        yield
    finally:
        for worker in _workers(world):
            worker.start()


def stopped_again_and_again(name: str, stopped_s: float, running_s: float) -> Staging:
    """Processes whose names begin so are stopped and go on in turns, as those that have too little CPU."""

    @asynccontextmanager
    async def staged(world: World) -> AsyncIterator[None]:
        processes = [process for each, process in world.relay.processes.items() if each.startswith(name)]

        async def pulse() -> None:
            try:
                while True:
                    for process in processes:
                        process.tell(signal.SIGSTOP)
                    await asyncio.sleep(stopped_s)
                    for process in processes:
                        process.tell(signal.SIGCONT)
                    await asyncio.sleep(running_s)
            finally:
                for process in processes:
                    process.tell(signal.SIGCONT)

        async with _meanwhile(pulse()):
            yield

    return staged


@asynccontextmanager
async def idle_connections(world: World) -> AsyncIterator[None]:
    """The edge may have 60 files more than it has, and somebody opens 55 connections and sends nothing."""
    edge = psutil.Process(world.relay.processes["edge"].pid)
    usual = edge.rlimit(resource.RLIMIT_NOFILE)
    edge.rlimit(resource.RLIMIT_NOFILE, (edge.num_fds() + 60, usual[1]))
    host, _, port = world.relay.address.partition(":")

    async def connect() -> None:
        while True:
            with ExitStack() as held:
                for _ in range(55):
                    held.enter_context(socket.create_connection((host, int(port)), timeout=2))
                await asyncio.sleep(4.0)  # less than the edge gives a handshake

    try:
        async with _meanwhile(connect()):
            yield
    finally:
        edge.rlimit(resource.RLIMIT_NOFILE, usual)


# The relay's own


@asynccontextmanager
async def certificate_near_its_end(world: World) -> AsyncIterator[None]:
    """The certificate of the pages ends in three days."""
    world.write_web_certificate(3)
    try:
        yield
    finally:
        world.write_web_certificate(90)


@asynccontextmanager
async def mail_server_away(world: World) -> AsyncIterator[None]:
    """There is no mail server, and a message has waited for a day."""
    tenant = world.tenants[0].tenant_id
    letter = Letter(to="admin@t0.example", language="en", organisation="T0", domain="t0.example")
    notice = Notice(
        notice_id=f"msg_{secrets.token_hex(16)}", tenant_id=tenant, kind=NoticeKind.ACCESS_REQUESTED,
        at=datetime.now(UTC) - timedelta(hours=25), letter=letter,
    )  # fmt: skip
    key = keys.notices(keys.partition_of(tenant))
    await world.relay.store.vault_command("HSET", key, notice.notice_id, encode(notice))
    yield
