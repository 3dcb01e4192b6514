"""What a worker believes to be stored is what is stored, however late replies and requests are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import Name, Observation, Presence, Status, TenantId, UserId
from relay.core.reading.ordering import Order
from relay.core.revision import Epoch
from relay.errors import LeaseLost
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import Presences
from relay.store.server import keys
from relay.store.server.connection import StoreSettings
from relay.wire.encode import decode
from relay.worker.reads.answers import AnswerBook
from relay.worker.statistics import TenantStatistics
from relay.worker.worker import Worker
from tests.support.late import LateStore
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import Relay
from tests.worker.inside import partition_of, parts_of

TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
ADA_ID = UserId("aaaaaaaa-0000-4000-8000-000000000001")
ADA, BEN = "ada@contoso.example", "ben@contoso.example"
PARTITION = keys.partition_of(TENANT)


@dataclass
class Owner:
    """One tenant's answers in the hands of their owner."""

    store: LateStore
    lease: Lease
    epoch: Epoch
    answers: AnswerBook
    orders: int = 0

    async def accept(self, answer: Presence | Status) -> frozenset[UserId]:
        return await self.answers.accept(self.lease, self.epoch, self.order(), {ADA_ID: answer})

    def order(self) -> Order:
        self.orders += 1
        return Order(self.lease.fence, self.orders)

    def read(self, availability: str, number: str = "") -> Presence:
        """What a read says of Ada, as the answer that is to be stored."""
        said = Observation(ADA_ID, availability, availability, sequence_number=number)
        answer = self.answers.judge_read([said]).changed[ADA_ID]
        assert isinstance(answer, Presence)
        return answer

    async def stored(self) -> Presence | Status | None:
        found = (await Presences(self.store).load(TENANT)).get(ADA_ID)
        return decode(found.item) if found else None

    async def is_believed_as_stored(self) -> bool:
        believed, stored = self.answers.of(ADA_ID), await self.stored()
        if isinstance(believed, Presence) and isinstance(stored, Presence):
            return believed.raw_availability == stored.raw_availability
        return believed is stored


