"""UnauthenticatedCalls do their worst at all doors of a whole relay at once, in one process as `serve all` has it; a quiet tenant sees each change."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from suite.client import PresenceClient
from tests.abuse.crowd import Load, arguments
from tests.abuse.measured import rows, rss
from tests.chaos.console import Console
from tests.chaos.processes import Relay, at_work
from tests.chaos.scene import FABRIKAM, SETTINGS, SPEED
from tests.support.valkey import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

log = logging.getLogger(__name__)
MIB = 1024 * 1024
HTTP, EDGE = rows("Pages and webhook (HTTP)"), rows("Edge (gRPC)")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much strangers do, and within how many seconds; how many changes are looked at before, to compare with."""

    streams: int
    silent: int
    trailer_bytes: int
    seconds: float
    alone: int


SMALL = Size(streams=600, silent=90, trailer_bytes=10 * MIB, seconds=6, alone=0)
WHOLE = Size(streams=10_000, silent=1000, trailer_bytes=250 * MIB, seconds=60, alone=60)


@pytest.mark.finding(2)
@pytest.mark.finding(3)
@pytest.mark.finding(6)
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "size", [pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]
)
async def test_a_quiet_tenant_sees_each_change_while_strangers_do_their_worst(tmp_path: Path, size: Size) -> None:
    web = free_port()
    settings = {
        **{name: value for name, value in SETTINGS.items() if name != "RELAY_WORKER_LEASE"},
        "RELAY_WEB_PUBLIC_URL": f"https://localhost:{web}",
        "RELAY_WEB_SUITE_ADDRESS": "localhost:443",
        "RELAY_WEB_HOST": "127.0.0.1",
        "RELAY_WEB_PORT": str(web),
        "RELAY_WEB_TLS_CERT_FILE": str(tmp_path / "chain.pem"),
        "RELAY_WEB_TLS_KEY_FILE": str(tmp_path / "key.pem"),
    }
    async with at_work(tmp_path, speed=SPEED, switches={}, settings=settings, roles={"all": "all"}) as relay:
        tenant = await relay.onboard(f"presence-relay@{FABRIKAM[0].partition('@')[2]}")
        client = PresenceClient(
            relay.address, await relay.suite_key(tenant), ca_pem=relay.ca_pem, proxy="", users=FABRIKAM
        )
        console = Console("quiet", client)
        await console.open()
        try:
            await look(relay, console, 1)
            alone = await look(relay, console, size.alone)
            pid = relay.processes["all"].pid
            before = highest = rss(pid)
            async with strangers(relay, web, size) as crowd:
                beside: list[float] = []
                while not crowd.done():
                    beside += await look(relay, console, 1)
                    highest = max(highest, rss(pid))
                log.info("strangers: %s", crowd.result())
            assert beside
            log.info("grown %.1f MiB, %d changes seen", (highest - before) / MIB, len(beside))
            if alone:
                log.info("freshness alone %s; beside %s; ratio %s", said(alone), said(beside), ratio(alone, beside))
            assert highest - before < allowed(size)
            assert not relay.processes["all"].died()
            assert "Traceback" not in relay.processes["all"].log.read_text(errors="replace")
        finally:
            await console.close()


async def look(relay: Relay, console: Console, changes: int) -> list[float]:
    """Change somebody's presence, and wait until the suite shows it; seconds for each change."""
    found = []
    for _ in range(changes):
        who = random.choice(FABRIKAM)
        shown = console.shows(who)
        new = next(one for one in (("Busy", "InACall"), ("Away", "Away")) if one != shown)
        began = time.monotonic()
        await relay.ask("PUT", f"people/{who}/presence", {"availability": new[0], "activity": new[1]})
        await eventually(lambda who=who, new=new: console.shows(who) == new, 30)
        found.append(time.monotonic() - began)
        await asyncio.sleep(random.uniform(0, 0.5))  # so that no poll's rhythm is met
    return found


@asynccontextmanager
async def strangers(relay: Relay, web: int, size: Size) -> AsyncIterator[asyncio.Task[dict[str, Any]]]:
    """UnauthenticatedCalls under way; the task ends with what they did."""
    load = Load(
        edge=int(relay.address.rpartition(":")[2]), webhook=relay.hook, web=web, ca_pem=relay.ca_pem.decode(),
        streams=size.streams, silent=size.silent, trailer_bytes=size.trailer_bytes, seconds=size.seconds,
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(*arguments(load), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"under way\n"
        ending = asyncio.create_task(process.stdout.read())

        async def result() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(await ending)
            return found

        yield asyncio.create_task(result())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def allowed(size: Size) -> int:
    """What the page of limits says that all of it may cost together; pages and webhook are two."""
    http = HTTP["connects, and is silent or stops in the middle of a head"].bytes
    http += HTTP["sends a head, chunk framing or trailers without end"].bytes
    edge = size.silent // 3 * EDGE["connects and says nothing"].bytes
    edge += EDGE["opens 10,000 streams of `Health/Watch`"].bytes
    edge += EDGE["opens 10,000 streams of reflection or presence"].bytes
    return 2 * http + edge


def said(seconds: list[float]) -> str:
    ranked = sorted(seconds)
    return f"median {statistics.median(ranked) * 1000:.0f} ms, 95 % {ranked[int(len(ranked) * 0.95)] * 1000:.0f} ms"


def ratio(alone: list[float], beside: list[float]) -> str:
    return f"{statistics.median(beside) / statistics.median(alone):.2f} (median), {statistics.mean(beside) / statistics.mean(alone):.2f} (mean)"
