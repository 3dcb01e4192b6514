"""Server-sent events as the response to a request, sent until the peer disconnects or the agent stops."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from suite.agent.api.guard import Receive, Send

ALIVE_S: Final = 15.0
"""Interval of events when nothing changes, so that both sides notice a dead connection."""
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def respond_with_events(
    work: Callable[[], Coroutine[Any, Any, None]], receive: Receive, send: Send, stopping: asyncio.Event
) -> None:
    """Respond with events.

    Args:
        work: sends events until it is cancelled.
        receive: ASGI's `receive` of the request.
        send: ASGI's `send` of the request.
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
    """Send a piece of the response, unless it is empty."""
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


def event(name: bytes, data: bytes, event_id: str = "") -> bytes:
    """Encode one event. With an id, a client can resume after it."""
    head = f"id: {event_id}\n".encode() if event_id else b""
    return head + b"event: " + name + b"\ndata: " + data + b"\n\n"


async def _until_left_or_sending(receive: Receive) -> None:
    """Wait until the peer disconnects. A peer that sends a body, which may never end, counts as disconnected."""
    while (message := await receive())["type"] != "http.disconnect" and not message.get("body"):
        pass
