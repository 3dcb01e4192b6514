"""Microsoft refuses: a part of what it is asked, or everything for a while. A worker, and what its suites see."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from emulator import Fault
from relay.core.presence import Presence, Status, TenantId
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, SOON_STALE, Relay

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
BULK = "/v1.0/communications/getPresencesByUserId"


def _reads(relay: Relay) -> int:
    return sum(entry.path.startswith(BULK) for entry in relay.microsoft.journal)


@pytest.mark.fault("B3")
@pytest.mark.parametrize("asked", ["0", "0.124", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_refusals_that_ask_for_no_pause_get_one(relay: Relay, asked: str):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path=BULK, status=429, headers={"Retry-After": asked}, for_s=1.5))
        await asyncio.sleep(1.5)
        assert sum(entry.path.startswith(BULK) and entry.status == 429 for entry in relay.microsoft.journal) <= 6
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


@pytest.mark.fault("B8")
async def test_numbers_that_begin_again_do_not_keep_a_presence_as_it_was(relay: Relay, caplog, capsys):
    tenant = await relay.onboard()
    brief = replace(SETTINGS, lag=timedelta(seconds=0.5))
    relay.microsoft.set_presence(ADA, "Busy", "InACall", sequence_number="A9999999999")
    async with relay.working(settings=brief):
        await relay.watch(tenant, ADA, BEN)
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        relay.microsoft.set_presence(ADA, "Away", "Away", sequence_number="A0000000001")
        await eventually(lambda: relay.sees(tenant, ADA, "Away"))
        relay.microsoft.set_presence(ADA, "DoNotDisturb", "Presenting", sequence_number="A9999999999")
        await eventually(lambda: relay.sees(tenant, ADA, "DoNotDisturb"))
    assert "sequence_numbers_restarted" in capsys.readouterr().out + caplog.text
    async with relay.working("worker-2", settings=brief):  # which knows the number from what is stored
        relay.microsoft.set_presence(ADA, "Available", "Available", sequence_number="A10000000000")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))


@pytest.mark.fault("B9")
async def test_another_content_under_the_same_number_is_shown(relay: Relay):
    tenant = await relay.onboard()
    record = await relay.tenants.load(tenant)
    assert record is not None
    await relay.tenants.put(replace(record, settings={"pass_status_message": "on"}))
    relay.microsoft.set_presence(ADA, "Available", sequence_number="A7183418239")
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.set_presence(ADA, "Available", status_message="back on Friday", sequence_number="A7183418239")

        async def says() -> bool:
            answer = await relay.answer(tenant, ADA)
            return isinstance(answer, Presence) and answer.status_message == "back on Friday"

        await eventually(says)


@pytest.mark.fault("B5", "B7")
@pytest.mark.parametrize("status", [400, 403, 404, 413, 500])
async def test_one_user_whom_microsoft_refuses_costs_nobody_else_anything(relay: Relay, status: int):
    tenant = await relay.onboard()
    oid = relay.microsoft.person(BEN).oid
    async with relay.working():
        people = await _watch_everybody(relay, tenant)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        was = {name for name, answer in (await relay.answers(tenant, *people)).items() if isinstance(answer, Presence)}
        relay.microsoft.add_fault(Fault(path=BULK, in_body=oid, status=status))
        # A refusal does not say that nobody is there.
        expected = {403: Status.ACCESS_DENIED, 500: Status.SOURCE_UNREACHABLE}.get(status, Status.STALE)
        await eventually(lambda: _is(relay, tenant, BEN, expected))
        before = _reads(relay)
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        answers = await relay.answers(tenant, *people)
        assert {name for name, answer in answers.items() if isinstance(answer, Presence)} == was - {BEN}
        assert _reads(relay) - before < 60
        relay.microsoft.faults.remove()
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))


@pytest.mark.fault("B7")
@pytest.mark.parametrize("status", [400, 403, 413, 418, 407])
async def test_what_microsoft_refuses_everybody_is_nobodys_fault(relay: Relay, status: int):
    tenant = await relay.onboard()
    async with relay.working():
        people = await _watch_everybody(relay, tenant)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        before, answers = _reads(relay), await relay.answers(tenant, *people)
        relay.microsoft.add_fault(Fault(path=BULK, status=status, body="<html>Bad request</html>"))
        await eventually(lambda: _reads(relay) > before + 5)
        assert await relay.answers(tenant, *people) == answers
        relay.microsoft.faults.remove()
        relay.microsoft.set_presence(ADA, "Busy")
        relay.microsoft.set_presence(BEN, "Away")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        await eventually(lambda: relay.sees(tenant, BEN, "Away"))


async def _watch_everybody(relay: Relay, tenant: TenantId) -> list[str]:
    people = [person.upn for person in relay.microsoft.world.people() if person.upn.endswith("contoso.example")]
    await relay.watch(tenant, *people)
    await eventually(lambda: _all_answered(relay, tenant, people))
    return people


async def _all_answered(relay: Relay, tenant: TenantId, people: list[str]) -> bool:
    return None not in (await relay.answers(tenant, *people)).values()


async def _is(relay: Relay, tenant: TenantId, name: str, status: Status) -> bool:
    return await relay.answer(tenant, name) is status


@pytest.mark.fault("B4")
async def test_where_microsoft_lets_one_account_read_nothing_the_next_one_reads(relay: Relay, capsys):
    tenant = await relay.onboard()
    await relay.onboard("ada@contoso.example")
    accounts = sorted(str(grant.account_id) for grant in await relay.vault.list(tenant))
    async with relay.working():
        people = await _watch_everybody(relay, tenant)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        answers = await relay.answers(tenant, *people)
        relay.microsoft.add_fault(Fault(path=BULK, account=accounts[0], status=403))
        relay.microsoft.set_presence(BEN, "Busy")
        await eventually(lambda: relay.sees(tenant, BEN, "Busy"))

        async def only_ben_changed() -> bool:
            now = await relay.answers(tenant, *people)
            assert Status.ACCESS_DENIED not in now.values()
            # A busy machine may have a presence by now where the answer was a reason, and users who are read late are stale for a moment.
            return [
                name
                for name in people
                if isinstance(answers[name], Presence) and _raw(now[name]) != _raw(answers[name])
            ] == [BEN]

        await eventually(only_ben_changed)
        assert "tenant_access_denied" not in capsys.readouterr().out
        relay.microsoft.add_fault(Fault(path=BULK, account=accounts[1], status=403))
        await eventually(lambda: "tenant_access_denied" in capsys.readouterr().out)
        await eventually(lambda: _fares(relay, tenant, Status.ACCESS_DENIED))
        relay.microsoft.faults.remove()
        relay.microsoft.set_presence(BEN, "Away")
        await eventually(lambda: relay.sees(tenant, BEN, "Away"))
        await eventually(lambda: _fares(relay, tenant, Status.NONE))


def _raw(answer: Presence | Status | None) -> object:
    return (answer.raw_availability, answer.raw_activity) if isinstance(answer, Presence) else answer


@pytest.mark.fault("L10")
async def test_not_all_is_well_while_users_wait_for_a_throttled_read(relay: Relay):
    tenant = await relay.onboard()
    relay.microsoft.add_fault(Fault(path=BULK, status=503, headers={"Retry-After": "3"}))
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: _is(relay, tenant, ADA, Status.THROTTLED))
        relay.microsoft.faults.remove()
        await eventually(lambda: _fares(relay, tenant, Status.THROTTLED))
        await relay.watch(tenant, "nobody@contoso.example")  # a name that is looked up: Graph answers that
        await eventually(lambda: _is(relay, tenant, "nobody@contoso.example", Status.NOT_FOUND))
        while True:
            fares = await _fares(relay, tenant, Status.THROTTLED)
            if not await _is(relay, tenant, ADA, Status.THROTTLED):
                break
            assert fares
            await asyncio.sleep(0.05)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await eventually(lambda: _fares(relay, tenant, Status.NONE))


async def _fares(relay: Relay, tenant: TenantId, status: Status) -> bool:
    contact = await relay.presences.contact_of(tenant)
    return contact is not None and contact.status is status


@pytest.mark.long
@pytest.mark.fault("B5", "B7")
async def test_one_user_for_whom_microsoft_never_answers_costs_nobody_else_anything(relay: Relay):
    tenant = await relay.onboard()
    oid = relay.microsoft.person(BEN).oid
    brief = timedelta(seconds=0.5)
    async with relay.working(read_timeout=brief, total_timeout=brief):
        await relay.watch(tenant, ADA, BEN)
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))
        relay.microsoft.add_fault(Fault(path=BULK, in_body=oid, latency_ms=30_000))
        for shown in ("Busy", "Away", "Busy"):
            relay.microsoft.set_presence(ADA, shown)
            await eventually(lambda shown=shown: relay.sees(tenant, ADA, shown))  # type: ignore[misc]
        relay.microsoft.faults.remove()
        relay.microsoft.set_presence(BEN, "Busy")
        await eventually(lambda: relay.sees(tenant, BEN, "Busy"))


@pytest.mark.fault("B4", "B17")
async def test_one_account_that_gets_no_answer_holds_no_other_tenant_up(relay: Relay):
    tenant, other = await relay.onboard(), await relay.onboard("presence-relay@fabrikam.example")
    brief = timedelta(seconds=0.5)
    async with relay.working(read_timeout=brief, total_timeout=brief):
        await relay.watch(tenant, ADA)
        await relay.watch(other, "mia@fabrikam.example")
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path=BULK, tenant=tenant, latency_ms=30_000))
        for shown in ("Busy", "Away"):
            relay.microsoft.set_presence("mia@fabrikam.example", shown)
            await eventually(lambda shown=shown: relay.sees(other, "mia@fabrikam.example", shown))  # type: ignore[misc]
        relay.microsoft.faults.remove()
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


@pytest.mark.fault("B3")
@pytest.mark.parametrize("path", ["/v1.0/$batch", "/v1.0/users"])
async def test_a_directory_that_asks_for_a_pause_stops_no_read_of_presence(relay: Relay, path: str):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path=path, status=429, headers={"Retry-After": "60"}))
        await relay.watch(tenant, BEN)
        await eventually(lambda: _is(relay, tenant, BEN, Status.THROTTLED))
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))
        await eventually(lambda: _fares(relay, tenant, Status.NONE))


@pytest.mark.fault("B4")
@pytest.mark.parametrize("path", ["/v1.0/$batch", "/v1.0/users"])
async def test_where_one_account_may_not_look_names_up_the_next_one_does(relay: Relay, path: str):
    tenant = await relay.onboard()
    await relay.onboard("ada@contoso.example")
    accounts = sorted(str(grant.account_id) for grant in await relay.vault.list(tenant))
    relay.microsoft.add_fault(Fault(path=path, account=accounts[0], status=403))
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path=path, account=accounts[1], status=403))
        await relay.watch(tenant, BEN)
        await eventually(lambda: _is(relay, tenant, BEN, Status.ACCESS_DENIED))
        relay.microsoft.faults.remove()
        await eventually(lambda: relay.sees(tenant, BEN, "Available"))


@pytest.mark.fault("B10")
async def test_an_answer_that_leads_nowhere_says_of_nobody_known_that_nobody_is_there(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working(settings=SOON_STALE):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.add_fault(Fault(path=BULK, status=500))
        await eventually(lambda: _is(relay, tenant, ADA, Status.STALE))
        endless = {"value": [], "@odata.nextLink": f"{relay.microsoft.url}{BULK}"}
        relay.microsoft.faults.remove()
        relay.microsoft.add_fault(Fault(path=BULK, status=200, body=json.dumps(endless)))
        before = _reads(relay)
        await eventually(lambda: _reads(relay) > before + 6)
        assert await relay.answer(tenant, ADA) is Status.STALE
        relay.microsoft.faults.remove()
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
