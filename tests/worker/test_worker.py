"""The worker, from interest to answers."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from emulator import Fault
from relay.core.consent.tenant import TenantEvent
from relay.core.presence import ConsoleStatus, DirectoryNames, Name, Presence, Status, TenantId
from relay.core.shares import PartitionLoad
from relay.ops.clock import SYSTEM
from relay.store.presence.hints import InterestChanged, TenantChanged
from relay.store.presence.leases import Leases
from relay.store.presence.pipes import InboxEntry
from relay.store.server import keys
from relay.store.server.connection import Store
from relay.worker.cloud import Cloud
from relay.worker.context import Resources
from relay.worker.ownership import Ownership
from relay.worker.partition import OwnedPartition
from relay.worker.tenure import Tenure
from relay.worker.worker import Worker
from tests.graph.conftest import settings_for
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import EDGE, SETTINGS, SOON_STALE, Relay

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


async def test_a_watched_user_is_resolved_and_read(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        answer = await relay.answer(tenant, ADA)
        assert isinstance(answer, Presence)
        assert answer.upn.lower() == ADA
        assert answer.console_status is ConsoleStatus.AVAILABLE


async def test_a_change_is_seen_at_the_next_poll(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA, BEN)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        answer = await relay.answer(tenant, ADA)
        assert isinstance(answer, Presence)
        assert answer.console_status is ConsoleStatus.IN_A_CALL


async def test_names_that_stand_for_nobody_say_so(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, "nobody@contoso.example", ADA)
        await eventually(lambda: relay.answer(tenant, "nobody@contoso.example"))
        assert await relay.answer(tenant, "nobody@contoso.example") is Status.NOT_FOUND


async def test_a_user_whom_graph_omits_is_not_reported_and_never_offline(relay: Relay):
    tenant = await relay.onboard()
    world = relay.microsoft.world
    contoso = next(t for t in world.tenants.values() if t.tenant_id == tenant)
    relay.microsoft.add_person(
        contoso.tenant_id, "99999999-0000-4000-8000-000000000001", "zoe@contoso.example", "Zoe", licensed=False
    )
    async with relay.working():
        await relay.watch(tenant, "zoe@contoso.example")
        await eventually(lambda: relay.answer(tenant, "zoe@contoso.example"))
        assert await relay.answer(tenant, "zoe@contoso.example") is Status.NOT_REPORTED


async def test_a_revoked_grant_is_told_and_a_new_consent_cures_it(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA, "nobody@contoso.example")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.directory.revoke("presence-relay@contoso.example", access_tokens=True)
        await eventually(lambda: _is(relay, tenant, ADA, Status.CONSENT_REQUIRED))
        await relay.onboard()
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


async def test_who_is_watched_no_longer_is_forgotten_after_the_linger(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    async with relay.working():
        names = await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await relay.interest.remove(tenant, EDGE, names)
        await eventually(lambda: _empty(raw, keys.answers(tenant), keys.directory(tenant)))


async def test_what_a_killed_edge_watched_is_forgotten_and_what_others_watch_is_not(
    relay: Relay, raw: Redis, monkeypatch: pytest.MonkeyPatch
):
    """It says nothing: its interest expires, which the worker finds when it looks."""
    monkeypatch.setattr("relay.worker.tenant.loop.EXPIRED_EDGES_EVERY", timedelta(milliseconds=200))
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA, BEN, edge="killed")
        await relay.watch(tenant, BEN, edge="living")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        await raw.delete(keys.interest(tenant, "killed"))

        async def is_forgotten() -> bool:
            return await raw.hlen(keys.answers(tenant)) == 1

        await eventually(is_forgotten)
        assert await relay.sees(tenant, BEN, "Available")


async def test_an_unchanged_page_writes_nothing_but_leases_and_contact(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    rarely = replace(SETTINGS, lease=timedelta(hours=3), lease_renewal=timedelta(hours=1))  # nor the table of workers
    async with relay.working(settings=rarely):
        people = [person.upn for person in relay.microsoft.world.people() if person.upn.endswith("contoso.example")]
        await relay.watch(tenant, *people)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await eventually(lambda: _use_is_noted(relay, tenant))  # once in five minutes
        before = await _writes(raw)
        reads = _bulk_reads(relay)
        await eventually(lambda: _bulk_reads(relay) >= reads + 10, timeout=20)
        after = await _writes(raw)
        # Contact is a SET, an XADD and a SET of the head for each entry; leases are PEXPIRE; house-keeping trims, and many
        # partitions at once need connections. The table of workers is told once how many users there are.
        changed = {name for name in after if after[name] != before.get(name, 0)}
        assert changed <= {"set", "xadd", "pexpire", "xtrim", "incr", "unlink", "auth", "hset"}
        assert after.get("hset", 0) - before.get("hset", 0) <= 2


async def _use_is_noted(relay: Relay, tenant: TenantId) -> bool:
    return all(grant.last_success for grant in await relay.vault.list(tenant))


def _accounts(relay: Relay) -> tuple[str, str]:
    return ("presence-relay@contoso.example", "ada@contoso.example")


def _bulk_reads(relay: Relay) -> int:
    return sum("getPresences" in entry.path for entry in relay.microsoft.journal)


_READING = {"get", "hget", "hmget", "hgetall", "hscan", "sscan", "smembers", "scard", "exists", "xread", "evalsha", "info",
            "client|id", "client|setinfo", "client|unblock", "time", "ping", "hello", "command|count", "script|load", "eval"}  # fmt: skip


async def _writes(raw: Redis) -> dict[str, int]:
    stats = await raw.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    return {name: count for name, count in calls.items() if name not in _READING}


async def _is(relay: Relay, tenant, name: str, status: Status) -> bool:
    return await relay.answer(tenant, name) is status


async def _empty(raw: Redis, *held: bytes) -> bool:
    return await raw.exists(*held) == 0


async def test_a_lost_lease_is_taken_again_and_reading_goes_on(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await raw.delete(keys.lease(keys.partition_of(tenant)))
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


async def test_a_second_worker_takes_over_from_a_killed_one_and_writes_nothing_anew(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    async with relay.working("worker-1"):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
    before = await raw.hgetall(keys.answers(tenant))
    async with relay.working("worker-2"):
        reads = _bulk_reads(relay)
        await eventually(lambda: _bulk_reads(relay) > reads + 2)
        assert await raw.hgetall(keys.answers(tenant)) == before
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


async def test_lost_history_begins_a_new_epoch_and_everything_is_told_again(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    partition = keys.partition_of(tenant)
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        epoch = await raw.get(keys.epoch(partition))
        # What a failover does: a server that was a replica for a moment has another history from then on.
        await raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        await raw.execute_command("REPLICAOF", "NO", "ONE")
        await eventually(lambda: _changed(raw, keys.epoch(partition), epoch))
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


async def test_bodies_that_make_no_sense_make_nobody_offline(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working(settings=SOON_STALE):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path="/v1.0/communications/getPresencesByUserId", damage="not_json"))
        await eventually(lambda: _is(relay, tenant, ADA, Status.STALE))
        relay.microsoft.faults.remove()
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


async def test_a_user_whose_id_graph_refuses_costs_nobody_else_the_page(relay: Relay):
    relay.microsoft.set_switches(unknown_ids="refuse_400")
    tenant = await relay.onboard()
    ghost = "99999999-0000-4000-8000-00000000dead"
    relay.microsoft.add_person(tenant, ghost, "ghost@contoso.example", "Ghost")
    async with relay.working():
        await relay.watch(tenant, ADA, BEN, "ghost@contoso.example")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.remove_person("ghost@contoso.example")
        await eventually(lambda: _is(relay, tenant, "ghost@contoso.example", Status.NOT_FOUND))
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


async def _changed(raw: Redis, key: bytes, value: bytes) -> bool:
    return await raw.get(key) not in (None, value)


async def test_a_standby_grant_reads_on_when_the_first_dies(relay: Relay):
    tenant = await relay.onboard()
    await relay.onboard("ada@contoso.example")
    async with relay.working():
        await relay.watch(tenant, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        relay.microsoft.directory.revoke("presence-relay@contoso.example", access_tokens=True)
        relay.microsoft.directory.revoke("ada@contoso.example", access_tokens=True)
        await eventually(lambda: _is(relay, tenant, BEN, Status.CONSENT_REQUIRED))
        await relay.onboard("ada@contoso.example")
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        relay.microsoft.set_presence(BEN, "Busy")
        await eventually(lambda: relay.sees(tenant, BEN, "Busy"))


async def test_one_of_two_grants_dying_is_never_seen_by_suites(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    await relay.onboard("ada@contoso.example")
    async with relay.working():
        await relay.watch(tenant, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        # Either may be in use: the one that dies first must not be noticed, whichever it is.
        relay.microsoft.directory.revoke(
            min(_accounts(relay), key=lambda upn: relay.microsoft.person(upn).oid), access_tokens=True
        )
        relay.microsoft.set_presence(BEN, "Busy")
        await eventually(lambda: relay.sees(tenant, BEN, "Busy"))
        await eventually(lambda: _contact_is(relay, tenant, Status.NONE))


@pytest.mark.fault("L4")
async def test_an_organisation_that_the_operator_suspends_is_told_apart_from_one_that_permits_nobody(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await relay.tenants.happened(tenant, TenantEvent.SUSPENDED)
        await eventually(lambda: _is(relay, tenant, ADA, Status.SUSPENDED))
        await eventually(lambda: _contact_is(relay, tenant, Status.SUSPENDED))
        await relay.tenants.happened(tenant, TenantEvent.RESUMED)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


async def test_a_429_slows_the_tenant_down_and_its_users_keep_their_answers_until_stale(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path="/v1.0/communications", status=429, headers={"Retry-After": "2"}, count=1))
        await eventually(lambda: _contact_is(relay, tenant, Status.THROTTLED))
        throttled = _bulk_reads(relay)
        assert await relay.sees(tenant, ADA, "Available")
        await eventually(lambda: _contact_is(relay, tenant, Status.NONE))
        assert _bulk_reads(relay) <= throttled + 2


async def test_the_store_may_go_and_come_back(relay: Relay, valkey: ValkeyServer):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        valkey.kill()
        relay.microsoft.set_presence(ADA, "Busy")
        await asyncio.sleep(0.5)  # some polls must fail to be stored
        valkey.start()
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"), timeout=20)


async def test_a_slow_token_endpoint_of_one_tenant_holds_up_no_other(relay: Relay):
    contoso = await relay.onboard()
    fabrikam = await relay.onboard("presence-relay@fabrikam.example")
    relay.microsoft.set_switches(token_latency_ms_of={fabrikam: 600_000.0})
    async with relay.working():
        await relay.watch(fabrikam, "fay@fabrikam.example")
        await relay.watch(contoso, ADA)
        await eventually(lambda: relay.sees(contoso, ADA, "Available"))
        assert await relay.answer(fabrikam, "fay@fabrikam.example") is None


async def test_a_name_given_in_two_ways_is_one_user_read_once(relay: Relay):
    tenant = await relay.onboard()
    oid = relay.microsoft.person(ADA).oid
    async with relay.working():
        await relay.watch(tenant, ADA, oid)
        await eventually(lambda: relay.sees(tenant, oid, "Available"))
        assert (await relay.presences.load(tenant)).keys() == {oid}


async def test_a_status_message_is_passed_on_only_when_the_tenant_turned_it_on(relay: Relay):
    tenant = await relay.onboard()
    relay.microsoft.set_presence(ADA, "Busy", status_message="In Rome until Friday")
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        answer = await relay.answer(tenant, ADA)
        assert isinstance(answer, Presence)
        assert answer.status_message is None
        record = await relay.tenants.load(tenant)
        assert record is not None
        await relay.tenants.put(replace(record, settings={"pass_status_message": "on"}))
        await eventually(lambda: _says(relay, tenant, ADA, "In Rome until Friday"))


async def test_what_people_call_users_is_passed_on_only_while_the_tenant_has_it_on(relay: Relay):
    tenant = await relay.onboard()
    ada = relay.microsoft.person(ADA)
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        assert (await _called(relay, tenant)) == DirectoryNames()
        record = await relay.tenants.load(tenant)
        assert record is not None
        await relay.tenants.put(replace(record, settings={"pass_names": "on"}))
        await eventually(lambda: _is_called(relay, tenant, DirectoryNames(ada.display_name, ada.upn)))
        await relay.tenants.put(record)
        await eventually(lambda: _is_called(relay, tenant, DirectoryNames()))


async def _called(relay: Relay, tenant: TenantId) -> DirectoryNames | None:
    answer = await relay.answer(tenant, ADA)
    return answer.called if isinstance(answer, Presence) else None


async def _is_called(relay: Relay, tenant: TenantId, called: DirectoryNames) -> bool:
    return await _called(relay, tenant) == called


async def _says(relay: Relay, tenant: TenantId, name: str, message: str) -> bool:
    answer = await relay.answer(tenant, name)
    return isinstance(answer, Presence) and answer.status_message == message


async def _contact_is(relay: Relay, tenant: TenantId, status: Status) -> bool:
    contact = await relay.presences.contact_of(tenant)
    return contact is not None and contact.status is status


class WatchedStore(Store):
    """A store that counts how often a worker has read where streams of changes end."""

    looks = 0

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        found = await super().many(commands, vault=vault)
        self.looks += any(command[-1] in _HEADS for command in commands)
        return found


_HEADS = {keys.changes_head(partition) for partition in range(keys.PARTITIONS)}


async def test_a_stream_that_ends_earlier_than_before_is_lost_history_too(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    partition = keys.partition_of(tenant)
    async with relay.working(store_type=WatchedStore) as worker:
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        epoch = await raw.get(keys.epoch(partition))
        assert isinstance(worker.store, WatchedStore)
        looks = worker.store.looks
        await eventually(lambda: worker.store.looks >= looks + 2)  # the second one began after the worker's writes

        is_over = False  # and no cancellation, which Python 3.11 may lose in a command of redis-py

        async def end_earlier() -> None:
            while not is_over:  # the worker's next write moves it on, just before it looks perhaps
                await raw.set(keys.changes_head(partition), "1-1")

        ending = asyncio.create_task(end_earlier())
        try:
            await eventually(lambda: _changed(raw, keys.epoch(partition), epoch))
        finally:
            is_over = True
            await ending


async def test_leases_that_are_over_before_their_partitions_are_taken_over_do_not_end_the_worker(relay: Relay):
    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        short = replace(SETTINGS, lease=timedelta(milliseconds=1), lease_renewal=timedelta(milliseconds=10))
        task = asyncio.create_task(Worker(relay.store, relay.vault, cloud, short, "worker-1").run())
        await asyncio.wait([task], timeout=1)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.long
async def test_leases_lost_again_and_again_under_a_rain_of_hints_never_end_the_worker(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    async with relay.working() as worker:
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        for number in range(40):
            await raw.delete(keys.lease(keys.partition_of(tenant)))
            for edge in range(5):
                await relay.interest.replace(tenant, f"edge-{edge}", {Name(f"user{number}@contoso.example")})
            await asyncio.sleep(0.02)  # hints are to arrive while the partition ends
        await relay.watch(tenant, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"), timeout=20)
        assert worker.partitions


async def test_work_that_is_cancelled_before_it_begins_leaves_nothing_over(relay: Relay):
    tenant = await relay.onboard()
    partition = keys.partition_of(tenant)
    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        lease = await Leases(relay.store).acquire(partition, "worker-1", SETTINGS.lease)
        assert lease is not None
        epoch = await relay.presences.renew_epoch(lease, {tenant})
        tenure = Tenure(lease, time.monotonic(), SETTINGS.tenure)
        roster = (await relay.tenants.rosters([partition]))[partition]
        resources = Resources.of(relay.store, relay.vault, SETTINGS, "worker-1", SYSTEM, wake_alerts=lambda: None)
        ownership = Ownership(resources, tenure, epoch, cloud)
        owned = OwnedPartition(resources, ownership, await resources.inbox.last(partition), roster, PartitionLoad())
        running = asyncio.create_task(owned.run())
        await relay.watch(tenant, ADA)
        owned.hint(InboxEntry(partition, owned.position, InterestChanged(tenant, EDGE), gap=False))
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        running.cancel()
        while not running.done():  # the end goes from group to group, a turn of the loop each
            await asyncio.sleep(0)
            owned.hint(InboxEntry(partition, owned.position, TenantChanged(tenant), gap=False))
        await asyncio.gather(running, return_exceptions=True)
        gc.collect()  # says what was never awaited, which pytest turns into a failure


async def test_what_is_known_of_a_tenant_that_left_while_no_worker_was_there_is_deleted_by_the_next(
    relay: Relay, raw: Redis
):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
    assert await raw.exists(keys.answers(tenant))
    await relay.tenants.remove(tenant)
    await raw.delete(keys.inbox(keys.partition_of(tenant)))  # the hint is gone: hints are kept for a while only
    assert await relay.tenants.left(keys.partition_of(tenant)) == {tenant}
    async with relay.working():
        await eventually(lambda: _is_gone(relay, raw, tenant))


async def _is_gone(relay: Relay, raw: Redis, tenant: TenantId) -> bool:
    kept = await raw.exists(keys.answers(tenant), keys.directory(tenant), keys.tenant_contact(tenant))
    return not kept and not await relay.tenants.left(keys.partition_of(tenant))
