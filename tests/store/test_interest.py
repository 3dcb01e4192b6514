from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import Name
from relay.errors import TooManyUsers
from relay.store.presence import hints
from relay.store.presence.interest import Interest
from relay.store.presence.pipes import Inbox
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.connection import Store
from tests.store.samples import TENANT, name, tenant_in

P = keys.partition_of(TENANT)


async def hinted(store: Store) -> list:
    inbox = Inbox(store)
    entries = await inbox.read({P: START_ID}, timedelta(milliseconds=20))
    await inbox.aclose()
    return [entry.hint for entry in entries]


@pytest.mark.each_topology
async def test_interest_and_its_hint_come_together(store: Store) -> None:
    interest = Interest(store)
    assert await interest.add(TENANT, "edge-1", [name(1), name(2)]) == 2
    assert await interest.add(TENANT, "edge-1", [name(2), name(3)]) == 3
    assert await interest.add(TENANT, "edge-2", [name(9)]) == 1
    assert await interest.read(TENANT) == {"edge-1": {name(1), name(2), name(3)}, "edge-2": {name(9)}}
    assert await hinted(store) == [
        hints.InterestChanged(TENANT, "edge-1", (name(1), name(2))),
        hints.InterestChanged(TENANT, "edge-1", (name(2), name(3))),
        hints.InterestChanged(TENANT, "edge-2", (name(9),)),
    ]


async def test_many_names_are_hinted_at_without_being_repeated(store: Store) -> None:
    interest = Interest(store)
    names = [name(n) for n in range(12_345)]
    assert await interest.add(TENANT, "edge-1", names) == len(names)
    assert await interest.read(TENANT) == {"edge-1": set(names)}
    assert await interest.remove(TENANT, "edge-1", names[1:]) == 1
    assert await hinted(store) == [hints.InterestChanged(TENANT, "edge-1")] * 2


async def test_an_edge_without_interest_is_not_listed(store: Store, raw: Redis) -> None:
    interest = Interest(store)
    await interest.add(TENANT, "edge-1", [name(1)])
    await interest.add(TENANT, "edge-2", [name(2)])
    assert await interest.remove(TENANT, "edge-1", [name(1), name(7)]) == 0
    assert await interest.read_edges(TENANT) == {"edge-2"}
    assert (await hinted(store))[-1] == hints.InterestChanged(TENANT, "edge-1", (), (name(1), name(7)))
    await raw.delete(keys.interest(TENANT, "edge-2"))  # expired
    assert await interest.read(TENANT) == {}
    assert not await raw.exists(keys.tenant_edges(TENANT))


async def test_interest_expires_unless_renewed_and_a_lost_set_shows_as_a_wrong_count(store: Store, raw: Redis) -> None:
    interest, other = Interest(store), tenant_in(3)
    await interest.add(TENANT, "edge-1", [name(1), name(2)])
    await interest.add(other, "edge-1", [name(1)])
    await raw.pexpire(keys.interest(TENANT, "edge-1"), 10_000)
    assert await interest.renew([TENANT, other], "edge-1") == {TENANT: 2, other: 1}
    assert await raw.pttl(keys.interest(TENANT, "edge-1")) > 50_000
    await raw.flushall()
    assert await interest.renew([TENANT, other], "edge-1") == {TENANT: 0, other: 0}
    assert await interest.renew([], "edge-1") == {}


async def test_replacing_swaps_the_whole_set_at_once(store: Store, raw: Redis) -> None:
    interest = Interest(store)
    await interest.add(TENANT, "edge-1", [name(n) for n in range(10)])
    names = [name(n) for n in range(5, 7_000)]
    assert await interest.replace(TENANT, "edge-1", names) == len(names)
    assert await interest.read(TENANT) == {"edge-1": set(names)}
    assert 50_000 < await raw.pttl(keys.interest(TENANT, "edge-1")) <= 60_000
    assert len(await raw.keys("*interest*")) == 1
    assert (await hinted(store))[-1] == hints.InterestChanged(TENANT, "edge-1")
    assert await interest.replace(TENANT, "edge-1", []) == 0
    assert await interest.read(TENANT) == {}


