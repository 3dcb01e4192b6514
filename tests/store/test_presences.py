from __future__ import annotations

import struct
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from relay.core.presence import Name, Source, Status
from relay.core.reading.ordering import Order, Stamp, is_newer
from relay.core.revision import START, is_of
from relay.errors import Bug, HistoryLost, LeaseLost
from relay.store.presence.entries import TenantContact
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import MAX_SNAPSHOT_NAMES, Presences
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, name, seen, stands_for, tenant_in, user

P = keys.partition_of(TENANT)


async def items(presences: Presences) -> dict:
    return {user_id: stored.item for user_id, stored in (await presences.load(TENANT)).items()}


# ---------------------------------------------------------------- answers


@pytest.mark.each_topology
async def test_accepted_answers_are_stored_with_the_revision_of_their_one_entry(
    store: Store, lease: Lease, raw: Redis
) -> None:
    presences = Presences(store)
    answers = [seen(n, b"item %d" % n, sequence="A01") for n in range(650)]
    accepted = await presences.accept(lease, TENANT, answers)
    assert accepted.refused == frozenset()
    assert await raw.xlen(keys.changes(P)) == 1
    stored = await presences.load(TENANT)
    assert len(stored) == 650
    assert {answer.revision for answer in stored.values()} == {accepted.revision}
    assert stored[user(7)].item == b"item 7"
    assert stored[user(7)].sequence_number == "A01"
    assert stored[user(7)].order == Order(1, 1)


async def test_nothing_newer_writes_nothing(store: Store, lease: Lease, raw: Redis) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1, b"new", poll=2)])
    before = (await raw.info("commandstats"), await raw.get(keys.changes_head(P)))
    accepted = await presences.accept(lease, TENANT, [seen(1, b"old", poll=1)])
    after = (await raw.info("commandstats"), await raw.get(keys.changes_head(P)))
    assert accepted.revision is None
    assert accepted.refused == {user(1)}
    for write in ("cmdstat_hset", "cmdstat_xadd", "cmdstat_set"):
        assert before[0].get(write, {}).get("calls") == after[0].get(write, {}).get("calls")
    assert before[1] == after[1]
    assert await items(presences) == {user(1): b"new"}


async def test_of_one_call_only_what_is_newer_passes(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1, b"1", poll=5), seen(2, b"2", poll=1)])
    accepted = await presences.accept(
        lease, TENANT, [seen(1, b"x", poll=4), seen(2, b"y", poll=4), seen(3, b"z", poll=4)]
    )
    assert accepted.refused == {user(1)}
    assert await items(presences) == {user(1): b"1", user(2): b"y", user(3): b"z"}


async def test_a_sequence_number_outranks_the_order_of_polls(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1, b"a", poll=9, sequence="A0129311063")])
    assert (await presences.accept(lease, TENANT, [seen(1, b"b", poll=99, sequence="A0129311062")])).revision is None
    assert (await presences.accept(lease, TENANT, [seen(1, b"b", poll=1, sequence="A0129311064")])).revision
    stored = (await presences.load(TENANT))[user(1)]
    assert (stored.item, stored.sequence_number, stored.order) == (b"b", "A0129311064", Order(1, 9))


@pytest.mark.fault("B9")
async def test_of_equal_sequence_numbers_only_a_later_poll_passes(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1, b"a", poll=9, sequence="A1")])
    assert (await presences.accept(lease, TENANT, [seen(1, b"b", poll=8, sequence="A1")])).revision is None
    pushed = seen(1, b"b", poll=10, sequence="A1", source=Source.NOTIFICATION)
    assert (await presences.accept(lease, TENANT, [pushed])).revision is None
    assert (await presences.accept(lease, TENANT, [seen(1, b"b", poll=10, sequence="A1")])).revision


@pytest.mark.fault("B8")
async def test_where_numbers_begin_again_a_later_poll_passes_and_is_stored_as_one(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1, b"a", poll=9, sequence="A9999999999")])
    late = replace(seen(1, b"b", poll=8, sequence="A0000000001"), restarts=True)
    assert (await presences.accept(lease, TENANT, [late])).revision is None
    again = replace(seen(1, b"b", poll=10, sequence="A0000000001"), restarts=True)
    assert (await presences.accept(lease, TENANT, [again])).revision
    stored = (await presences.load(TENANT))[user(1)]
    assert (stored.item, stored.sequence_number, stored.source) == (b"b", "A0000000001", Source.POLL)


