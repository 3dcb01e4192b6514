"""Each command and script is counted by its name and outcome, and its duration recorded."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from relay.errors import Bug, LeaseLost
from relay.ops.telemetry import Telemetry, TelemetrySettings
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


async def test_an_error_is_an_outcome_by_its_class(store: Store, raw: Redis) -> None:
    lost = Lease(keys.partition_of(TENANT), "worker-2", 7, "nonce")
    with pytest.raises(LeaseLost):
        await Presences(store).accept(lost, TENANT, [seen(1)])
    with pytest.raises(Bug):
        await store.command("NOSUCHCOMMAND", "x")
    counts = store.statistics.counts
    assert counts["accept", "LeaseLost"] == counts["NOSUCHCOMMAND", "Bug"] == 1
    assert ("accept", OK) not in counts


def test_durations_are_recorded_by_command_and_error() -> None:
    with Telemetry(TelemetrySettings()) as telemetry:
        statistics = CommandStatistics()
        with statistics.observed("GET"):
            pass
        with pytest.raises(LeaseLost), statistics.observed("accept"):
            raise LeaseLost("it is another's")
        text = telemetry.exposition().decode()
    name = "db_client_operation_duration_seconds_count{db_operation_name="
    assert f'{name}"GET",db_system_name="redis",error_type=""}} 1.0' in text
    assert f'{name}"accept",db_system_name="redis",error_type="LeaseLost"}} 1.0' in text
