"""Questions to owner and edges: nothing is written without one, they are bounded, and everything expires."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import Name
from relay.core.revision import START
from relay.errors import LeaseLost
from relay.store.presence import hints
from relay.store.presence.entries import WatcherQuestion
from relay.store.presence.explanations import MOST_ASKED, EdgeAnswer, Explanations, OwnerAnswer
from relay.store.presence.leases import Lease
from relay.store.presence.pipes import ChangesReader, Inbox
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import TENANT, tenant_in, user

P = keys.partition_of(TENANT)
ADA = Name("ada@contoso.com")
SOON = timedelta(milliseconds=200)


@pytest.mark.each_topology
@pytest.mark.parametrize("names", [(), (ADA,), (ADA, Name("a@b.com"))])
async def test_a_question_reaches_the_owner_and_the_edges(store: Store, names: tuple[Name, ...]) -> None:
    explanations, inbox, reader = Explanations(store), Inbox(store), ChangesReader(store)
    request_id = await explanations.ask(TENANT, user(1), names)
    assert request_id is not None
    (entry,) = await inbox.read({P: b"0-0"})
    assert entry.hint == hints.Explain(TENANT, request_id, user(1), names)
    reader.set(P, START)
    ((_, asked),) = await reader.read()
    assert isinstance(asked, WatcherQuestion)
    assert (asked.tenant_id, asked.request_id, asked.user_id, asked.names) == (TENANT, request_id, user(1), names)
    assert not asked.gap
    await inbox.aclose()
    await reader.aclose()


@pytest.mark.each_topology
async def test_what_owner_and_edges_say_is_gathered_as_soon_as_all_have_answered(store: Store, lease: Lease) -> None:
    explanations = Explanations(store)
    request_id = await explanations.ask(TENANT, None, [ADA])
    assert request_id is not None
    gathering = asyncio.create_task(
        explanations.gather(TENANT, request_id, lambda edge: edge != "page-1", timedelta(minutes=1))
    )
    for edge, key_ids in (("e1", ("k1", "k2")), ("e2", ("k2", "k3"))):
        await explanations.answer_as_edge(TENANT, request_id, EdgeAnswer(edge_id=edge, key_ids=key_ids))
    said = OwnerAnswer(worker_id="w", edges=("e1", "e2", "page-1"), next_read_s=1.5)
    await explanations.answer_as_owner(lease, TENANT, request_id, said)
    gathered = await asyncio.wait_for(gathering, 30)
    assert gathered.owner == said
    assert gathered.key_ids == {"k1", "k2", "k3"}
    assert gathered.is_whole


async def test_who_does_not_answer_is_not_waited_for(store: Store, lease: Lease) -> None:
    explanations = Explanations(store)
    request_id = await explanations.ask(TENANT, None, [ADA])
    assert request_id is not None
    assert (await explanations.gather(TENANT, request_id, lambda _: True, SOON)).owner is None
    await explanations.answer_as_owner(lease, TENANT, request_id, OwnerAnswer(worker_id="w", edges=("e1",)))
    gathered = await explanations.gather(TENANT, request_id, lambda _: True, SOON)
    assert gathered.owner is not None
    assert not gathered.is_whole


async def test_only_the_owner_answers_as_the_owner(store: Store, lease: Lease) -> None:
    explanations = Explanations(store)
    late = replace(lease, fence=lease.fence + 1)
    with pytest.raises(LeaseLost):
        await explanations.answer_as_owner(late, TENANT, "1", OwnerAnswer(worker_id="w"))
    with pytest.raises(LeaseLost):
        await explanations.answer_as_owner(lease, tenant_in((P + 1) % 64), "1", OwnerAnswer(worker_id="w"))


async def test_a_tenant_that_asks_too_much_costs_nobody_anything(store: Store, raw: Redis) -> None:
    explanations = Explanations(store)
    asked = [await explanations.ask(TENANT, None, [ADA]) for _ in range(MOST_ASKED + 5)]
    assert asked[MOST_ASKED:] == [None] * 5
    assert await raw.xlen(keys.inbox(P)) == await raw.xlen(keys.changes(P)) == MOST_ASKED
    assert 0 < await raw.pttl(keys.tenant_asked(TENANT)) <= 10_000
    assert await explanations.ask(tenant_in(P, 1), None, [ADA]) is not None


async def test_what_was_said_expires(store: Store, lease: Lease, raw: Redis) -> None:
    explanations = Explanations(store)
    await explanations.answer_as_owner(lease, TENANT, "1", OwnerAnswer(worker_id="w"))
    await explanations.answer_as_edge(TENANT, "2", EdgeAnswer(edge_id="e", key_ids=()))
    for request_id in ("1", "2"):
        assert 0 < await raw.pttl(keys.explanation(TENANT, request_id)) <= 10_000


async def test_a_reply_of_a_later_release_is_as_good_as_none(store: Store, raw: Redis) -> None:
    await raw.rpush(keys.explanation(TENANT, "1"), b"[1]", b"\xff", b'{"type":"later"}')
    assert (await Explanations(store).gather(TENANT, "1", lambda _: True, SOON)).owner is None
