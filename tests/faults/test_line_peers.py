"""Peers that reset, fall silent or crawl before every role and the local cloud, while Redis, Microsoft and webhooks do the same to them.

Every process lives, and ordinary service goes on: a read of Graph succeeds, a page answers, and a change that Graph's notification tells of
goes through webhook, Redis, worker and edge to a suite. What is left behind is judged by doses: the first fills pools and what allocators
keep, a later one must add nothing. 10,000 connections to each server with each fault in `make soak`, 64 in `make test`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from relay.store.server.node import POOL_CONNECTIONS, URGENT_CONNECTIONS
from suite.backoff import Backoff
from suite.client import PresenceClient
from suite.values import Source
from tests.chaos.processes import ROLES, Relay, at_work
from tests.chaos.servers import StandaloneServer
from tests.faults.test_line_clients import DOSES, FAULTS, MEMORY
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.valkey import free_port

pytestmark = pytest.mark.long

ADA = "ada@contoso.example"
CONSENTER = "presence-relay@contoso.example"
AT_ONCE = 64
ALLOCATED = 48 << 20
"""Bytes that allocators take and give back between two moments of a well process: in a small dose a leak must be greater to be seen. The long
one, of fifty times the connections, sees one of some hundred bytes a connection."""
PATIENCE_S = 0.25
"""A peer stays no longer with a server that is silent or slow."""
DESCRIPTORS = 8
"""By how many two moments of a well process differ, beside its connections to Redis: Graph's pool, and gRPC's own."""
TO_REDIS = 2 * POOL_CONNECTIONS + URGENT_CONNECTIONS + 8
"""What the pools hold at most, and the connections that wait for news."""
BACK_S = 60.0
"""The longest idle time of a server, and what a worker waits after failures; on a busy machine."""
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class Size(NamedTuple):
    """What a process has: descriptors, without those to Redis; those; and bytes of memory."""

    descriptors: int
    to_redis: int
    memory: int


@dataclass
class Site:
    """A relay at work between its proxies.

    Attributes:
        doors: server -> its proxy.
        console: a suite that is connected past the proxies and watches Ada.
        tls: trusts relay and cloud.
    """

    relay: Relay
    doors: Mapping[str, FaultProxy]
    redis: FaultProxy
    console: PresenceClient
    control: httpx.AsyncClient
    tls: ssl.SSLContext
    shown: int = 0

    @property
    def proxies(self) -> tuple[FaultProxy, ...]:
        return (*self.doors.values(), self.redis)

    async def suffer(self, fault: Fault, connections: int) -> None:
        """So many connections to each server, broken by the fault; what the servers connect to suffers it too."""
        for proxy in self.proxies:
            await proxy.become(fault)
            proxy.reset()
        await asyncio.gather(*(self._many(name, connections) for name in self.doors))
        for proxy in self.proxies:
            await proxy.become(Fault.NONE)
            proxy.reset()

    async def _many(self, name: str, connections: int) -> None:
        port, request = self.doors[name].port, _REQUESTS[name]
        numbers = iter(range(connections))

        async def some() -> None:
            for _ in numbers:
                await _connect(port, self.tls, request)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def is_well(self) -> None:
        """Everybody lives and serves."""
        async with asyncio.timeout(BACK_S):
            await self._is_shown(Source.NOTIFICATION)
            while not await self._answers():  # noqa: ASYNC110  another process
                await asyncio.sleep(0.05)
        self.lives()

    def lives(self, fault: Fault = Fault.NONE) -> None:
        """Nobody has ended."""
        for process in self.relay.processes.values():
            assert not process.died(), (fault, process.died())

    async def _is_shown(self, source: Source) -> None:
        """The console is shown a change that came this way. Changes are made until one does: nobody is told of those that were
        made before there was a subscription, and after a fault a read may be sooner."""
        while True:
            self.shown += 1
            presence = ("Busy", "DoNotDisturb", "Away")[self.shown % 3]
            body = {"availability": presence, "activity": presence}
            (await self.control.put(f"people/{ADA}/presence", json=body)).raise_for_status()
            while (came_by := self._shows(presence)) is None:  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.02)
            if came_by is source:
                return

    def _shows(self, presence: str) -> Source | None:
        """How this presence came to the console, if that is what it shows."""
        self.lives()
        _, answer = self.console.find(ADA)
        if answer is None or answer.presence is None or answer.presence.raw_availability != presence:
            return None
        return answer.presence.source

    async def _answers(self) -> bool:
        """A page is shown."""
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(verify=self.tls, trust_env=False, timeout=5) as client:
                return (await client.get(f"https://localhost:{self.doors['web'].port}/onboarding")).status_code == 200
        return False

    def sizes(self) -> dict[str, Size]:
        """Of each process."""
        return {name: self._size(psutil.Process(process.pid)) for name, process in self.relay.processes.items()}

    def _size(self, process: psutil.Process) -> Size:
        to_redis = [
            line for line in process.net_connections("tcp") if line.raddr and line.raddr.port == self.redis.port
        ]
        return Size(process.num_fds() - len(to_redis), len(to_redis), process.memory_info().rss)


_SWITCHES = {"notification_delay_s": (0.0, 0.0), "endpoint_scored_after": 0}
_REQUESTS = {
    "edge": _HTTP2,
    "web": b"GET /onboarding HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "webhook": b"POST /notifications/none?validationToken=x HTTP/1.1\r\nHost: hook\r\nContent-Length: 0\r\n\r\n",
    "cloud": b"GET /common/discovery/v2.0/keys HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


async def _connect(port: int, tls: ssl.SSLContext, request: bytes) -> None:
    """A peer that asks, and takes what comes until something ends it. It does not decrypt that, for the sake of time."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, TimeoutError), socket.socket() as line:
        line.setblocking(False)
        async with asyncio.timeout(PATIENCE_S):
            await loop.sock_connect(line, ("127.0.0.1", port))
            came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
            inside = tls.wrap_bio(came, goes, server_hostname="127.0.0.1")
            is_asked = False
            while not is_asked:
                with suppress(ssl.SSLWantReadError):
                    inside.do_handshake()
                    inside.write(request)
                    is_asked = True
                await loop.sock_sendall(line, goes.read())
                came.write(await _some(line))
            while await _some(line):
                pass