async def test_nothing_added_or_removed_tells_nobody(store: Store) -> None:
    interest = Interest(store)
    await interest.add(TENANT, "edge-1", [name(1)])
    assert await interest.add(TENANT, "edge-1", []) == 1
    assert await interest.remove(TENANT, "edge-1", []) == 1
    assert len(await hinted(store)) == 1


def numbered(first: int, count: int) -> list[Name]:
    return [Name(f"u{n}@x.example") for n in range(first, first + count)]


@pytest.mark.each_topology
async def test_a_tenant_watches_so_many_distinct_names_and_no_more(store: Store) -> None:
    interest, tenant = Interest(store), tenant_in(5)
    await interest.add(tenant, "e1", numbered(0, 60), most=100)
    await interest.add(tenant, "e2", numbered(50, 50), most=100)
    with pytest.raises(TooManyUsers) as refused:
        await interest.add(tenant, "e2", numbered(90, 20), most=100)
    assert refused.value.metadata == {"limit": "100", "per": "tenant"}
    assert await interest.read_edge(tenant, "e2") == set(numbered(50, 50))  # all or nothing
    await interest.add(tenant, "e2", numbered(0, 60), most=100)  # those are not more
    await interest.remove(tenant, "e1", numbered(0, 10))
    with pytest.raises(TooManyUsers):  # the other edge has them still
        await interest.add(tenant, "e3", numbered(100, 10), most=100)
    await interest.remove(tenant, "e2", numbered(0, 10))
    await interest.add(tenant, "e3", numbered(100, 10), most=100)
    await interest.add(tenant, "e3", numbered(110, 10), most=110)  # an operator has raised it


async def test_tenants_limits_are_apart(store: Store) -> None:
    interest = Interest(store)
    await interest.add(tenant_in(5), "e1", numbered(0, 100), most=100)
    await interest.add(tenant_in(6), "e1", numbered(0, 100), most=100)


@pytest.mark.parametrize("share", [1.0, 0.5])
async def test_suites_of_an_edge_that_died_are_not_refused_before_and_after_its_set_expires(
    store: Store, share: float
) -> None:
    interest, tenant = Interest(store), tenant_in(5)
    await interest.add(tenant, "dead", numbered(0, 80), most=100)
    await interest.add(tenant, "e2", numbered(0, int(80 * share)), most=100)
    await interest.add(tenant, "e2", numbered(80, 20), most=100)
    await interest.remove(tenant, "e2", numbered(0, 5))
    await store.command("DEL", keys.interest(tenant, "dead"))  # as when it expires
    await interest.add(tenant, "e2", numbered(0, 80), most=100)
    assert len(await interest.read_edge(tenant, "e2")) == 100


async def test_registering_again_refuses_nobody_and_counts_as_before(store: Store) -> None:
    interest, tenant = Interest(store), tenant_in(5)
    await interest.add(tenant, "e1", numbered(0, 60), most=100)
    await interest.add(tenant, "e2", numbered(20, 60), most=100)
    for edge, first in (("e1", 0), ("e2", 20)):
        await interest.replace(tenant, edge, numbered(first, 60))
    await interest.add(tenant, "e2", numbered(80, 20), most=100)
    with pytest.raises(TooManyUsers):
        await interest.add(tenant, "e2", numbered(100, 1), most=100)


async def test_edges_that_come_and_go_in_order_leave_the_count_right(store: Store) -> None:
    interest, tenant = Interest(store), tenant_in(5)
    for number in range(6):
        await interest.add(tenant, f"e{number}", numbered(0, 100), most=100)
        if number:
            await interest.remove(tenant, f"e{number - 1}", numbered(0, 100))
    with pytest.raises(TooManyUsers):
        await interest.add(tenant, "e5", numbered(100, 1), most=100)
    await interest.remove(tenant, "e5", numbered(0, 100))
    assert await store.command("EXISTS", keys.tenant_shared(tenant)) == 0
