"""Server-sent events as the answer to a request: sent until the peer leaves or the agent stops."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from suite.agent.api.guard import Receive, Send

ALIVE_S: Final = 15.0
"""Seconds after which something is sent although nothing happened, so that both sides notice a dead connection."""
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def respond_with_events(
    work: Callable[[], Coroutine[Any, Any, None]], receive: Receive, send: Send, stopping: asyncio.Event
) -> None:
    """Answer with events.

    Args:
        work: sends them until it is cancelled.
        receive: of the request.
        send: of the request.
        stopping: set when the agent stops.
    """
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    tasks = sending, *_ = (
        asyncio.create_task(work()),
        asyncio.create_task(_until_left_or_sending(receive)),
        asyncio.create_task(stopping.wait()),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if not sending.cancelled():
        sending.result()
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body", "body": b""})


async def write(send: Send, body: bytes) -> None:
    """Send a piece of the answer; an empty one would say nothing."""
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


def event(name: bytes, data: bytes, event_id: str = "") -> bytes:
    """Return one event; with an id where a resume goes on behind it."""
    head = f"id: {event_id}\n".encode() if event_id else b""
    return head + b"event: " + name + b"\ndata: " + data + b"\n\n"


async def _until_left_or_sending(receive: Receive) -> None:
    """Wait until the peer leaves. One that sends a body, which may never end, is as good as gone."""
    while (message := await receive())["type"] != "http.disconnect" and not message.get("body"):
        pass
