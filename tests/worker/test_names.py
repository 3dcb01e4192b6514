"""Names at work: who is made anew, renamed, deleted or created is seen; what is known outlasts refusals and restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from emulator import Fault
from relay.core.presence import Presence, Status, TenantId
from relay.store.server import keys
from relay.worker.settings import WorkerSettings
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, Relay

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"
NEW_ID = "99999999-0000-4000-8000-000000000002"
QUICK = replace(SETTINGS, directory_found=timedelta(seconds=1), directory_not_found=timedelta(milliseconds=500))


async def _is(relay: Relay, tenant: TenantId, name: str, status: Status) -> bool:
    return await relay.answer(tenant, name) is status


async def _is_under(relay: Relay, tenant: TenantId, name: str, upn: str) -> bool:
    answer = await relay.answer(tenant, name)
    return isinstance(answer, Presence) and answer.upn.lower() == upn


async def _is_renewed(raw: Redis, tenant: TenantId, epoch: object) -> bool:
    return await raw.get(keys.epoch(keys.partition_of(tenant))) not in (None, epoch)


@pytest.mark.fault("B15")
async def test_a_person_made_anew_is_shown_as_soon_as_graph_stops_reporting_the_former_one(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():  # as names are asked for again within minutes only
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.remove_person(ADA)
        relay.microsoft.add_person(tenant, NEW_ID, ADA, "Ada")
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


@pytest.mark.fault("B15", "L6")
async def test_a_deleted_person_is_nobody_soon(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.remove_person(ADA)
        await eventually(lambda: _is(relay, tenant, ADA, Status.NOT_FOUND))


@pytest.mark.fault("B15")
async def test_a_name_that_went_to_somebody_else_shows_that_person(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working(settings=QUICK):
        await relay.watch(tenant, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        relay.microsoft.rename_person(BEN, "ben.married@contoso.example")
        relay.microsoft.add_person(tenant, NEW_ID, BEN, "Another Ben")
        relay.microsoft.set_presence(BEN, "DoNotDisturb", "Presenting")
        await eventually(lambda: relay.sees(tenant, BEN, "DoNotDisturb"))


@pytest.mark.fault("L6")
async def test_somebody_new_is_seen_soon_after_being_asked_for_too_early(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working(settings=QUICK):
        await relay.watch(tenant, "new@contoso.example")
        await eventually(lambda: _is(relay, tenant, "new@contoso.example", Status.NOT_FOUND))
        relay.microsoft.add_person(tenant, NEW_ID, "new@contoso.example", "New")
        await eventually(lambda: relay.sees(tenant, "new@contoso.example", "Available"))


@pytest.mark.fault("L6", "B15")
def test_names_are_asked_for_again_within_minutes():
    settings = WorkerSettings()
    assert settings.directory_not_found <= timedelta(minutes=1)
    assert settings.directory_found <= timedelta(minutes=5)


@pytest.mark.fault("B13")
@pytest.mark.parametrize("status", [400, 403])
async def test_who_is_known_stays_known_while_graph_refuses_to_look(relay: Relay, status: int):
    tenant = await relay.onboard()
    async with relay.working(settings=QUICK):
        await relay.watch(tenant, ADA, BEN, "nobody@contoso.example")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await eventually(lambda: _is(relay, tenant, "nobody@contoso.example", Status.NOT_FOUND))
        relay.microsoft.add_fault(Fault(path="/v1.0/users", status=status, body='{"error": {"code": "x"}}'))
        refused = len(relay.microsoft.journal.search())
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        await eventually(lambda: sum("batch" in line.path for line in relay.microsoft.journal.search()[refused:]) >= 2)
        relay.microsoft.set_presence(ADA, "Away", "Away")
        await eventually(lambda: relay.sees(tenant, ADA, "Away"))
        assert await relay.sees(tenant, BEN, "Available")


@pytest.mark.fault("L3")
async def test_the_canonical_name_outlasts_the_worker_and_the_history_together(relay: Relay, raw: Redis):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: _is_under(relay, tenant, ADA, ADA))
    async with relay.working("worker-2"):
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        # What suites were told is lost, as when the store comes back with an older past. What names stand for is kept.
        epoch = await raw.get(keys.epoch(keys.partition_of(tenant)))
        await raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        await raw.execute_command("REPLICAOF", "NO", "ONE")
        await eventually(lambda: _is_renewed(raw, tenant, epoch))
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        assert await _is_under(relay, tenant, ADA, ADA)


@pytest.mark.fault("L3", "B15")
async def test_a_new_canonical_name_is_told(relay: Relay):
    tenant = await relay.onboard()
    oid = relay.microsoft.person(ADA).oid
    async with relay.working(settings=QUICK):
        await relay.watch(tenant, oid)
        await eventually(lambda: _is_under(relay, tenant, oid, ADA))
        relay.microsoft.rename_person(ADA, "ada.married@contoso.example")
        await eventually(lambda: _is_under(relay, tenant, oid, "ada.married@contoso.example"))


@pytest.mark.long
async def test_one_name_because_of_which_graph_fails_holds_no_other_up(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        relay.microsoft.add_fault(Fault(path="/v1.0/$batch", in_body=BEN, status=500))
        await relay.watch(tenant, ADA, BEN, CHLOE)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await eventually(lambda: relay.sees(tenant, CHLOE, "Available"))
        relay.microsoft.faults.remove()
        await eventually(lambda: relay.sees(tenant, BEN, "Available"), timeout=30)
