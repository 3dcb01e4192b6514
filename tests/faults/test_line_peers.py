"""Peers that reset, fall silent or crawl before every role and the local cloud, while Redis, Microsoft and webhooks do the same to them.

Every process lives, has its descriptors and memory back when the fault is over, and ordinary service goes on: a stream gets a change, a page
answers, the webhook takes Graph's handshake, a read of Graph succeeds. 10,000 connections to each with each fault in `make soak`, 200 in `make test`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from relay.core.presence import TenantId
from relay.store.subscriptions import new_route
from relay.webhook.settings import PREFIX
from suite.backoff import Backoff
from suite.client import PresenceClient
from tests.faults.test_line_clients import FAULTS
from tests.soak.processes import ROLES, Relay, at_work
from tests.support.fault_proxy import Fault, FaultProxy
from tests.valkey import free_port

ADA = "ada@contoso.example"
CONSENTER = "presence-relay@contoso.example"
AT_ONCE = 32
PATIENCE_S = 0.5
"""A peer stays no longer with a server that is silent or slow."""
DESCRIPTORS = 64
"""The pool to Redis keeps as many connections as were once needed at once; what leaks with each of 200 connections is more."""
MEMORY = 64 << 20
"""The allocator keeps what some 400 connections at once took; 10,000 that left 7 KB each would be more."""
BACK_S = 60.0
"""The longest idle time of a server, and what a worker waits after failures; on a busy machine."""
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


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
            self.shown += 1
            presence = ("Busy", "DoNotDisturb", "Away")[self.shown % 3]
            body = {"availability": presence, "activity": presence}
            (await self.control.put(f"people/{ADA}/presence", json=body)).raise_for_status()
            while not self._shows(presence):  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.05)
            for name in ("web", "webhook"):
                while not await self._answers(name):  # noqa: ASYNC110  other processes
                    await asyncio.sleep(0.05)
        for process in self.relay.processes.values():
            assert not process.died(), process.died()

    def _shows(self, presence: str) -> bool:
        for process in self.relay.processes.values():
            assert not process.died(), process.died()
        _, answer = self.console.look(ADA)
        return answer is not None and answer.presence is not None and answer.presence.raw_availability == presence

    async def _answers(self, name: str) -> bool:
        """A page is shown, and the webhook answers Graph's handshake."""
        method, path = _CALLS[name]
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(verify=self.tls, trust_env=False, timeout=5) as client:
                url = f"https://localhost:{self.doors[name].port}{path}"
                return (await client.request(method, url)).status_code == 200
        return False

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Process -> descriptors and bytes of memory."""
        found = {}
        for name, process in self.relay.processes.items():
            now = psutil.Process(process.pid)
            found[name] = now.num_fds(), now.memory_info().rss
        return found


_CALLS = {
    "web": ("GET", "/onboarding"),
    "webhook": ("POST", f"{PREFIX}{new_route(TenantId('6b5f4a3e-1111-4222-8333-944445555666'))}?validationToken=x"),
}
_REQUESTS = {
    "edge": _HTTP2,
    "web": b"GET /onboarding HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "webhook": b"POST /notifications/none?validationToken=x HTTP/1.1\r\nHost: hook\r\nContent-Length: 0\r\n\r\n",
    "cloud": b"GET /common/discovery/v2.0/keys HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


async def _connect(port: int, tls: ssl.SSLContext, request: bytes) -> None:
    """A peer that asks, and reads until something ends it."""
    transport = None
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            transport = writer.transport
            writer.write(request)
            while await reader.read(65536):
                pass
    if transport is not None:
        transport.abort()


@asynccontextmanager
async def between_proxies(folder: Path, roles: Mapping[str, str]) -> AsyncIterator[Site]:
    """Everything started once, with one tenant and a suite."""
    ports = {name: free_port() for name in ("cloud", "edge", "redis", "web", "webhook")}
    async with AsyncExitStack() as stack:
        doors = {
            name: await stack.enter_async_context(FaultProxy(("127.0.0.1", ports[name]), slow_bytes_s=4000))
            for name in _REQUESTS
        }
        redis = await stack.enter_async_context(FaultProxy(("127.0.0.1", ports["redis"]), slow_bytes_s=4000))
        settings = {
            "RELAY_REDIS_URL": f"redis://{redis.address}",
            "RELAY_CLOUD_GRAPH_URL": f"https://{doors['cloud'].address}",
            "RELAY_POLL_INTERVAL": "1s",
            "RELAY_EDGE_PORT": str(ports["edge"]),
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
                folder, speed=1.0, switches={}, settings=settings, roles=roles, cloud_port=ports["cloud"],
                redis_port=ports["redis"],
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


async def _live_through(site: Site, connections: int) -> None:
    await site.is_well()
    for warm in (Fault.NONE, Fault.RESET_REPLY):  # pools are full, and what the first failures load is there
        await site.suffer(warm, 4 * AT_ONCE)
    await site.is_well()
    before = site.sizes()
    for fault in FAULTS:
        await site.suffer(fault, connections)
        await site.is_well()
        async with asyncio.timeout(BACK_S):
            while any(now[0] > before[name][0] + DESCRIPTORS for name, now in site.sizes().items()):  # noqa: ASYNC110  other processes
                await asyncio.sleep(0.1)
        grown = {name: now[1] - before[name][1] for name, now in site.sizes().items()}
        assert max(grown.values()) < MEMORY, (fault, grown)


@pytest.mark.fault("V1", "V2")
async def test_the_relay_lives_through_whatever_peers_do_to_its_lines(tmp_path: Path):
    async with between_proxies(tmp_path, {"relay": "all"}) as site:
        await _live_through(site, 200)


@pytest.mark.soak
@pytest.mark.fault("V1", "V2")
async def test_each_role_lives_through_ten_thousand_broken_lines_of_each_kind(tmp_path: Path):
    async with between_proxies(tmp_path, {**ROLES, "web": "web"}) as site:
        await _live_through(site, 10_000)