async def _some(line: socket.socket) -> bytes:
    """What comes next.

    Raises:
        ConnectionError: nothing will.
    """
    if part := await asyncio.get_running_loop().sock_recv(line, 65536):
        return part
    raise ConnectionResetError


@asynccontextmanager
async def between_proxies(folder: Path, roles: Mapping[str, str]) -> AsyncIterator[Site]:
    """Everything started once, with one tenant and a suite."""
    ports = {name: free_port() for name in ("cloud", "edge", "web", "webhook")}
    async with AsyncExitStack() as stack:
        doors = {
            name: await stack.enter_async_context(FaultProxy(("127.0.0.1", ports[name]), slow_bytes_s=4000))
            for name in _REQUESTS
        }
        servers = await stack.enter_async_context(StandaloneServer(folder))
        redis = servers.lines["redis"]
        redis.slow_bytes_s = 4000
        settings = {
            "RELAY_REDIS_URL": servers.url_by_lines,
            "RELAY_CLOUD_GRAPH_URL": f"https://{doors['cloud'].address}",
            "RELAY_POLL_INTERVAL": "1s",
            "RELAY_EDGE_PORT": str(ports["edge"]),
            "RELAY_SUBSCRIPTION_GATHER": "0s",
            "RELAY_SUBSCRIPTION_RETRY_LEAST": "1s",
            "RELAY_WEBHOOK_PORT": str(ports["webhook"]),
            "RELAY_WEBHOOK_URL": f"https://{doors['webhook'].address}",
            "RELAY_WEB_PUBLIC_URL": f"https://localhost:{doors['web'].port}",
            "RELAY_WEB_SUITE_ADDRESS": "relay.example:443",
            "RELAY_WEB_HOST": "127.0.0.1",
            "RELAY_WEB_PORT": str(ports["web"]),
            "RELAY_WEB_TLS_CERT_FILE": str(folder / "chain.pem"),
            "RELAY_WEB_TLS_KEY_FILE": str(folder / "key.pem"),
            "RELAY_WEB_REQUESTS_PER_MINUTE": "100000",
        }
        relay = await stack.enter_async_context(
            at_work(
                folder, speed=1.0, switches=_SWITCHES, settings=settings, roles=roles, cloud_port=ports["cloud"],
                servers=servers,
            )
        )  # fmt: skip
        tls = ssl.create_default_context(cadata=(relay.ca_pem + relay.cloud.ca_pem).decode())
        control = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{ports['cloud']}/_emulator/", verify=tls, trust_env=False, timeout=20
            )
        )
        key = await relay.suite_key(await relay.onboard(CONSENTER))
        backoff = Backoff(lambda low, high: min(high, 0.5))
        console = await stack.enter_async_context(
            PresenceClient(
                f"127.0.0.1:{ports['edge']}", key, ca_pem=relay.ca_pem, proxy="", users=(ADA,), backoff=backoff
            )
        )
        reading = asyncio.create_task(_read(console))
        stack.callback(reading.cancel)
        yield Site(relay, doors, redis, console, control, tls)


async def _read(console: PresenceClient) -> None:
    async for _ in console.events():
        pass


async def _live_through(site: Site, connections: int, memory: int) -> None:
    await site.is_well()
    await _dose(site, connections // 2)
    for _ in range(DOSES):
        before = site.sizes()
        await _dose(site, connections // 2)
        grown = {name: now.memory - before[name].memory for name, now in site.sizes().items()}
        if max(grown.values()) < memory:
            return
    raise AssertionError(f"each dose adds memory, the last one {grown}")


async def _dose(site: Site, connections: int) -> None:
    """Every fault, so many connections with each; returns when all is well and what was opened is closed."""
    before = site.sizes()
    for fault in FAULTS:
        await site.suffer(fault, connections)
        site.lives(fault)
    await site.is_well()
    async with asyncio.timeout(BACK_S):
        while any(_is_open(now, before[name]) for name, now in site.sizes().items()):  # noqa: ASYNC110  other processes
            await asyncio.sleep(0.2)


def _is_open(now: Size, before: Size) -> bool:
    return now.descriptors > before.descriptors + DESCRIPTORS or now.to_redis > TO_REDIS


@pytest.mark.fault("V1", "V2")
@pytest.mark.timeout(400)
async def test_the_relay_lives_through_whatever_peers_do_to_its_lines(tmp_path: Path):
    async with between_proxies(tmp_path, {"relay": "all"}) as site:
        await _live_through(site, 64, ALLOCATED)


@pytest.mark.soak
@pytest.mark.fault("V1", "V2")
async def test_each_role_lives_through_ten_thousand_broken_lines_of_each_kind(tmp_path: Path):
    async with between_proxies(tmp_path, {**ROLES, "web": "web"}) as site:
        await _live_through(site, 10_000, MEMORY)
