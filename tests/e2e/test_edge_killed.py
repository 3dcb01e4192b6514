"""Two whole edges behind a TCP balancer, one of them killed with -9 under its suites."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from relay.core.presence import TenantId
from suite.events import Connected, SnapshotComplete
from suite.values import Outcome
from tests.abuse.edge_process import EdgeProcess, edge_process
from tests.e2e.conftest import Console, Edges
from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

pytestmark = pytest.mark.long

ADA, BEN, CHLOE = NAMES = ("ada@contoso.example", "ben@contoso.example", "chloe@contoso.example")
FOUND_WITHIN_S = 0.2
"""The longest wait of these suites before they try again."""


@asynccontextmanager
async def watched(
    relay: Relay, edges: Edges, valkey: ValkeyServer, folder: Path, count: int
) -> AsyncIterator[tuple[TenantId, list[EdgeProcess], list[Console]]]:
    """Suites at the first of two edges; the balancer leads to the second while the first refuses."""
    tenant = await relay.onboard()
    async with AsyncExitStack() as stack:
        processes = []
        with ExitStack() as starting:
            for number in (1, 2):
                (own := folder / str(number)).mkdir()
                processes.append(starting.enter_context(edge_process(valkey, own, edges.authority)))
            stack.push_async_callback(asyncio.to_thread, starting.pop_all().close)
        first, second = (("127.0.0.1", process.port) for process in processes)
        balancer = await stack.enter_async_context(FaultProxy(first, others=[second]))
        key = await edges.key(tenant)
        await stack.enter_async_context(relay.working())
        made = [edges.suite(key, *NAMES, address=balancer.address) for _ in range(count)]
        consoles = [await stack.enter_async_context(suite) for suite in made]
        await eventually(lambda: all(SnapshotComplete() in console.events for console in consoles), timeout=60)
        await eventually(lambda: all(console.shows(name) == "Available" for console in consoles for name in NAMES))
        yield tenant, processes, consoles


async def lost_their_edge(relay: Relay, tenant: TenantId, edge: EdgeProcess, consoles: list[Console]) -> float:
    """Kill the edge, change two people while its suites are away, and wait until all are back; returns the seconds."""
    before = [len(console.events) for console in consoles]
    began = time.monotonic()
    edge.process.kill()
    relay.microsoft.set_presence(ADA, "Busy")
    relay.microsoft.set_presence(BEN, "Away")

    def are_back() -> bool:
        return all(
            Connected(Outcome.RESUMED) in console.events[told:] for console, told in zip(consoles, before, strict=True)
        )

    await eventually(are_back, timeout=60)
    took_s = time.monotonic() - began
    await eventually(lambda: relay.sees(tenant, BEN, "Away"))
    await eventually(lambda: all((c.shows(ADA), c.shows(BEN), c.shows(CHLOE)) == SHOWN for c in consoles))
    for console, told in zip(consoles, before, strict=True):
        outcomes = {event.outcome for event in console.events[told:] if isinstance(event, Connected)}
        assert outcomes == {Outcome.RESUMED}, "nobody had to begin anew"
    return took_s


SHOWN = ("Busy", "Away", "Available")


@pytest.mark.timeout(180)
@pytest.mark.fault("V12")
async def test_suites_of_a_killed_edge_resume_at_another_and_miss_nothing(
    relay: Relay, edges: Edges, valkey: ValkeyServer, tmp_path: Path
) -> None:
    async with watched(relay, edges, valkey, tmp_path, 6) as (tenant, processes, consoles):
        await lost_their_edge(relay, tenant, processes[0], consoles)
        assert processes[1].process.poll() is None


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.fault("V12")
async def test_forty_suites_of_a_killed_edge_have_resumed_within_two_seconds_of_finding_another(
    relay: Relay, edges: Edges, valkey: ValkeyServer, tmp_path: Path
) -> None:
    """Forty, all of one tenant: this process is all of them, and a core for each of two edges is not to be had."""
    async with watched(relay, edges, valkey, tmp_path, 40) as (tenant, processes, consoles):
        took_s = await lost_their_edge(relay, tenant, processes[0], consoles)
    assert took_s <= FOUND_WITHIN_S + 2.0