async def test_a_notification_passes_only_by_its_number(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    pushed = Source.NOTIFICATION
    assert (await presences.accept(lease, TENANT, [seen(1, b"n", sequence="9", source=pushed)])).revision is None
    await presences.accept(lease, TENANT, [seen(1, b"p")])
    assert (
        await presences.accept(lease, TENANT, [seen(1, b"n", poll=9, sequence="9", source=pushed)])
    ).revision is None
    await presences.accept(lease, TENANT, [seen(1, b"p", poll=2, sequence="5")])
    assert (await presences.accept(lease, TENANT, [seen(1, b"n", poll=2, sequence="6", source=pushed)])).revision
    assert (await presences.accept(lease, TENANT, [seen(1, b"n", poll=9, source=pushed)])).revision is None
    stored = (await presences.load(TENANT))[user(1)]
    assert (stored.item, stored.source) == (b"n", Source.NOTIFICATION)


STAMPS = st.tuples(
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from(["", "A", "a", "A0", "A1", "B", "é", "Z", "_", "A\x00"]),
    st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(stamps=st.lists(STAMPS, min_size=1, max_size=8))
async def test_the_script_orders_polls_as_the_rules_do(store: Store, lease: Lease, stamps: list) -> None:
    presences = Presences(store)
    await presences.forget(lease, TENANT, [user(1)])
    stored: Stamp | None = None
    for fence, poll, sequence, restarts in stamps:
        new = Stamp(Order(fence, poll), sequence)
        read = replace(seen(1, fence=fence, poll=poll, sequence=sequence), restarts=restarts)
        accepted = await presences.accept(lease, TENANT, [read])
        assert (accepted.revision is not None) == (stored is None or is_newer(stored, new, restarts=restarts))
        if accepted.revision is not None:
            order = max(new.order, stored.order) if stored else new.order
            stored = Stamp(order, sequence)


@pytest.mark.each_topology
async def test_a_late_owner_writes_nothing(store: Store, lease: Lease, raw: Redis) -> None:
    presences = Presences(store)
    await raw.delete(keys.lease(P))
    new = await Leases(store).acquire(P, lease.worker, timedelta(minutes=1))
    assert new
    before = await raw.dbsize()
    contact = TenantContact(TENANT, 1, 1, Status.NONE)
    for write in (
        lambda: presences.accept(lease, TENANT, [seen(1)]),
        lambda: presences.name(lease, TENANT, {name(1): stands_for(user(1))}),
        lambda: presences.contact(lease, [contact]),
        lambda: presences.renew_epoch(lease),
        lambda: presences.forget(lease, TENANT, [user(1)]),
        lambda: presences.forget_names(lease, TENANT, [name(1)]),
        lambda: presences.drop(lease, TENANT),
        lambda: presences.trim(lease, NOW),
    ):
        with pytest.raises(LeaseLost):
            await write()
    assert await raw.dbsize() == before
    assert (await presences.accept(new, TENANT, [seen(1)])).revision


async def test_a_lease_of_another_partition_proves_nothing(store: Store, lease: Lease) -> None:
    elsewhere = tenant_in((P + 1) % keys.PARTITIONS)
    with pytest.raises(LeaseLost):
        await Presences(store).accept(lease, elsewhere, [seen(1)])
    with pytest.raises(LeaseLost):
        await Presences(store).contact(lease, [TenantContact(elsewhere, 1, 1, Status.NONE)])


async def test_a_user_named_twice_in_one_call_is_a_bug(store: Store, lease: Lease) -> None:
    with pytest.raises(Bug):
        await Presences(store).accept(lease, TENANT, [seen(1, poll=1), seen(1, poll=2)])


async def test_more_answers_than_an_entry_holds_become_several(store: Store, lease: Lease, raw: Redis) -> None:
    presences = Presences(store)
    accepted = await presences.accept(lease, TENANT, [seen(n) for n in range(2500)])
    assert await raw.xlen(keys.changes(P)) == 3
    assert len(await presences.load(TENANT)) == 2500
    assert accepted.revision == max(answer.revision for answer in (await presences.load(TENANT)).values())
    assert (await presences.accept(lease, TENANT, [])).revision is None


async def test_an_endless_sequence_number_counts_as_none(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1, b"a", sequence="9" * 256)])
    await presences.accept(lease, TENANT, [seen(1, b"b", poll=2, sequence="1")])
    assert (await presences.load(TENANT))[user(1)].item == b"b"


