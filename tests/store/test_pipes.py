from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest
from redis.asyncio import Redis

from relay.core.presence import Status, TenantId
from relay.core.revision import START, render
from relay.errors import LeaseLost, StoreUnavailable
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.store.presence import hints, pipes
from relay.store.presence.entries import (
    ChangedAnswers,
    ChangedContact,
    ChangedNames,
    EndedAccess,
    TenantContact,
    UnknownEntry,
)
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.pipes import Changes, ChangesReader, Inbox
from relay.store.presence.presences import Presences
from relay.store.server import blocking, keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import TENANT, name, seen, stands_for, tenant_in, user
from tests.support.otlp import STEP, collecting
from tests.support.valkey import ValkeyServer, free_port
from tests.support.waiting import eventually

P = keys.partition_of(TENANT)
SHORT = timedelta(milliseconds=20)
HANGS_S = 30.0
"""After this time a test hangs, also on a busy machine."""


@pytest.fixture
def endless_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads block for so long that only a wake ends them within a test."""
    for module in (blocking, pipes):
        monkeypatch.setattr(module, "BLOCK", timedelta(seconds=2 * HANGS_S))


async def read_all(reader: ChangesReader) -> list:
    """Return what `reader` gets until there is nothing more."""
    read = []
    while found := await reader.read():
        read += [entry for _, entry in found]
    return read


# ------------------------------------------------------------------ inbox


@pytest.mark.parametrize(
    "hint",
    [
        hints.InterestChanged(TENANT, "edge-1", (name(1), name(2))),
        hints.InterestChanged(TENANT, "edge-1", removed=(name(1),)),
        hints.InterestChanged(TENANT, "edge-1"),
        hints.GrantChanged(TENANT, user(1)),
        hints.TenantChanged(TENANT),
        hints.Notified(TENANT, "07-route", (b"{}", b"\x00\xff")),
        hints.Notified(TENANT, "07-route", (b"{}",), bytes(range(24))),
        hints.Reauthorize(TENANT, "07-route"),
    ],
)
async def test_a_hint_arrives_as_it_was_sent(store: Store, hint: hints.Hint) -> None:
    inbox = Inbox(store)
    await inbox.append(hint)
    (entry,) = await inbox.read({P: START_ID}, SHORT)
    assert (entry.partition, entry.hint, entry.gap) == (P, hint, False)
    assert entry.position == await inbox.last(P)
    assert await inbox.read({P: entry.position}, SHORT) == []
    await inbox.aclose()


async def test_releases_with_traces_and_without_read_each_others_hints() -> None:
    class Before(msgspec.Struct, frozen=True, tag="n", array_like=True):
        tenant_id: TenantId
        route_id: str
        items: tuple[bytes, ...]

    before, now = Before(TENANT, "07-route", (b"{}",)), hints.Notified(TENANT, "07-route", (b"{}",), bytes(24))
    assert hints.decode(msgspec.msgpack.encode(before)) == hints.Notified(TENANT, "07-route", (b"{}",))
    assert msgspec.msgpack.decode(hints.encode(now), type=Before) == before


@pytest.mark.each_topology
async def test_one_read_covers_many_partitions(store: Store) -> None:
    inbox = Inbox(store)
    tenants = {partition: tenant_in(partition) for partition in range(keys.PARTITIONS)}
    for tenant in tenants.values():
        await inbox.append(hints.TenantChanged(tenant))
    read = await inbox.read(dict.fromkeys(tenants, START_ID))
    assert {entry.partition: entry.hint for entry in read} == {
        partition: hints.TenantChanged(tenant) for partition, tenant in tenants.items()
    }
    await inbox.aclose()


@pytest.mark.usefixtures("endless_reads")
@pytest.mark.each_topology
async def test_a_blocked_read_of_the_inbox_can_be_woken_and_goes_on_over_the_same_connection(
    store: Store, raw: Redis
) -> None:
    inbox = Inbox(store)
    await inbox.read({P: START_ID}, SHORT)
    before = (await raw.info("stats"))["total_connections_received"]
    for _ in range(20):
        reading = asyncio.create_task(inbox.read({P: START_ID}, blocking.BLOCK))
        await asyncio.sleep(0)
        await inbox.wake()
        async with asyncio.timeout(HANGS_S):
            assert await reading == []
    after = (await raw.info("stats"))["total_connections_received"]
    assert after - before <= 1  # the waking one
    await inbox.aclose()


@pytest.mark.each_topology
async def test_a_reader_of_the_inbox_notices_what_was_trimmed_away(store: Store, raw: Redis) -> None:
    inbox = Inbox(store)
    for _ in range(3):
        await inbox.append(hints.TenantChanged(TENANT))
    first, second, third = await inbox.read({P: START_ID}, SHORT)
    assert [entry.gap for entry in (first, second, third)] == [False, False, False]
    await raw.xtrim(keys.inbox(P), maxlen=1, approximate=False)
    (again,) = await inbox.read({P: first.position}, SHORT)
    assert again.gap
    (again,) = await inbox.read({P: second.position}, SHORT)
    assert not again.gap
    await inbox.aclose()


@pytest.mark.long
async def test_a_tenant_that_floods_the_inbox_costs_itself_a_full_reading(
    store: Store, lease: Lease, raw: Redis
) -> None:
    inbox = Inbox(store)
    other = tenant_in(P)
    for _ in range(pipes.INBOX_PER_TENANT + 5):
        await inbox.append(hints.TenantChanged(TENANT))
    await inbox.append(hints.TenantChanged(other))
    assert await raw.xlen(keys.inbox(P)) == pipes.INBOX_PER_TENANT + 1
    assert await inbox.save(lease, await inbox.last(P)) == {TENANT}
    assert await inbox.save(lease, await inbox.last(P)) == set()
    position = await inbox.last(P)
    await inbox.append(hints.TenantChanged(TENANT))
    (entry,) = await inbox.read({P: position}, SHORT)
    assert not entry.gap
    await inbox.aclose()


async def test_a_hint_of_a_later_release_is_no_error(store: Store, raw: Redis) -> None:
    inbox = Inbox(store)
    await raw.xadd(keys.inbox(P), {"p": "0-0", "h": b"\x93\xa1z\x01\x02"})
    await raw.xadd(keys.inbox(P), {"p": "0-0", "h": b"garbage"})
    assert [entry.hint for entry in await inbox.read({P: START_ID}, SHORT)] == [None, None]
    await inbox.aclose()


@pytest.mark.each_topology
async def test_the_cursor_is_kept_with_its_age_and_only_for_the_owner(store: Store, lease: Lease, raw: Redis) -> None:
    inbox = Inbox(store)
    assert await inbox.load(P) is None
    await inbox.save(lease, b"17-3")
    cursor = await inbox.load(P)
    assert cursor is not None
    assert cursor.position == b"17-3"
    assert timedelta() <= cursor.age < timedelta(seconds=30)
    await raw.set(keys.lease(P), b"somebody else's")
    with pytest.raises(LeaseLost):
        await inbox.save(lease, b"18-0")
    assert (await inbox.load(P)).position == b"17-3"


# ---------------------------------------------------------------- changes


@pytest.mark.each_topology
async def test_a_reader_of_changes_sees_every_kind_of_entry_in_order_without_a_gap(store: Store, lease: Lease) -> None:
    presences, changes, reader = Presences(store), Changes(store), ChangesReader(store)
    contact = TenantContact(TENANT, 1_700_000_000_123, 5_000, Status.THROTTLED)
    await presences.accept(lease, TENANT, [seen(1, b"one\x00\xff"), seen(2, b"two")])
    await presences.name(lease, TENANT, {name(1): stands_for(user(1)), name(2): stands_for(Status.NOT_FOUND)})
    await presences.contact(lease, [contact])
    await changes.key_revoked(TENANT, "00112233aabbccdd")
    await changes.tenant_removed(TENANT)
    reader.set(P, START)
    answers, names, contacts, revoked, removed = read = await read_all(reader)
    assert isinstance(answers, ChangedAnswers)
    assert (answers.tenant_id, answers.answers) == (TENANT, [(user(1), b"one\x00\xff"), (user(2), b"two")])
    assert isinstance(names, ChangedNames)
    assert dict(names.names) == {name(1): user(1), name(2): Status.NOT_FOUND}
    assert isinstance(dict(names.names)[name(2)], Status)
    assert isinstance(contacts, ChangedContact)
    assert contacts.contacts == [contact]
    assert isinstance(revoked, EndedAccess)
    assert (revoked.tenant_id, revoked.key_id) == (TENANT, "00112233aabbccdd")
    assert isinstance(removed, EndedAccess)
    assert (removed.tenant_id, removed.key_id) == (TENANT, "")
    assert not any(entry.gap for entry in read)
    assert [entry.previous for entry in read] == [START, *(entry.revision for entry in read[:-1])]
    assert reader.position(P) == removed.revision == await changes.last(P)
    await reader.aclose()


async def test_a_reader_of_changes_notices_what_was_trimmed_away(store: Store, lease: Lease, raw: Redis) -> None:
    presences, reader = Presences(store), ChangesReader(store)
    revisions = [(await presences.accept(lease, TENANT, [seen(1, poll=poll)])).revision for poll in (1, 2, 3)]
    await raw.xtrim(keys.changes(P), maxlen=1, approximate=False)
    reader.set(P, revisions[0])
    (entry,) = await read_all(reader)
    assert entry.gap
    reader.set(P, revisions[1])
    (entry,) = await read_all(reader)
    assert not entry.gap
    await reader.aclose()


@pytest.mark.each_topology
async def test_a_reader_that_holds_what_the_store_lost_sees_a_gap(store: Store, lease: Lease, raw: Redis) -> None:
    """The newest write is lost, as a failover may lose it: the entry, the answer and the head together."""
    presences, reader = Presences(store), ChangesReader(store)
    await presences.accept(lease, TENANT, [seen(1, poll=1)])
    head = await raw.get(keys.changes_head(P))
    lost = (await presences.accept(lease, TENANT, [seen(1, poll=2)])).revision
    await raw.xdel(keys.changes(P), await raw.get(keys.changes_head(P)))
    await raw.set(keys.changes_head(P), head)
    assert await Changes(store).last(P) < lost
    reader.set(P, lost)
    await presences.accept(lease, TENANT, [seen(1, poll=3)])
    (entry,) = await read_all(reader)
    assert entry.gap
    await reader.aclose()


@pytest.mark.usefixtures("endless_reads")
@pytest.mark.each_topology
async def test_setting_a_partition_wakes_a_blocked_read_wherever_it_is(store: Store, lease: Lease) -> None:
    await Presences(store).accept(lease, TENANT, [seen(1)])
    other = (P + 1) % keys.PARTITIONS
    for pause in (None, 0, 0.001, 0.01):
        reader = ChangesReader(store)
        reader.set(other, START)
        reading = asyncio.create_task(reader.read())
        if pause is not None:
            await asyncio.sleep(pause)
        reader.set(P, START)
        async with asyncio.timeout(HANGS_S):
            first = await reading
            second = first or await reader.read()
        assert [partition for partition, _ in second] == [P]
        await reader.aclose()


@pytest.mark.usefixtures("endless_reads")
@pytest.mark.each_topology
async def test_a_reader_without_partitions_waits_for_one(store: Store, lease: Lease) -> None:
    await Presences(store).accept(lease, TENANT, [seen(1)])
    reader = ChangesReader(store)
    reading = asyncio.create_task(reader.read())
    await asyncio.sleep(0.01)
    reader.set(P, START)
    async with asyncio.timeout(HANGS_S):
        assert await reading == []
        assert len(await reader.read()) == 1
    reader.drop(P)
    assert reader.position(P) is None
    await reader.aclose()


async def test_what_was_read_for_an_old_position_is_not_given_out(store: Store, lease: Lease) -> None:
    """Setting a partition back while its entries are on their way gives each of them once, from the new position."""
    presences, reader = Presences(store), ChangesReader(store)
    first = (await presences.accept(lease, TENANT, [seen(1, poll=1)])).revision
    assert first
    reader.set(P, first)
    await presences.accept(lease, TENANT, [seen(1, poll=2)])
    reading = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    reader.set(P, START)
    assert await reading == []
    assert len(await read_all(reader)) == 2
    await reader.aclose()


async def test_an_entry_of_a_later_release_is_passed_over_as_a_gap(store: Store, raw: Redis) -> None:
    reader = ChangesReader(store)
    for fields in (
        {"p": "0-0", "z": "?"},
        {"p": "nonsense", "a": TENANT},
        {"q": "1"},
        {"p": "0-0", "n": TENANT, "x": "u"},
    ):
        await raw.xadd(keys.changes(P), fields)
    reader.set(P, START)
    read = await read_all(reader)
    assert [type(entry) for entry in read[:3]] == [UnknownEntry, UnknownEntry, UnknownEntry]
    assert all(entry.gap for entry in read[:3])
    await reader.aclose()


async def test_an_entry_carries_the_trace_of_its_write_where_earlier_releases_do_not_look(
    store: Store, lease: Lease, raw: Redis
) -> None:
    presences, reader = Presences(store), ChangesReader(store)
    reader.set(P, START)
    await presences.accept(lease, TENANT, [seen(1, b"item", poll=1)])
    with collecting() as collector:
        settings = TelemetrySettings(otlp_endpoint=collector.url, trace_share=1)
        with Telemetry(settings), STEP.begins() as span:
            await presences.accept(lease, TENANT, [seen(1, b"another", poll=2)])
    untraced, traced = await read_all(reader)
    assert (untraced.trace, traced.trace) == (b"", span.carried)
    assert len(span.carried) == 24
    assert traced.answers == [(user(1), b"another")]
    assert not traced.gap
    # An earlier release takes position and tenant by their places, and the answers as pairs behind them.
    fields = (await raw.execute_command("XRANGE", keys.changes(P), "-", "+"))[1][1]
    flat = [part for pair in fields.items() for part in pair] if isinstance(fields, dict) else fields
    assert flat[1:] == [render(untraced.revision), b"a", TENANT.encode(), user(1).encode(), b"another"]
    await reader.aclose()


async def test_an_undecodable_entry_does_not_stop_the_reader(store: Store, lease: Lease, raw: Redis) -> None:
    reader = ChangesReader(store)
    await raw.xadd(keys.changes(P), {b"p": b"0-0", b"a": b"\xff\xfe", b"\xff": b"x"})
    await raw.xadd(keys.changes(P), {b"p": b"0-0", b"n": TENANT, b"a@b": b""})
    reader.set(P, START)
    assert [type(entry) for entry in await read_all(reader)] == [UnknownEntry, UnknownEntry]
    await reader.aclose()


async def test_the_reader_goes_on_after_the_server_was_away(tmp_path) -> None:
    server = ValkeyServer(tmp_path, free_port())
    with server:
        async with Store(StoreSettings(url=server.url, operation_timeout=timedelta(seconds=1))) as store:
            lease = await Leases(store).acquire(P, "w", timedelta(minutes=1))
            assert lease
            presences, reader = Presences(store), ChangesReader(store)
            await presences.accept(lease, TENANT, [seen(1)])
            reader.set(P, START)
            assert len(await read_all(reader)) == 1
            before = await store.identity(0)
            server.kill()
            with pytest.raises(StoreUnavailable):
                await reader.read()
            with pytest.raises(StoreUnavailable):
                await store.ping()
            server.start()

            async def back() -> bool:
                try:
                    await presences.accept(lease, TENANT, [seen(1, poll=2)])
                except StoreUnavailable:
                    return False
                return True

            await eventually(back)
            (entry,) = await read_all(reader)
            assert not entry.gap
            assert (await store.identity(0)).replid != before.replid
            await reader.aclose()
