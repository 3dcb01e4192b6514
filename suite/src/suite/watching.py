"""Run a client from the shell: print its events until the user stops it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TextIO

from rich.live import Live

from suite.lines import json_line, plain_line
from suite.system import on_stop
from suite.table import Connection, render
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from suite.client import PresenceClient
    from suite.events import Event

REDRAW_S: Final = 0.25
"""Shortest interval between two drawings of the table. The longest is a second, because the header shows ages."""


async def watch_lines(client: PresenceClient, until_answered: Sequence[str], out: TextIO, *, as_json: bool) -> None:
    """Print a line for each event until all these names have answers. Without names, print until the task is cancelled."""
    to_line: Callable[[Event, datetime], str | None] = json_line if as_json else plain_line
    async with client:
        async for event in client.events():
            line = to_line(event, datetime.now(UTC))
            if line is not None:
                out.write(f"{line}\n")
                out.flush()
            # The client knows answers before their events are read. All events must be printed.
            if until_answered and not client.has_events and all(is_answered(client, name) for name in until_answered):
                return


def is_answered(client: PresenceClient, name: str) -> bool:
    """Return whether a name has a final answer: a presence, or the reason why there is none."""
    resolution, answer = client.find(name)
    if answer is not None:
        return answer.status is not Status.PENDING and not answer.is_uncertain
    return resolution is not None and resolution.status not in (None, Status.PENDING)


async def watch_table(
    client: PresenceClient, names: Sequence[str], address: str, console: Console, *, once: bool
) -> None:
    """Draw a table and keep it up to date; with `once`, until every name has an answer."""
    connection = Connection(address)
    changed = asyncio.Event()

    def draw() -> None:
        live.update(render(names, client.find, connection, console, datetime.now(UTC)), refresh=True)

    async def redraw() -> None:
        while True:
            draw()
            changed.clear()
            await asyncio.sleep(REDRAW_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 1 - REDRAW_S)

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        drawing = asyncio.create_task(redraw(), name="suite-redraw")
        try:
            async with client:
                async for event in client.events():
                    connection.note(event)
                    changed.set()
                    if drawing.done():
                        drawing.result()  # raises its error
                    if once and all(is_answered(client, name) for name in names):
                        break
        finally:
            drawing.cancel()
            await asyncio.wait({drawing})
            draw()


async def until_stopped(watching: asyncio.Task[None]) -> None:
    """Wait for the task to end. Ctrl-C or a stop of the service cancels it without an error."""
    on_stop(watching.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await watching
