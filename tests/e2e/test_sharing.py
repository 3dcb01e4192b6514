"""Partitions move between workers while suites watch: no console shows a gap, and nobody is unknown for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from relay.store.server import keys
from suite.events import Disconnected, Reset
from tests.e2e.conftest import Edges
from tests.e2e.test_standby import gaps, keep_changing
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, Relay

pytestmark = pytest.mark.long

ADA, CHLOE = "ada@contoso.example", "chloe@contoso.example"
MINUTE = replace(SETTINGS, lease=timedelta(minutes=1))


@pytest.mark.fault("V12")
async def test_no_console_shows_a_gap_when_a_worker_joins_takes_the_tenant_over_and_leaves(relay: Relay, edges: Edges):
    tenant = await relay.onboard()
    partition = keys.partition_of(tenant)
    async with (
        relay.working("first", MINUTE) as first,
        edges.edge(),
        edges.suite(await edges.key(tenant), ADA, CHLOE) as console,
    ):
        await eventually(lambda: console.shows(ADA) == console.shows(CHLOE) == "Available")
        told = len(console.events)
        changing = asyncio.create_task(keep_changing(relay))
        try:
            async with relay.working("second", MINUTE) as second:
                await eventually(lambda: partition in second.partitions)  # the dearest one moves first
                for wanted in ("Away", "Busy", "Away"):
                    await eventually(lambda wanted=wanted: console.shows(CHLOE) == wanted)
            await eventually(lambda: partition in first.partitions)
            for wanted in ("Busy", "Away", "Busy"):
                await eventually(lambda wanted=wanted: console.shows(CHLOE) == wanted)
        finally:
            changing.cancel()
        assert not gaps(console.events[told:])
        assert not [event for event in console.events[told:] if isinstance(event, Reset | Disconnected)]
