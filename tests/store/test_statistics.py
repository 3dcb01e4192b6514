"""Each command and script is counted by its name and outcome, with how long it took."""

from __future__ import annotations

import pytest
from opentelemetry.metrics import CallbackOptions
from redis.asyncio import Redis

from relay.errors import Bug, LeaseLost
from relay.store.presence.leases import Lease
from relay.store.presence.presences import Presences
from relay.store.server import keys
from relay.store.server.connection import Store
from relay.store.server.statistics import OK, CommandStatistics
from tests.store.samples import TENANT, seen

pytestmark = pytest.mark.one_server


async def test_commands_scripts_and_durable_writes_are_counted_by_name(store: Store, lease: Lease, raw: Redis) -> None:
    await store.command("GET", keys.lease(1))
    await store.command("GET", keys.lease(2))
    await store.many([("HGETALL", keys.tenant(TENANT)), ("TIME",)])
    await Presences(store).accept(lease, TENANT, [seen(1)])
    async with store.durable() as vault:
        await vault.execute("SET", "k", 1)
        await vault.confirm()
    counts = store.statistics.counts
    assert {name: counts[name, OK] for name in ("GET", "HGETALL", "lease_acquire", "accept", "SET", "WAITAOF")} == {
        "GET": 2,
        "HGETALL": 1,
        "lease_acquire": 1,
        "accept": 1,
        "SET": 1,
        "WAITAOF": 1,
    }
    assert all(store.statistics.times_ns[name] > 0 for name, _ in counts)


async def test_an_error_is_an_outcome_by_its_class(store: Store, raw: Redis) -> None:
    lost = Lease(keys.partition_of(TENANT), "worker-2", 7, "nonce")
    with pytest.raises(LeaseLost):
        await Presences(store).accept(lost, TENANT, [seen(1)])
    with pytest.raises(Bug):
        await store.command("NOSUCHCOMMAND", "x")
    counts = store.statistics.counts
    assert counts["accept", "LeaseLost"] == counts["NOSUCHCOMMAND", "Bug"] == 1
    assert ("accept", OK) not in counts


def test_a_scrape_reads_what_was_counted() -> None:
    statistics = CommandStatistics()
    for _ in range(3):
        with statistics.observed("GET"):
            pass
    [count] = statistics._read_counts(CallbackOptions())
    [time] = statistics._read_times(CallbackOptions())
    assert (count.value, count.attributes) == (3, {"command": "GET", "outcome": "ok"})
    assert time.attributes == {"command": "GET"}
    assert time.value == statistics.times_ns["GET"] / 1e9
