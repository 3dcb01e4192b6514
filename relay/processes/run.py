"""Runs several edges on one port, and one of these edges in its own process."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import structlog

from relay import app
from relay.edge.settings import STOP_MARGIN
from relay.ops.health import OpsServer
from relay.ops.listening import shared_port
from relay.processes.ops_port import SupervisorOps
from relay.processes.supervisor import Supervisor
from relay.settings.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from relay.app import Running, Sibling
    from relay.settings.load import Settings


async def run(
    settings: Settings, count: int, stop: asyncio.Event, announce: Callable[[Running], None] | None = None
) -> None:
    """Run several edges until `stop` is set, then stop them cleanly.

    Args:
        settings: of each of them.
        count: of processes.
        stop: ends the run, at any moment.
        announce: called once, when all are ready.

    Raises:
        OSError: a port is taken.
        ProcessesFailed: a process keeps ending, or did not stop cleanly.
    """
    with shared_port(settings.edge.host, settings.edge.port) as port:

        def command(number: int, ops_socket: Path) -> Sequence[str]:
            return [sys.executable, "-m", "relay.cli", "edge-process", str(number), str(port), str(ops_socket)]

        supervisor = Supervisor(count, command, settings.edge.drain_delay + STOP_MARGIN)
        async with OpsServer((settings.ops.host, settings.ops.port), SupervisorOps(supervisor)) as ops:
            running = app.Running(edge_port=port, ops_port=ops.port)
            await supervisor.run(stop, None if announce is None else lambda: announce(running))


async def run_one(settings: Settings, sibling: Sibling, stop: asyncio.Event) -> None:
    """Run one of the edges until `stop` is set or the supervisor closes standard input."""
    structlog.contextvars.bind_contextvars(process=sibling.number)
    loop, order = asyncio.get_running_loop(), sys.stdin.fileno()

    def on_order() -> None:
        if not os.read(order, 1024):
            loop.remove_reader(order)
            stop.set()

    loop.add_reader(order, on_order)
    await app.run(settings, [Role.EDGE], stop, sibling=sibling)
