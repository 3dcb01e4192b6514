"""A suite asks for people who are not there: what that costs Graph, memory and Redis, and what it costs those who are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import Name
from relay.core.reading.budget import BudgetSettings
from relay.store.server import keys
from tests.support.waiting import eventually
from tests.worker.conftest import EDGE, SETTINGS, Relay

pytestmark = [pytest.mark.finding(4), pytest.mark.long]
ADA = "ada@contoso.example"


def made_up(first: int, count: int) -> list[Name]:
    return [Name(f"nobody{n}@contoso.example") for n in range(first, first + count)]


def batches(relay: Relay) -> int:
    return sum("$batch" in entry.path for entry in relay.microsoft.journal)


async def test_rotating_through_made_up_names_fills_neither_memory_nor_redis(relay: Relay, raw: Redis) -> None:
    tenant = await relay.onboard()
    settings = replace(
        SETTINGS,
        tenant_names=100,
        watch_linger=timedelta(minutes=5),
        unknown_linger=timedelta(minutes=1),
        sweep=timedelta(milliseconds=200),
    )
    async with relay.working(settings=settings):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        for turn in range(20):
            some = made_up(90 * turn, 90)
            await relay.interest.add(tenant, EDGE, some)

            async def is_asked(last: Name = some[-1]) -> bool:
                return await raw.hexists(keys.directory(tenant), last)

            await eventually(is_asked)
            await relay.interest.remove(tenant, EDGE, some)
            assert await raw.hlen(keys.directory(tenant)) <= 2 * 100 + 2 * 90  # twice the limit, and what is under way

        async def is_bounded() -> bool:
            return await raw.hlen(keys.directory(tenant)) <= 2 * 100

        await eventually(is_bounded)
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))


async def test_made_up_names_linger_for_seconds_and_people_for_minutes(relay: Relay, raw: Redis) -> None:
    tenant = await relay.onboard()
    settings = replace(
        SETTINGS,
        watch_linger=timedelta(minutes=5),
        unknown_linger=timedelta(milliseconds=100),
        sweep=timedelta(milliseconds=100),
    )
    async with relay.working(settings=settings):
        await relay.watch(tenant, ADA, *made_up(0, 10))

        async def has(count: int) -> bool:
            return await raw.hlen(keys.directory(tenant)) == count

        await eventually(lambda: has(11))
        await relay.interest.remove(tenant, EDGE, [Name(ADA), *made_up(0, 10)])
        await eventually(lambda: has(1))
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"))  # read on, for whoever comes back


async def test_asking_for_made_up_names_has_a_share_of_the_requests_and_leaves_reads_theirs(relay: Relay) -> None:
    tenant = await relay.onboard()
    # 20 requests a minute, of which names may use a tenth: 2 at once.
    budget = BudgetSettings(limit=20, headroom=0, window_s=60)
    async with relay.working(settings=replace(SETTINGS, budget=budget, poll_interval=timedelta(seconds=4))):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        assert batches(relay) == 1
        await relay.interest.add(tenant, EDGE, made_up(0, 3000))  # ten requests
        await eventually(lambda: batches(relay) == 3)
        relay.microsoft.set_presence(ADA, "Busy", "InACall")
        await eventually(lambda: relay.sees(tenant, ADA, "Busy"), timeout=20)
        assert batches(relay) <= 4
