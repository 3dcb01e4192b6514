"""Taking partitions over: in few round trips however many there are, and all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay.store.presence.leases import Leases
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.scripting import Call
from relay.worker.worker import Worker
from tests.support.clock import SteppedClock
from tests.support.fault_proxy import Delay, FaultProxy
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, SHORT_LEASES, Relay

ADA = "ada@contoso.example"
MINUTE = timedelta(minutes=1)


class CountingStore(Store):
    """A store that notes what travels: each note of `trips` is one round trip, of `asked` the leases asked for in one."""

    def __init__(self, settings: StoreSettings) -> None:
        super().__init__(settings)
        self.trips: list[str] = []
        self.asked: list[int] = []

    async def run_many(self, calls: Sequence[Call], *, urgent: bool = False) -> list[Any]:
        if calls:
            self.trips.append(calls[0].script.name)
        if asked := sum(call.script.name == "lease_acquire" for call in calls):
            self.asked.append(asked)
        return await super().run_many(calls, urgent=urgent)

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        if commands:
            self.trips.append(str(commands[0][0]))
        return await super().many(commands, vault=vault)

    async def run_once(self, call: Call) -> Any:
        self.trips.append(call.script.name)
        return await super().run_once(call)

    async def command(self, *command: Any) -> Any:
        self.trips.append(str(command[0]))
        return await super().command(*command)


TAKING = ("lease_acquire", "SMEMBERS", "epoch_renew")


def trips_of(worker: Worker) -> list[str]:
    """What has travelled so far of what a takeover takes."""
    assert isinstance(worker.store, CountingStore)
    return [trip for trip in worker.store.trips if trip in TAKING]


async def all_owned(worker: Worker) -> bool:
    return len(worker.partitions) == keys.PARTITIONS


@pytest.mark.fault("V11", "V12")
async def test_all_partitions_are_taken_in_one_round_trip_and_begun_in_two_more(relay: Relay):
    settings = replace(SETTINGS, lease=MINUTE, lease_renewal=MINUTE / 3)
    with capture_logs() as lines:
        async with relay.working(settings=settings, store_type=CountingStore) as first:
            await eventually(lambda: all_owned(first))
            assert trips_of(first) == list(TAKING)
            await eventually(lambda: [line for line in lines if line["event"] == "partitions_owned"])
    told = [line for line in lines if line["event"] == "partitions_owned"]
    assert [(line["before"], line["owned"]) for line in told] == [(0, keys.PARTITIONS)]

    async with relay.working("next", settings, store_type=CountingStore) as after:
        await eventually(lambda: all_owned(after))
        assert trips_of(after) == list(TAKING[:2]), "history was not lost"


@pytest.mark.fault("V11")
async def test_lost_history_is_declared_for_all_partitions_together(relay: Relay, raw: Redis):
    async with relay.working(store_type=CountingStore) as worker:
        await eventually(lambda: all_owned(worker))
        before = len(trips_of(worker))
        await raw.delete(*[keys.epoch(partition) for partition in range(keys.PARTITIONS)])

        async def are_all_new() -> bool:
            return None not in await raw.mget([keys.epoch(partition) for partition in range(keys.PARTITIONS)])

        await eventually(are_all_new)
        assert trips_of(worker)[before:].count("epoch_renew") <= 2, "twice if half of them were deleted at first"


@pytest.mark.fault("V11")
async def test_who_takes_is_told_when_the_next_lease_expires_and_a_repeated_attempt_finds_its_own(
    relay: Relay, raw: Redis
):
    ours, theirs = Leases(relay.store), Leases(relay.store)
    assert await theirs.acquire(1, "them", timedelta(seconds=20))
    assert await theirs.acquire(2, "them", timedelta(seconds=10))
    look = await ours.take([1, 2, 3], "us", MINUTE)
    assert [taken.lease.partition for taken in look.taken] == [3]
    assert look.next_free is not None
    assert timedelta(seconds=5) < look.next_free <= timedelta(seconds=10)

    # An attempt whose answer never came: the store has carried it out, and we do not know.
    nonce = ours._nonces.setdefault(4, "0123456789abcdef")
    await raw.set(keys.lease(4), f"7:{nonce}:us", px=60_000)
    [taken] = (await ours.take([4], "us", MINUTE)).taken
    assert taken.lease.fence == 7
    assert await ours.renew([taken.lease], MINUTE) == {taken.lease}


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.fault("V11")
async def test_a_store_that_answers_after_two_seconds_slows_a_worker_down_and_costs_it_nothing(
    relay: Relay, valkey: ValkeyServer, raw: Redis
):
    tenant = await relay.onboard()
    await relay.watch(tenant, ADA)
    settings = replace(SETTINGS, lease=timedelta(seconds=6), lease_renewal=timedelta(seconds=2))
    partition = keys.partition_of(tenant)
    async with FaultProxy(("127.0.0.1", valkey.port)) as line:
        line.delay_s = Delay(up=1.0, down=1.0)
        async with relay.working(settings=settings, through=line.port) as worker:
            await eventually(lambda: all_owned(worker), timeout=60)
            await eventually(lambda: relay.sees(tenant, ADA, "Available"), timeout=60)
            fence = (await raw.get(keys.lease(partition))).split(b":")[0]
            relay.microsoft.set_presence(ADA, "Busy", "Busy")
            await eventually(lambda: relay.sees(tenant, ADA, "Busy"), timeout=60)
            await asyncio.sleep(18)  # three leases
            assert (await raw.get(keys.lease(partition))).split(b":")[0] == fence, "it was never lost"


async def test_a_worker_that_was_too_slow_for_its_leases_takes_half_of_them_back_before_the_rest(relay: Relay):
    """Too slow for lack of CPU, for example: to take all of them at once would make it too slow again."""
    clock = SteppedClock()
    async with relay.working(settings=SHORT_LEASES, store_type=CountingStore, clock=clock) as worker:
        assert isinstance(worker.store, CountingStore)
        await eventually(lambda: all_owned(worker))
        with capture_logs() as lines:
            worker.store.asked.clear()
            clock.advance(SHORT_LEASES.lease.total_seconds())
            await eventually(
                lambda: worker.store.asked and all_owned(worker)
            )  # it asks for those only that it has lost
        assert max(worker.store.asked) == keys.PARTITIONS // 2
        [told] = [line for line in lines if line["event"] == "leases_renewed_too_late"]
        assert (told["lost"], told["of"], told["takes_at_most"]) == (64, 64, 32)