async def test_tenants_of_one_partition_do_not_see_each_other(store: Store, lease: Lease) -> None:
    presences, other = Presences(store), tenant_in(P)
    await presences.accept(lease, TENANT, [seen(1, b"mine")])
    await presences.name(lease, TENANT, {name(1): stands_for(user(1))})
    assert await presences.load(other) == {}
    snapshot = await presences.snapshot(other, [name(1)])
    assert (snapshot.names, snapshot.answers) == ({}, {})


@pytest.mark.each_topology
async def test_forgotten_answers_and_dropped_tenants_are_gone(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(n) for n in range(3)])
    await presences.name(lease, TENANT, {name(n): stands_for(user(n)) for n in range(3)})
    await presences.forget(lease, TENANT, [user(0), user(9)])
    await presences.forget_names(lease, TENANT, [name(0), name(9)])
    assert set(await presences.load(TENANT)) == {user(1), user(2)}
    assert set(await presences.load_directory(TENANT)) == {name(1), name(2)}
    await presences.drop(lease, TENANT)
    assert await presences.load(TENANT) == {}
    assert await presences.load_directory(TENANT) == {}


@pytest.mark.long
async def test_changes_stay_short(store: Store, lease: Lease, raw: Redis) -> None:
    presences = Presences(store)
    for poll in range(1300):
        await presences.accept(lease, TENANT, [seen(1, bytes(300), poll=poll + 1)])
    assert 1000 <= await raw.xlen(keys.changes(P)) <= 1100
    assert await presences.trim(lease, datetime.fromtimestamp(4_000_000_000, tz=NOW.tzinfo)) > 0
    assert await raw.xlen(keys.changes(P)) == 0
    assert (await presences.snapshot(TENANT, [name(1)])).last > START


# -------------------------------------------------------------- directory


async def test_only_names_that_stand_for_something_else_go_into_changes(store: Store, lease: Lease, raw: Redis) -> None:
    presences = Presences(store)
    later = NOW + timedelta(hours=1)
    assert await presences.name(
        lease,
        TENANT,
        {name(1): stands_for(user(1)), name(2): stands_for(Status.NOT_FOUND), name(3): stands_for(user(3))},
    )
    assert await presences.name(lease, TENANT, {name(1): stands_for(user(1), later)}) is None
    assert await presences.name(
        lease, TENANT, {name(1): stands_for(user(1), later), name(2): stands_for(user(2), later)}
    )
    entries = await raw.xrange(keys.changes(P))
    assert len(entries) == 2
    assert set(entries[1][1]) == {b"p", b"n", name(2).encode()}
    directory = await presences.load_directory(TENANT)
    assert directory == {
        name(1): stands_for(user(1), later),
        name(2): stands_for(user(2), later),
        name(3): stands_for(user(3)),
    }


# --------------------------------------------------------------- snapshot


async def test_a_snapshot_of_an_empty_store_knows_nothing(store: Store) -> None:
    snapshot = await Presences(store).snapshot(TENANT, [name(1)])
    assert (snapshot.last, snapshot.epoch, snapshot.names, snapshot.answers) == (START, None, {}, {})
    assert snapshot.replid == (await store.identity(P)).replid


