"""An edge with telemetry, or with all of it disabled; and its scraper."""

from __future__ import annotations

import gc
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

from bench.fanout.relay import MARKS
from bench.fanout.schedule import tenant_id
from bench.processes import message
from relay.edge.hub import hub
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops import instruments, loop
from relay.ops.health import Health, OpsServer, OwnAnswers
from relay.ops.supervision import running
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.store.server.connection import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from relay.store.server.connection import StoreSettings

_NAMED: Final = 10
_SCRAPE_EVERY_S: Final = 5.0
"""Operators' Prometheus usually scrapes every 15 to 60 s."""


def serve(pipe: Connection, servers: StoreSettings, telemetry: TelemetrySettings | None) -> None:
    """Run an edge in plain text, with telemetry or (None) without; send its port, and that of its metrics (0 without).

    Answer any message with the CPU seconds of each scrape so far.
    """
    if telemetry is None:
        _take_out()
    loop.run(_serve(pipe, servers, telemetry))


def settings(collector: int, share: float) -> TelemetrySettings:
    """Return settings of telemetry with a collector on this port, and some tenants with separate series."""
    named = frozenset(str(tenant_id(number)) for number in range(_NAMED))
    url = f"http://127.0.0.1:{collector}"
    return TelemetrySettings(otlp_endpoint=url, trace_share=share, roles=frozenset({"edge"}), tenants=named)


async def _serve(pipe: Connection, servers: StoreSettings, telemetry: TelemetrySettings | None) -> None:
    async with AsyncExitStack() as stack:
        scrapes_s: list[float] = []
        ops_port = await _exported(stack, scrapes_s, telemetry) if telemetry is not None else 0
        store = await stack.enter_async_context(Store(servers))
        address = EdgeSettings(host="127.0.0.1", port=0)
        edge = await stack.enter_async_context(EdgeServer(address, store, MARKS))
        gc.collect()
        gc.freeze()
        pipe.send((edge.port, ops_port))
        while True:
            await message(pipe)
            pipe.send(scrapes_s)


async def _exported(stack: AsyncExitStack, scrapes_s: list[float], exported: TelemetrySettings) -> int:
    """Export metrics and spans as a role does, and return the port. `scrapes_s` gets the CPU time of each scrape."""
    telemetry = stack.enter_context(Telemetry(exported))
    await stack.enter_async_context(running(telemetry.loops))

    def exposition() -> bytes:
        begun = time.thread_time()
        text = telemetry.exposition()
        scrapes_s.append(time.thread_time() - begun)
        return text

    ops = OpsServer(("127.0.0.1", 0), OwnAnswers(Health(), exposition))
    return (await stack.enter_async_context(ops)).port


def _take_out() -> None:
    """Disable all metrics and traces in this process."""

    def nothing(*_: Any) -> None:
        pass

    for owner, name in (
        (instruments.Counter, "add"),
        (instruments.Histogram, "record"),
        (hub.Hub, "_measure"),
        (hub, "follow"),
    ):
        setattr(owner, name, nothing)


def scrape(pipe: Connection, port: int) -> None:
    """Scrape repeatedly; send the first answer's length in bytes."""
    while True:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            pipe.send(len(answer.read()))
        time.sleep(_SCRAPE_EVERY_S)
