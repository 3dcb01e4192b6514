"""Whom suites may watch, as a suite meets it on its stream: told within seconds, both ways, and by no way around."""

from __future__ import annotations

import asyncio

from relay.core.watching.permission import WATCH_DOMAINS, WATCH_NEVER
from suite.events import Changed
from suite.values import Status
from tests.e2e.conftest import Console, Edges, running
from tests.support.waiting import eventually
from tests.worker.conftest import Relay
from tests.worker.test_permission import settle

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


async def test_a_change_reaches_open_streams_both_ways(relay: Relay, edges: Edges):
    async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA, BEN) as console:
        await eventually(lambda: console.shows(ADA) == console.shows(BEN) == "Available")
        await settle(relay, tenant, **{WATCH_NEVER: ADA})
        await eventually(lambda: console.shows(ADA) is Status.NOT_PERMITTED)
        relay.microsoft.set_presence(ADA, "Busy")
        relay.microsoft.set_presence(BEN, "Busy")
        await eventually(lambda: console.shows(BEN) == "Busy")
        assert console.saw(ADA) == ["Available"]
        await settle(relay, tenant, **{WATCH_DOMAINS: "contoso.example"})
        await eventually(lambda: console.shows(ADA) == "Busy")


async def test_no_way_around_shows_what_was_stored_before_the_change(relay: Relay, edges: Edges):
    """A stream that resumes, a new one by the object id, and the other form of stream, all begun while no worker runs."""
    tenant = await relay.onboard()
    key, ada = await edges.key(tenant), relay.microsoft.person(ADA).oid
    async with edges.suite(key, ADA, BEN) as resumes:
        async with relay.working("first"), edges.edge():
            await eventually(lambda: resumes.shows(ADA) == resumes.shows(BEN) == "Available")
        await settle(relay, tenant, **{WATCH_NEVER: ADA})
        told = len(resumes.events)
        async with (
            edges.edge(),
            edges.suite(key, ada, BEN) as by_id,
            edges.suite(key, f"sip:{ADA}", form="stream") as other,
        ):
            await asyncio.sleep(1)  # time enough to be told what is stored, if anybody told it
            assert not _presences(by_id)
            assert not _presences(other)
            async with relay.working("second"):
                for console, name in ((resumes, ADA), (by_id, ada), (other, f"sip:{ADA}")):
                    await eventually(lambda c=console, n=name: c.shows(n) is Status.NOT_PERMITTED, timeout=15)
                await eventually(lambda: resumes.shows(BEN) == by_id.shows(BEN) == "Available")
        shown = [*_presences(by_id), *_presences(other), *_presences(resumes, told)]
        assert ada not in {event.user_id for event in shown}


def _presences(console: Console, start: int = 0) -> list[Changed]:
    return [event for event in console.events[start:] if isinstance(event, Changed) and event.presence is not None]