@pytest.fixture
async def owner(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[Owner]:
    async with LateStore(StoreSettings(url=valkey.url)) as store:
        lease = await Leases(store).acquire(PARTITION, "worker-1", timedelta(minutes=1))
        assert lease is not None
        presences = Presences(store)
        epoch = await presences.renew_epoch(lease)
        yield Owner(store, lease, epoch, AnswerBook(TENANT, presences))


@pytest.mark.fault("V4")
async def test_of_two_writes_of_a_user_the_one_that_was_carried_out_last_is_believed(owner: Owner) -> None:
    held = owner.store.hold_reply("accept")
    read = asyncio.create_task(owner.accept(owner.read("Available")))
    await held.came.wait()
    await owner.accept(Status.STALE)  # beside the read's own write, on another connection
    held.let_go()
    await read
    assert await owner.stored() is Status.STALE
    assert owner.answers.of(ADA_ID) is Status.STALE


@pytest.mark.fault("V4")
async def test_who_was_forgotten_while_a_write_was_under_way_is_neither_stored_nor_believed(owner: Owner) -> None:
    held = owner.store.hold_reply("accept")
    read = asyncio.create_task(owner.accept(owner.read("Available")))
    await held.came.wait()
    forgetting = asyncio.create_task(owner.answers.forget(owner.lease, [ADA_ID]))
    await asyncio.sleep(0.05)  # a deletion that does not wait would be through
    held.let_go()
    await asyncio.gather(read, forgetting)
    assert await owner.stored() is None
    assert owner.answers.of(ADA_ID) is None


@pytest.mark.fault("V4")
async def test_a_write_whose_reply_comes_after_history_was_lost_is_not_believed(owner: Owner) -> None:
    held = owner.store.hold_reply("accept")
    read = asyncio.create_task(owner.accept(owner.read("Available")))
    await held.came.wait()
    owner.epoch = await Presences(owner.store).renew_epoch(owner.lease, [TENANT])
    owner.answers.clear()
    held.let_go()
    await read
    assert await owner.stored() is None
    assert owner.answers.of(ADA_ID) is None


@pytest.mark.fault("V4")
async def test_what_is_accepted_while_all_answers_are_read_is_believed_as_it_is_stored(owner: Owner) -> None:
    await owner.accept(owner.read("Available", "1"))
    held = owner.store.hold_reply("HSCAN")
    loading = asyncio.create_task(owner.answers.load())
    await held.came.wait()
    read = asyncio.create_task(owner.accept(owner.read("Busy", "2")))
    await asyncio.sleep(0.05)  # a write that does not wait would be through
    held.let_go()
    await asyncio.gather(loading, read)
    assert await owner.is_believed_as_stored()
    assert isinstance(believed := owner.answers.of(ADA_ID), Presence)
    assert believed.raw_availability == "Busy"


@pytest.mark.fault("V4")
async def test_an_answer_that_the_store_refuses_is_replaced_by_what_it_has(owner: Owner) -> None:
    await owner.accept(owner.read("Available", "2"))
    owner.answers.clear()  # parted, however that came about
    assert await owner.accept(owner.read("Busy", "1")) == {ADA_ID}
    assert await owner.is_believed_as_stored()


# The whole worker


@asynccontextmanager
async def working(relay: Relay) -> AsyncIterator[tuple[Worker, LateStore]]:
    async with relay.working(store_type=LateStore) as worker:
        assert isinstance(worker.store, LateStore)
        yield worker, worker.store


@asynccontextmanager
async def shown(relay: Relay) -> AsyncIterator[tuple[TenantId, Worker, LateStore]]:
    """A tenant whose Ada is watched and shown as available."""
    tenant = await relay.onboard()
    async with working(relay) as (worker, store):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        yield tenant, worker, store


def watched(worker: Worker, tenant: TenantId) -> TenantStatistics:
    return worker.statistics().partitions[keys.partition_of(tenant)].tenants[tenant]


def position_of(worker: Worker, tenant: TenantId) -> bytes:
    """Return up to where the inbox of a tenant's partition was taken in."""
    return worker.statistics().partitions[keys.partition_of(tenant)].position


async def reads_on(relay: Relay, times: int = 2) -> None:
    """Return when Graph has been asked for presence so many times more."""

    def count() -> int:
        return sum("getPresences" in entry.path for entry in relay.microsoft.journal)

    before = count()
    await eventually(lambda: count() >= before + times)


@pytest.mark.fault("V4")
async def test_a_write_that_timed_out_is_not_carried_out_after_its_writer_has_looked(relay: Relay) -> None:
    async with shown(relay) as (tenant, _, store):
        lost = store.lose("accept", keys.answers(tenant))
        relay.microsoft.set_presence(ADA, "Busy", "Busy")
        await lost.came.wait()
        relay.microsoft.set_presence(ADA, "Available", "Available")
        lost.let_go()
        await reads_on(relay, 3)  # it has looked what is stored, which is what Graph says: nothing is to be written
        with pytest.raises(LeaseLost):
            await lost.run()
        await reads_on(relay)
        assert await relay.sees(tenant, ADA, "Available")


@pytest.mark.fault("V4")
async def test_other_tenants_of_a_partition_that_was_fenced_go_on_with_what_is_stored(relay: Relay) -> None:
    """Whoever had a write under way meets LEASELOST: the partition is not lost for that, and nothing is."""
    async with shown(relay) as (tenant, worker, store):
        owned = partition_of(worker, tenant)
        begun = worker.statistics().partitions[keys.partition_of(tenant)].begun
        held = store.lose("accept", keys.answers(tenant))
        relay.microsoft.set_presence(ADA, "Busy", "Busy")
        await held.came.wait()
        await owned.ownership.fence(owned.lease)  # as another tenant does it
        held.let_go()
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        assert worker.statistics().partitions[keys.partition_of(tenant)].begun == begun


@pytest.mark.fault("V4")
async def test_a_name_whose_write_timed_out_is_stored_and_its_user_read(relay: Relay) -> None:
    tenant = await relay.onboard()
    async with working(relay) as (_, store):
        lost = store.lose("name", keys.directory(tenant))
        await relay.watch(tenant, ADA)
        await lost.came.wait()
        lost.let_go()
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


@pytest.mark.fault("V4")
async def test_of_two_writes_of_what_a_name_stands_for_the_newer_one_stays(relay: Relay) -> None:
    async with shown(relay) as (tenant, worker, store):
        parts, name = parts_of(worker, tenant), Name(BEN)
        held = store.lose("name", keys.directory(tenant))
        older = asyncio.create_task(parts.directory.write(parts.books.names.mark([name], Status.THROTTLED)))
        await held.came.wait()
        newer = asyncio.create_task(parts.directory.write(parts.books.names.mark([name], Status.SOURCE_UNREACHABLE)))
        await asyncio.sleep(0.05)  # one that does not wait would be through
        await held.run()
        held.let_go()
        await asyncio.gather(older, newer, return_exceptions=True)
        assert await relay.answer(tenant, BEN) is Status.SOURCE_UNREACHABLE


@pytest.mark.fault("V4")
async def test_a_status_that_is_told_while_a_page_is_read_does_not_outlive_the_next_read(relay: Relay) -> None:
    """What a page said last is kept to compare the next with; it is not what is held of who was told something else."""
    async with shown(relay) as (tenant, worker, store):
        answer = await relay.answer(tenant, ADA)
        assert isinstance(answer, Presence)
        held = store.hold_reply("accept", keys.answers(tenant))
        telling = asyncio.create_task(parts_of(worker, tenant).reader.store({answer.user_id: Status.STALE}))
        await held.came.wait()
        await reads_on(relay, 2)
        held.let_go()
        await telling
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


@pytest.mark.fault("V5")
async def test_two_readings_of_one_edges_interest_are_never_under_way_together(relay: Relay) -> None:
    tenant = await relay.onboard()
    first, second = edges = {"edge-1", "edge-2"}
    async with working(relay) as (worker, store):
        await relay.watch(tenant, ADA, edge=first)
        await relay.watch(tenant, ADA, edge=second)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        parts = parts_of(worker, tenant)
        await eventually(lambda: watched(worker, tenant).watchers(Name(ADA)) == 2)
        # All edges are read, and meanwhile the second one by itself: a reply that is old by the time it is there.
        of_first = store.hold_reply("SSCAN", keys.interest(tenant, first))
        reading_all = asyncio.create_task(parts.interest.read(edges))
        await of_first.came.wait()
        of_second = store.hold_reply("SSCAN", keys.interest(tenant, second))
        reading_one = asyncio.create_task(parts.interest.read({second}))
        await of_second.came.wait()
        position = position_of(worker, tenant)
        await relay.watch(tenant, BEN, edge=second)
        await eventually(lambda: position_of(worker, tenant) != position)
        of_first.let_go()
        await reading_all
        of_second.let_go()
        await reading_one
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        assert watched(worker, tenant).watched[second] == {Name(ADA), Name(BEN)}


@pytest.mark.fault("V5")
async def test_what_a_hint_says_while_an_edges_interest_is_read_comes_after_what_was_read(relay: Relay) -> None:
    async with shown(relay) as (tenant, worker, store):
        parts = parts_of(worker, tenant)
        older = store.hold_reply("SSCAN", keys.interest(tenant, "edge-1"))
        reading = asyncio.create_task(parts.interest.read({"edge-1"}))
        await older.came.wait()
        position = position_of(worker, tenant)
        await relay.watch(tenant, BEN)
        await eventually(lambda: position_of(worker, tenant) != position)
        older.let_go()
        await reading
        assert watched(worker, tenant).watched["edge-1"] == {Name(ADA), Name(BEN)}


@pytest.mark.fault("V5")
async def test_a_reading_of_interest_that_failed_is_made_again(relay: Relay) -> None:
    async with shown(relay) as (tenant, _, store):
        lost = store.lose("SSCAN", keys.interest(tenant, "edge-1"))
        await relay.interest.replace(tenant, "edge-1", [Name(ADA), Name(BEN)])
        await lost.came.wait()
        lost.let_go()
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))


@pytest.mark.fault("V4")
async def test_of_two_readings_of_the_grants_the_older_is_not_taken_in_last(relay: Relay) -> None:
    async with shown(relay) as (tenant, worker, store):
        pool = parts_of(worker, tenant).pool
        (grant,) = await relay.vault.list(tenant)
        held = store.hold_reply("HGETALL", keys.grant(tenant, grant.account_id))
        older = asyncio.create_task(pool.load())
        await held.came.wait()
        version = await relay.vault.save(replace(grant, upn="renamed@contoso.example"), grant.version)
        newer = asyncio.create_task(pool.load())
        await asyncio.sleep(0.05)  # one that does not wait would be through
        held.let_go()
        await asyncio.gather(older, newer)
        assert pool._grants[str(grant.account_id)].version >= version
