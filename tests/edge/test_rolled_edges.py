"""The suite of `tests/cluster`, behind its one port, against edges in this process: it follows them and misses nothing."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

from suite.values import Outcome
from tests.cluster.suite import Door, WatchingSuite
from tests.support.waiting import eventually

DRAIN = timedelta(seconds=1)


async def test_a_suite_behind_one_port_follows_edges_that_are_replaced(start_edge, authority, worker, key):
    edges = [await start_edge(drain_delay=DRAIN, connection_age=DRAIN / 4)]

    @asynccontextmanager
    async def way():
        yield edges[-1].port

    suite = WatchingSuite(worker, users=20)
    async with Door(way) as door, suite.watching(door.port, key, authority.cert_pem.bytes(), "localhost"):
        await eventually(suite.is_up_to_date)
        edges.append(await start_edge())
        await edges[0].drain()
        await eventually(lambda: len(suite.outcomes) > 1)
    assert suite.faults == []
    assert suite.outcomes == [Outcome.SNAPSHOT, Outcome.RESUMED]


async def test_the_suite_tells_of_what_it_must_never_be_told(start_edge, authority, worker, key):
    edge = await start_edge()

    @asynccontextmanager
    async def way():
        yield edge.port

    suite = WatchingSuite(worker, users=2)
    async with Door(way) as door, suite.watching(door.port, key, authority.cert_pem.bytes(), "localhost"):
        await eventually(suite.is_up_to_date)
        await worker.renew_epoch()
        await eventually(lambda: suite.faults)
    assert "a reset" in " ".join(suite.faults)
