"""What `presence-relay check` says of the workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from relay.core.consent.tenant import TenantState
from relay.core.shares import LiveWorker, PartitionLoad, ShareTable
from relay.diagnosis import workers as diagnosis
from relay.diagnosis.workers import IDLE, describe_table, describe_workers
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.workers import Workers
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import TENANT

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_MOVE_S", 0.0)


async def test_each_live_worker_is_listed_with_its_partitions_users_and_share(store: Store) -> None:
    half = keys.PARTITIONS // 2
    load = PartitionLoad(users=100)
    await Workers(store).beat("one", MINUTE, dict.fromkeys(range(half), load), announce=False)
    await Workers(store).beat("two", MINUTE, dict.fromkeys(range(half, keys.PARTITIONS), load), announce=False)
    assert await describe_workers(store) == [
        (True, "Worker one: 32 of 64 partitions, 3,200 users, 1.00 of a fair share"),
        (True, "Worker two: 32 of 64 partitions, 3,200 users, 1.00 of a fair share"),
    ]


async def test_without_a_worker_it_is_wrong_only_if_there_is_somebody_to_read(store: Store) -> None:
    assert await describe_workers(store) == [(True, "Workers: none runs yet")]
    await Tenants(store).put(Tenant(tenant_id=TENANT, state=TenantState.ACTIVE, created=datetime.now(UTC)))
    [(is_good, text)] = await describe_workers(store)
    assert not is_good
    assert "presence-relay serve worker" in text


async def test_partitions_that_nobody_reads_and_keys_of_other_programs_are_named(store: Store, raw: Redis) -> None:
    await raw.rpush(keys.lease(5), "x")
    owned = dict.fromkeys(set(range(keys.PARTITIONS)) - {5, 9}, None)
    await Workers(store).beat("one", MINUTE, owned, announce=False)
    wrong = [text for is_good, text in await describe_workers(store) if not is_good]
    assert wrong == [
        "Partitions that no worker reads: 1 (9); the workers' logs say why",
        "Partition 5: its key {p05}:lease holds a list of another program, so no worker can read it; delete the key",
    ]


def test_a_worker_that_has_had_nothing_for_long_is_wrong_unless_there_are_more_workers_than_partitions() -> None:
    def wrong(age: timedelta, partitions: int = 2) -> list[str]:
        alive = LiveWorker(age=age, expires_in=MINUTE)
        table = ShareTable(partitions, {"busy": alive, "idle": alive}, dict.fromkeys(range(partitions), "busy"))
        return [text for is_good, text in describe_table(table, is_needed=True) if not is_good]

    assert wrong(timedelta(seconds=1)) == []
    assert wrong(2 * IDLE) == ["Worker idle: has had no partition in the 60 s that it has run; its log says why"]
    assert wrong(2 * IDLE, partitions=1) == []
