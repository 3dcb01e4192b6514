"""A worker that the system stopped for longer than its lease (SIGSTOP, a frozen VM): it wakes, and asks Microsoft nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from suite.client import PresenceClient
from tests.chaos.processes import Relay, at_work
from tests.chaos.scene import LEASE_S, SETTINGS
from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import free_port

ADA = "ada@contoso.example"
ROLES = {"edge": "edge", "worker-1": "worker", "worker-2": "worker"}
REQUEST = 300
"""Bytes: a request of Graph's is longer, with its token; the end of a TLS connection is shorter."""


@pytest.mark.soak
@pytest.mark.fault("V9")
@pytest.mark.parametrize("round_", range(5))
async def test_a_worker_that_was_stopped_past_its_lease_asks_graph_nothing_when_it_wakes(tmp_path: Path, round_: int):
    cloud_port = free_port()
    async with AsyncExitStack() as stack:
        lines = {
            name: await stack.enter_async_context(FaultProxy(("127.0.0.1", cloud_port)))
            for name in ("worker-1", "worker-2")
        }
        graphs = {name: {"RELAY_CLOUD_GRAPH_URL": f"https://{line.address}"} for name, line in lines.items()}
        settings = {name: value for name, value in SETTINGS.items() if "SUBSCRIPTION" not in name}
        relay = await stack.enter_async_context(
            at_work(
                tmp_path, speed=1.0, switches={}, settings=settings, roles=ROLES,
                cloud_port=cloud_port, own=graphs,
            )
        )  # fmt: skip
        key = await relay.suite_key(await relay.onboard("presence-relay@contoso.example"))
        console = await stack.enter_async_context(
            PresenceClient(relay.address, key, ca_pem=relay.ca_pem, proxy="", users=(ADA,))
        )
        reading = asyncio.create_task(_read(console))
        stack.callback(reading.cancel)
        await _is_shown(relay, console, "Busy")
        owner = max(lines, key=lambda name: lines[name].asked)
        other = next(name for name in lines if name != owner)
        before = lines[other].asked

        relay.processes[owner].tell(signal.SIGSTOP)
        await asyncio.sleep(LEASE_S + 0.1 * round_)
        while lines[other].asked < before + REQUEST:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
        asked = lines[owner].asked
        relay.processes[owner].tell(signal.SIGCONT)

        await _is_shown(relay, console, "Away")
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert lines[owner].asked < asked + REQUEST
            await asyncio.sleep(0.02)
        assert not relay.processes[owner].died()


async def _read(console: PresenceClient) -> None:
    async for _ in console.events():
        pass


async def _is_shown(relay: Relay, console: PresenceClient, presence: str) -> None:
    body = {"availability": presence, "activity": presence}
    await relay.ask("PUT", f"people/{ADA}/presence", body)
    async with asyncio.timeout(30):
        while True:
            _, answer = console.find(ADA)
            if answer is not None and answer.presence is not None and answer.presence.raw_availability == presence:
                return
            await asyncio.sleep(0.02)
