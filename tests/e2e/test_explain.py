"""Explaining one user: what is there and whence it came, and for each cause of absence the word, why, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from emulator.faults import Fault
from relay.core.audit.events import OPERATOR
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.names import normalise
from relay.core.presence import ConsoleStatus, Source, Status, TenantId
from relay.core.showing.diagnosis import ABSENCES, NOT_REQUESTED, NOT_WATCHED_ANY_MORE, SUSPENDED, ConnectorState, Word
from relay.core.watching.permission import WATCH_NEVER
from relay.diagnosis import minute
from relay.diagnosis.explanation import Explanation, as_json, explain
from relay.diagnosis.overview import Overviews
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant
from relay.store.presence.interest import Interest
from relay.store.server import keys
from tests.e2e.conftest import Edges, running
from tests.support.ring import MARKS
from tests.support.waiting import eventually
from tests.worker.conftest import SOON_STALE, Relay
from tests.worker.test_permission import settle
from tests.worker.test_push import Push, push

ADA, BEN, ZOE = "ada@contoso.example", "ben@contoso.example", "zoe@contoso.example"
__all__ = ["push"]

PRESENCES = "/v1.0/communications"


async def explained(relay: Relay, tenant: TenantId, text: str) -> Explanation:
    said = await explain(relay.store, relay.vault, tenant, text)
    assert said is not None
    return said


async def until(relay: Relay, tenant: TenantId, text: str, word: Word) -> Explanation:
    """What is said once the user is said to be so."""

    async def check() -> Explanation | None:
        await asyncio.sleep(0.3)  # below the limit of questions
        said = await explained(relay, tenant, text)
        return said if said.word is word else None

    found = await eventually(check, timeout=15)
    assert isinstance(found, Explanation)
    return found


async def test_a_user_with_a_presence_is_explained_from_microsoft_to_the_suites(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant:
        await relay.tenants.change_settings(tenant, {"map:Busy / InACall": "DO_NOT_DISTURB"}, OPERATOR)
        suite_keys = SuiteKeys(relay.store, MARKS)
        desk, door = [(await suite_keys.issue(tenant, label)).text for label in ("Front desk", "Door")]
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        by_id = relay.microsoft.person(ADA).oid
        async with edges.suite(desk, ADA) as one, edges.suite(door, by_id) as other:
            await eventually(lambda: one.shows(ADA) == other.shows(by_id) == "Busy")
            await eventually(lambda: _well(relay, tenant))
            for spelling in (ADA, f" SIP:{ADA.upper()}", by_id):
                said = await explained(relay, tenant, spelling)
                assert said.word is Word.BUSY
                assert said.absence is None
                assert (said.presence.raw_availability, said.presence.raw_activity) == ("Busy", "InACall")
                assert said.presence.source is Source.POLL
                assert said.mapped.name == "busy / inacall"
                assert said.mapped.override is said.presence.console_status is ConsoleStatus.DO_NOT_DISTURB
                assert said.names == tuple(sorted((ADA, by_id)))
                assert {suite.label for suite in said.suites} == {"Front desk", "Door"}
                assert said.reading == "presence-relay@contoso.example"
                assert said.covering == ""
                assert abs((said.next_read - said.at).total_seconds()) <= 1
                assert said.confirmed <= said.at
                assert said.since <= said.at
                assert said.is_whole
                assert said.connector.state is ConnectorState.UP_AND_RUNNING
            assert as_json(said)["suites"][0].keys() == {"key_id", "label"}


async def _not_found(relay: Relay, tenant: TenantId) -> str:
    return "nobody@contoso.example"


async def _not_reported(relay: Relay, tenant: TenantId) -> str:
    relay.microsoft.add_person(tenant, "99999999-0000-4000-8000-000000000001", ZOE, "Zoe", licensed=False)
    return ZOE


async def _denied(relay: Relay, tenant: TenantId) -> str:
    relay.microsoft.add_fault(Fault(path=PRESENCES, status=403, body='{"error":{"code":"Forbidden","message":"no"}}'))
    return ADA


async def _not_permitted(relay: Relay, tenant: TenantId) -> str:
    await settle(relay, tenant, **{WATCH_NEVER: relay.microsoft.person(ADA).oid})
    return ADA


async def _consent(relay: Relay, tenant: TenantId) -> str:
    relay.microsoft.directory.revoke("presence-relay@contoso.example", access_tokens=True)
    return ADA


async def _throttled(relay: Relay, tenant: TenantId) -> str:
    relay.microsoft.add_fault(Fault(path=PRESENCES, status=429, headers={"Retry-After": "1"}))
    return ADA


async def _unreachable(relay: Relay, tenant: TenantId) -> str:
    relay.microsoft.add_fault(Fault(path=PRESENCES, status=503))
    return ADA


CAUSES: list[tuple[Callable[[Relay, TenantId], Awaitable[str]], Status, ConnectorState]] = [
    (_not_found, Status.NOT_FOUND, ConnectorState.UP_AND_RUNNING),
    (_not_reported, Status.NOT_REPORTED, ConnectorState.UP_AND_RUNNING),
    (_denied, Status.ACCESS_DENIED, ConnectorState.UP_AND_RUNNING),
    (_not_permitted, Status.NOT_PERMITTED, ConnectorState.UP_AND_RUNNING),
    (_consent, Status.CONSENT_REQUIRED, ConnectorState.FORBIDDEN),
    (_throttled, Status.THROTTLED, ConnectorState.CONNECTION_ERROR),
    (_unreachable, Status.SOURCE_UNREACHABLE, ConnectorState.CONNECTION_ERROR),
]


@pytest.mark.parametrize(("bring_about", "status", "connector"), CAUSES, ids=[status.name for _, status, _ in CAUSES])
async def test_each_cause_of_absence_is_told_with_what_to_do(
    relay: Relay,
    bring_about: Callable[[Relay, TenantId], Awaitable[str]],
    status: Status,
    connector: ConnectorState,
):
    tenant = await relay.onboard()
    name = await bring_about(relay, tenant)
    async with relay.working():
        await relay.watch(tenant, name)
        await eventually(lambda: _is(relay, tenant, name, status))
        said = await until(relay, tenant, name, ABSENCES[status].word)
        assert said.absence == ABSENCES[status]
        assert said.presence is None
        assert said.owner is not None
        if connector is not ConnectorState.UP_AND_RUNNING:
            assert said.connector.state is connector


async def _is(relay: Relay, tenant: TenantId, name: str, status: Status) -> bool:
    return await relay.answer(tenant, name) is status


async def test_a_presence_that_nothing_confirms_any_more_is_told_as_such(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working(settings=SOON_STALE):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await _unreachable(relay, tenant)
        said = await until(relay, tenant, ADA, Word.ERROR)
        assert said.absence in (ABSENCES[Status.STALE], ABSENCES[Status.SOURCE_UNREACHABLE])
        assert "503" in said.owner.trouble


async def test_without_a_worker_it_is_said_that_none_answers(relay: Relay):
    tenant = await relay.onboard()
    await relay.watch(tenant, ADA)
    said = await explained(relay, tenant, ADA)
    assert said.owner is None
    assert not said.is_whole
    assert said.absence == ABSENCES[Status.PENDING]
    assert said.connector.state is ConnectorState.CONNECTION_ERROR
    assert "No worker" in str(said.connector.cause)


async def test_who_is_not_watched_is_watched_for_a_minute_at_a_press(relay: Relay):
    tenant = await relay.onboard()
    name = normalise(ADA)
    assert name is not None
    overviews = Overviews(relay.store)
    async with relay.working():
        await eventually(lambda: _well(relay, tenant))
        assert (await explained(relay, tenant, ADA)).absence == NOT_REQUESTED
        assert await minute.watch(relay.store, tenant, name)
        said = await until(relay, tenant, ADA, Word.AVAILABLE)
        assert said.is_shown
        assert not said.is_requested
        (row,) = (await overviews.of(tenant)).rows
        assert (row.word, row.is_shown, row.is_requested) == (Word.AVAILABLE, True, False)
        (edge,) = await Interest(relay.store).watching(tenant, [name])
        assert 50_000 < await relay.store.command("PTTL", keys.interest(tenant, edge)) <= 60_000
        await relay.store.command("DEL", keys.interest(tenant, edge))  # what a minute does
        said = await until(relay, tenant, ADA, Word.NOT_REQUESTED)
        assert said.absence in (NOT_REQUESTED, NOT_WATCHED_ANY_MORE)


async def _well(relay: Relay, tenant: TenantId) -> bool:
    contact = await relay.presences.contact_of(tenant)
    return contact is not None and contact.status is Status.NONE


async def test_pages_watch_a_few_users_at_a_time_only(relay: Relay):
    tenant = await relay.onboard()
    names = [normalise(f"user{n}@contoso.example") for n in range(minute.MOST_AT_ONCE + 1)]
    watched = [await minute.watch(relay.store, tenant, name) for name in names if name]
    assert watched == [True] * minute.MOST_AT_ONCE + [False]
    assert await minute.watch(relay.store, tenant, names[0])  # once more is no more


async def test_who_may_not_be_watched_is_not_shown_by_the_page_either(relay: Relay):
    tenant = await relay.onboard()
    await settle(relay, tenant, **{WATCH_NEVER: ADA})
    async with relay.working():
        by_id = normalise(relay.microsoft.person(ADA).oid)
        assert by_id is not None
        await minute.watch(relay.store, tenant, by_id)
        said = await until(relay, tenant, by_id, Word.ACCESS_DENIED)
        assert said.absence == ABSENCES[Status.NOT_PERMITTED]


async def test_a_suspended_tenant_is_told_whose_matter_it_is(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await relay.tenants.happened(tenant, TenantEvent.SUSPENDED)
        said = await until(relay, tenant, ADA, Word.SERVER_NOT_CONFIGURED)
        assert said.absence == SUSPENDED
        assert said.connector.state is ConnectorState.DISABLED


async def test_what_is_no_name_is_told_without_asking_anybody(relay: Relay):
    tenant = await relay.onboard()
    for text in ("", "  ", "<b>nobody</b>", "x" * 100_000, "ada@contoso.example\x00", "\u202eada"):
        said = await explained(relay, tenant, text)
        assert said.absence == ABSENCES[Status.MALFORMED]
        assert len(said.asked) <= 320
    assert await relay.store.command("EXISTS", keys.tenant_asked(tenant)) == 0


async def test_another_tenants_user_is_never_explained(relay: Relay, edges: Edges):
    other = TenantId("0c1d2e3f-2222-4222-8333-944445555777")
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA) as console:
        await eventually(lambda: console.shows(ADA) == "Available")
        ada = relay.microsoft.person(ADA).oid
        await relay.tenants.put(Tenant(tenant_id=other, state=TenantState.ACTIVE, created=datetime.now(UTC)))
        for text in (ADA, ada):
            said = await explained(relay, other, text)
            assert said.presence is None
            assert said.suites == ()
            assert said.names == ()
            assert said.absence == NOT_REQUESTED
            assert said.user_id in (None, ada)  # what was asked for may be said again, and nothing else is
            assert said.owner is None or not said.owner.edges
        assert (await Overviews(relay.store).of(other)).rows == []


async def test_questions_beyond_the_limit_are_told_as_such(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await relay.store.command("SET", keys.tenant_asked(tenant), 1000, "PX", 60_000)
        began = datetime.now(UTC)
        said = await explained(relay, tenant, ADA)
        assert said.is_limited
        assert said.word is Word.AVAILABLE
        assert datetime.now(UTC) - began < timedelta(seconds=1)


async def test_a_presence_is_explained_by_name_also_when_nobody_asks_by_that_name(relay: Relay):
    tenant = await relay.onboard()
    async with relay.working():
        ada = relay.microsoft.person(ADA).oid
        await relay.watch(tenant, ada)
        await eventually(lambda: relay.sees(tenant, ada, "Available"))
        said = await explained(relay, tenant, ADA)
        assert said.word is Word.AVAILABLE
        assert said.names == (ada,)


async def test_whose_subscription_covers_a_user_is_told(push: Push):
    relay, tenant = push.relay, await push.relay.onboard()
    async with relay.working(settings=push.settings):
        await relay.watch(tenant, ADA)
        await push.covers(tenant, 1)
        said = await explained(relay, tenant, ADA)
        assert said.covering == said.reading == "presence-relay@contoso.example"
        assert said.owner.is_covered
        assert said.covered_until > said.at + timedelta(minutes=30)
        assert said.owner.interval_s == 3600
        relay.microsoft.act(ADA, "call")
        await push.shows(tenant, ADA, "Busy")
        assert (await explained(relay, tenant, ADA)).presence.source is Source.NOTIFICATION
