"""The store that gathers commands: one round trip for what many ask, and nobody sees another's refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from relay.errors import Bug, StoreUnavailable
from relay.store.presence.interest import Interest
from relay.store.server.connection import StoreSettings
from relay.store.server.pipelining import PipeliningStore
from tests.store.samples import TENANT
from tests.support.valkey import ValkeyServer, free_port


@pytest.fixture
async def store(valkey: ValkeyServer, raw: Redis) -> AsyncIterator[PipeliningStore]:
    async with PipeliningStore(StoreSettings(url=valkey.url)) as store:
        yield store


async def connections_used(raw: Redis) -> int:
    return int((await raw.info("stats"))["total_connections_received"])


async def test_what_many_tasks_ask_together_is_one_pipeline_on_one_connection(store: PipeliningStore, raw: Redis):
    await raw.mset({f"key{number}": number for number in range(500)})
    await store.ping()
    before = await connections_used(raw)
    replies = await asyncio.gather(*(store.command("GET", f"key{number}") for number in range(500)))
    assert [int(reply) for reply in replies] == [*range(500)]
    assert await connections_used(raw) == before  # the connection of the ping was enough


async def test_a_script_that_the_server_does_not_know_is_loaded(store: PipeliningStore, raw: Redis):
    await raw.script_flush()
    interest = Interest(store)
    assert await asyncio.gather(interest.count(TENANT), interest.count(TENANT)) == [0, 0]


async def test_a_refusal_is_raised_to_its_caller_alone(store: PipeliningStore, raw: Redis):
    await raw.set("text", "x")
    refused, answered = await asyncio.gather(
        store.command("HGETALL", "text"), store.command("GET", "text"), return_exceptions=True
    )
    assert (type(refused), answered) == (Bug, b"x")


async def test_an_absent_server_is_unavailable_to_every_caller():
    async with PipeliningStore(StoreSettings(url=f"redis://127.0.0.1:{free_port()}")) as store:
        found = await asyncio.gather(store.ping(), store.command("GET", "a"), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailable, StoreUnavailable]


async def test_a_caller_that_is_cancelled_disturbs_no_other(store: PipeliningStore, raw: Redis):
    await raw.set("text", "x")
    cancelled = asyncio.create_task(store.command("GET", "text"))
    other = asyncio.create_task(store.command("GET", "text"))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert await other == b"x"
    assert cancelled.cancelled()


async def test_many_commands_are_answered_in_their_order(store: PipeliningStore, raw: Redis):
    await raw.set("text", "x")
    assert await store.many([("GET", "text"), ("EXISTS", "text"), ("GET", "none")]) == [b"x", 1, None]
    assert await store.many([("GET", "text")], vault=True) == [b"x"]
