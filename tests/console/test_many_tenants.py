"""The list at 50 and at 5,000 tenants: it finds and pages, and its round trips hardly grow."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.diagnosis.tenant_list import Choice, TenantLists
from relay.http.paths import CONSOLE
from relay.store.presence.connected import ConnectedSuites, OpenStreams
from relay.store.server import keys
from tests.console.conftest import Meet
from tests.console.operator import Operator
from tests.console.site import TOKEN, ConsoleSite

pytestmark = pytest.mark.long

NOW_S = int(datetime(2026, 11, 26, tzinfo=UTC).timestamp())
MOST_TRIPS = 60
"""Of a sign-in and the first page: the session, connections and scripts, the list in batches of 500, and the standing of 50 tenants."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What redis-py sends, an entry for each round trip."""
    trips: list[str] = []
    send = AbstractConnection.send_packed_command

    async def counted(self: AbstractConnection, command: object, *args: object, **kwargs: object) -> None:
        trips.append(type(command).__name__)
        await send(self, command, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    return trips


def id_of(number: int) -> TenantId:
    return TenantId(f"{number:08}-1111-4111-8111-111111111111")


async def put_tenants(raw: Redis, count: int) -> None:
    """As the relay keeps them, without waiting for the disk: every tenth is suspended, and all others are read."""
    said_ms = int(time.time() * 1000)
    async with raw.pipeline(transaction=False) as pipe:
        for number in range(count):
            tenant_id = id_of(number)
            state = TenantState.SUSPENDED if number % 10 == 0 else TenantState.ACTIVE
            record = {
                "state": state.value, "created": NOW_S, "since": NOW_S * 1000 + number, "settings": "{}",
                "name": f"Customer {number}", "domain": f"customer{number}.example",
            }  # fmt: skip
            pipe.sadd(keys.tenants(keys.partition_of(tenant_id)), tenant_id)
            pipe.hset(keys.tenant(tenant_id), mapping=record)
            pipe.set(keys.tenant_contact(tenant_id), f"{said_ms} 5000 0 600000 {said_ms}")
        await pipe.execute()


@pytest.fixture
async def operator(trial: ConsoleSite, meet: Meet) -> Operator:
    person = await meet(trial)
    await person.enter_with_token()
    return person


@pytest.mark.parametrize("count", [50, 5_000])
async def test_a_page_of_the_list_takes_few_round_trips_however_many_tenants_there_are(
    trial: ConsoleSite, meet: Meet, raw: Redis, sent: list[str], count: int
):
    await put_tenants(raw, count)
    operator = await meet(trial)
    await operator.get(CONSOLE)
    sent.clear()
    await operator.submit("console-token", secret=TOKEN)
    assert f"1 to 50 of {count:,}" in operator.text
    assert f"suspended {count // 10:,} active {count * 9 // 10:,}" in operator.text
    assert len(sent) <= MOST_TRIPS
    assert len(operator.page.content) < 60_000


async def test_any_of_5000_tenants_is_found_and_pages_lead_to_the_end(trial: ConsoleSite, meet: Meet, raw: Redis):
    await put_tenants(raw, 5_000)  # before anybody looks: the list is read again only after a while
    operator = await meet(trial)
    await operator.enter_with_token()
    await operator.get(f"{CONSOLE}?q=customer4321.")
    assert "1 to 1 of 1" in operator.text
    assert "customer4321.example" in operator.text
    await operator.get(f"{CONSOLE}?q={id_of(77)}")
    assert "customer77.example" in operator.text
    await operator.get(f"{CONSOLE}?state=suspended&page=10")
    assert "451 to 500 of 500" in operator.text
    assert "Next page" not in operator.text
    await operator.get(f"{CONSOLE}?page=101")
    assert "No tenant matches." in operator.text


async def test_the_list_is_read_again_only_after_a_while_or_when_something_was_changed(
    trial: ConsoleSite, sent: list[str]
):
    await trial.put()
    lists = TenantLists(trial.store)
    assert [line.tenant.domain for line in (await lists.get()).lines] == ["contoso.example"]
    sent.clear()
    await lists.get()
    assert sent == []
    lists.forget()
    await lists.get()
    assert sent


async def test_a_tenant_whose_worker_fell_silent_needs_attention(trial: ConsoleSite, raw: Redis):
    said_ms = int(time.time() * 1000)
    for number, ago_ms in ((1, 0), (2, 60_000)):
        await trial.put(id_of(number), domain=f"customer{number}.example")
        await raw.set(keys.tenant_contact(id_of(number)), f"{said_ms - ago_ms} 5000 0 5000 {said_ms - ago_ms}")
    found = (await TenantLists(trial.store).get()).find("", Choice.ATTENTION, 0, 50)
    assert [line.tenant.tenant_id for line in found.lines] == [id_of(2)]
    assert found.counts == {Choice.ACTIVE: 2, Choice.ATTENTION: 1}


async def test_the_streams_of_an_edge_are_summed_over_all_tenants(trial: ConsoleSite, operator: Operator):
    connected = ConnectedSuites(trial.store)
    for number in range(3):
        await trial.put(id_of(number))
        await connected.say("edge-1", {id_of(number): {"a" * 16: OpenStreams(2, 10), "b" * 16: OpenStreams(0, 0)}})
    await connected.say("edge-2", {id_of(0): {"a" * 16: OpenStreams(1, 5)}})
    one, other = await connected.by_edge([id_of(number) for number in range(3)])
    assert (one.edge, one.tenants, one.suites, one.streams, one.users) == ("edge-1", 3, 3, 6, 30)
    assert (other.edge, other.tenants, other.streams) == ("edge-2", 1, 1)
    await operator.get(f"{CONSOLE}/edges")
    assert "edge-1 6 3 3 30" in operator.text
    assert "all 7 4 4 35" in operator.text
