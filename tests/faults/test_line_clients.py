"""Servers that reset, fall silent or crawl, and the clients that the relay and the local cloud have for them: Graph and Entra, Redis, webhooks.

The clients run in a process of their own, on the loop that `serve` has. It lives, is served again when the fault is over, and closes what it
opened. Doses tell a leak from what pools and allocators keep: a later one must add nothing. 10,000 connections with each fault in
`make soak`, 64 in `make test`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from emulator import Config, Emulator
from tests.faults.clients import AT_ONCE, Told
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.valkey import ValkeyServer

FAULTS = (Fault.RESET_TLS, Fault.RESET_IDLE, Fault.RESET_REPLY, Fault.BLACK_HOLE, Fault.HALF_OPEN, Fault.SLOW)
MEMORY = 8 << 20
"""Up to so many bytes more, a dose has added nothing."""
DOSES = 3
"""After the first. An allocator keeps what the most connections at once took, and how many those are is chance: that grows with one dose or
two. A leak grows with each."""
DESCRIPTORS = 4


@dataclass
class Clients:
    """The process, and the proxies before what it talks to."""

    process: asyncio.subprocess.Process
    proxies: dict[str, FaultProxy]

    async def told(self, order: str) -> Told:
        """What the process answers; it must not end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order.encode() + b"\n")
        line = await self.process.stdout.readline()
        assert line, f"the process ended with {await self.process.wait()} at '{order}'"
        return msgspec.json.decode(line, type=Told)

    async def suffer(self, fault: Fault, connections: int) -> None:
        """Calls until the fault had so many connections to Microsoft and webhooks."""
        graph = self.proxies["graph"]
        began = graph.accepted
        for proxy in self.proxies.values():
            await proxy.become(fault)
        while graph.accepted - began < connections:
            self.reset()
            await self.told(f"call {max(AT_ONCE, min(500, connections // 4))}")
        for proxy in self.proxies.values():
            await proxy.become(Fault.NONE)
        self.reset()

    def reset(self) -> None:
        """So that no connection stays in a pool that the fault does nothing to."""
        for proxy in self.proxies.values():
            proxy.reset()

    async def are_served(self) -> None:
        """All of them are, once nothing of the fault is left in pools."""
        async with asyncio.timeout(40):
            while (await self.told("call 6")).failed:
                pass


@pytest.fixture
async def clients(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(Emulator.start(Config()))
        host, port = cloud.url.removeprefix("https://").split(":")
        upstreams = {"graph": (host, int(port)), "redis": ("127.0.0.1", valkey.port)}
        proxies = {
            kind: await stack.enter_async_context(FaultProxy(upstream, slow_bytes_s=2000))
            for kind, upstream in upstreams.items()
        }
        (tmp_path / "ca.pem").write_bytes(cloud.ca_pem)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.clients", f"https://{proxies['graph'].address}", tmp_path / "ca.pem",
            f"redis://{proxies['redis'].address}", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield Clients(process, proxies)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _live_through(clients: Clients, connections: int) -> None:
    await _dose(clients, connections // 2)
    for _ in range(DOSES):
        before = await clients.told("look")
        await _dose(clients, connections // 2)
        after = await clients.told("look")
        assert after.descriptors <= before.descriptors + DESCRIPTORS
        if after.rss < before.rss + MEMORY:
            return
    raise AssertionError(f"each dose adds memory, the last one {after.rss - before.rss} bytes")


async def _dose(clients: Clients, connections: int) -> None:
    """Every fault, until each made for so many connections."""
    for fault in FAULTS:
        await clients.suffer(fault, connections)
    await clients.are_served()


@pytest.mark.long
@pytest.mark.fault("V1", "V2")
@pytest.mark.timeout(400)
async def test_clients_live_through_whatever_a_server_does_to_their_lines(clients: Clients):
    await _live_through(clients, 64)


@pytest.mark.soak
@pytest.mark.fault("V1", "V2")
async def test_clients_live_through_ten_thousand_broken_lines_of_each_kind(clients: Clients):
    await _live_through(clients, 10_000)
