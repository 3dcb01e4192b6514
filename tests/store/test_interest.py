from __future__ import annotations

from datetime import timedelta

from redis.asyncio import Redis

from relay.store import hints, keys
from relay.store.connection import Store
from relay.store.interest import Interest
from relay.store.pipes import START_ID, Inbox
from tests.store.samples import TENANT, name, tenant_in

P = keys.partition_of(TENANT)


async def hinted(store: Store) -> list:
    inbox = Inbox(store)
    entries = await inbox.read({P: START_ID}, timedelta(milliseconds=20))
    await inbox.aclose()
    return [entry.hint for entry in entries]


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