@pytest.mark.each_topology
async def test_a_snapshot_joins_names_and_answers(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    epoch = await presences.renew_epoch(lease)
    alias = Name("other@contoso.com")
    await presences.name(
        lease,
        TENANT,
        {
            name(1): stands_for(user(1)),
            alias: stands_for(user(1)),
            name(2): stands_for(user(2)),
            name(3): stands_for(Status.NOT_FOUND),
        },
    )
    accepted = await presences.accept(lease, TENANT, [seen(1, b"one", sequence="A9"), seen(5, b"not asked")])
    snapshot = await presences.snapshot(TENANT, [name(1), alias, name(2), name(3), name(4)])
    assert snapshot.names == {name(1): user(1), alias: user(1), name(2): user(2), name(3): Status.NOT_FOUND}
    assert snapshot.answers == {user(1): (accepted.revision, b"one")}
    assert snapshot.last == accepted.revision
    assert snapshot.epoch == epoch == await presences.epoch(P)
    assert is_of(epoch, (await store.identity(P)).replid)
    assert await presences.renew_epoch(lease) != epoch


async def test_a_snapshot_holds_5000_names_and_no_more(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    names = [name(n) for n in range(MAX_SNAPSHOT_NAMES)]
    await presences.name(lease, TENANT, {one: stands_for(user(n)) for n, one in enumerate(names)})
    await presences.accept(lease, TENANT, [seen(n) for n in range(MAX_SNAPSHOT_NAMES)])
    snapshot = await presences.snapshot(TENANT, names)
    assert len(snapshot.names) == len(snapshot.answers) == MAX_SNAPSHOT_NAMES
    with pytest.raises(Bug):
        await presences.snapshot(TENANT, [*names, name(-1)])
    assert (await presences.snapshot(TENANT, [])).names == {}


async def test_an_expired_name_is_still_given(store: Store, lease: Lease) -> None:
    presences = Presences(store)
    await presences.name(lease, TENANT, {name(1): stands_for(user(1), NOW - timedelta(days=900))})
    assert (await presences.snapshot(TENANT, [name(1)])).names == {name(1): user(1)}


# ---------------------------------------------------------------- contact


@pytest.mark.each_topology
async def test_contact_is_kept_for_each_tenant(store: Store, lease: Lease) -> None:
    presences, other = Presences(store), tenant_in(P)
    contacts = [
        TenantContact(TENANT, 1_700_000_000_000, 5000, Status.NONE),
        TenantContact(other, 0, 60_000, Status.STALE),
    ]
    await presences.contact(lease, contacts)
    assert await presences.contact_of(TENANT) == contacts[0]
    assert await presences.contact_of(other) == contacts[1]
    assert await presences.contact_of(tenant_in(P, 1)) is None
    await presences.contact(lease, [])


@pytest.mark.fault("V8")
async def test_a_kept_contact_tells_how_long_ago_it_came_by_the_stores_clock(
    store: Store, lease: Lease, raw: Redis
) -> None:
    presences, contact = Presences(store), TenantContact(TENANT, 1_000, 5000, Status.NONE, 5000, said_ms=64_000)
    assert await presences.kept_contact(TENANT) is None
    await presences.contact(lease, [contact])
    key = keys.tenant_contact(TENANT)
    kept = await presences.kept_contact(TENANT)
    assert kept.contact == contact
    assert kept.contact.age_s == 63.0
    *said, kept_ms = (await raw.get(key)).split()
    await raw.set(key, b"%b %d" % (b" ".join(said), int(kept_ms) - 60_000))
    assert 60 <= (await presences.kept_contact(TENANT)).ago_s < 120
    await raw.set(key, b"1000 5000 0 5000")
    assert (await presences.kept_contact(TENANT)).ago_s == 0.0, "a worker of an earlier release"


def test_the_layout_is_the_same_in_python_and_lua() -> None:
    from relay.store.presence import values
    from relay.store.server import scripting

    lua = scripting.files()["_layout"].read_text()
    assert f"HEAD_BYTES = {values._HEAD.size}" in lua
    assert f"REVISION_BYTES = {struct.calcsize('>QI')}" in lua


async def test_a_read_of_an_epoch_that_is_over_is_refused(store: Store, lease: Lease):
    presences = Presences(store)
    old = await presences.renew_epoch(lease)
    assert (await presences.accept(lease, TENANT, [seen(1, poll=1)], old)).revision
    new = await presences.renew_epoch(lease)
    with pytest.raises(HistoryLost):
        await presences.accept(lease, TENANT, [seen(1, poll=2)], old)
    assert (await presences.accept(lease, TENANT, [seen(1, poll=3)], new)).revision


@pytest.mark.each_topology
@pytest.mark.one_server
async def test_between_a_failover_and_the_new_epoch_nothing_is_accepted(store: Store, lease: Lease, raw: Redis):
    presences = Presences(store)
    epoch = await presences.renew_epoch(lease)
    await raw.execute_command("REPLICAOF", "127.0.0.1", "1")
    await raw.execute_command("REPLICAOF", "NO", "ONE")
    with pytest.raises(HistoryLost):
        await presences.accept(lease, TENANT, [seen(1)], epoch)


@pytest.mark.each_topology
async def test_a_new_epoch_deletes_the_answers_of_the_old_one(store: Store, lease: Lease):
    presences = Presences(store)
    await presences.accept(lease, TENANT, [seen(1)])
    await presences.renew_epoch(lease, [TENANT])
    assert await presences.load(TENANT) == {}
