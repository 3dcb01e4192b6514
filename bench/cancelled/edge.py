"""An edge that measures the memory that it retains."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bench.cancelled import memory
from bench.fanout.relay import MARKS
from bench.processes import message
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops import loop
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.store.server.connection import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from relay.store.server.connection import StoreSettings

_MOST: Final = 1_000_000
"""More names a second than the suites request: the benchmark does not measure the pace of starts."""


def serve(pipe: Connection, servers: StoreSettings, streams: int) -> None:
    """Run an edge for `streams` streams of a tenant, in plain text; send its port, and answer each message with its memory."""
    loop.run(_serve(pipe, servers, streams))


async def _serve(pipe: Connection, servers: StoreSettings, streams: int) -> None:
    settings = EdgeSettings(
        host="127.0.0.1", port=0, streams_per_tenant=streams, start_names_at_once=_MOST, start_names_a_second=_MOST,
        watch_goes_on_for=timedelta(seconds=1),
    )  # fmt: skip
    with Telemetry(TelemetrySettings()) as telemetry:
        async with Store(servers) as store, EdgeServer(settings, store, MARKS) as edge:
            pipe.send(edge.port)
            while True:
                (question,) = await message(pipe)
                if question == "state":
                    now = edge.statistics()
                    pipe.send((now.streams, now.writing))
                else:
                    telemetry.exposition()
                    pipe.send(await memory.kept())
