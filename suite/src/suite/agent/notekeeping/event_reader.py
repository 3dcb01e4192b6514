"""Parse server-sent events, within limits."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

MOST_BYTES: Final = 64 * 1024
"""Limit of one event: ten times the largest one."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event, with a JSON object as its data."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    event_id: str = ""


async def events_of(pieces: AsyncIterable[bytes]) -> AsyncIterator[ServerEvent]:
    """Yield the events of a stream.

    Raises:
        ValueError: it is not a stream of events, or an event is too large.
    """
    held = bytearray()
    async for piece in pieces:
        held += piece
        while (end := held.find(b"\n\n")) >= 0:
            if (event := _event(bytes(held[:end]))) is not None:
                yield event
            del held[: end + 2]
        if len(held) > MOST_BYTES:
            raise ValueError("an event is too large")


def _event(block: bytes) -> ServerEvent | None:
    fields: dict[str, str] = {}
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")
    if "event" not in fields:
        return None
    try:
        data = json.loads(fields.get("data", "{}"))
    except RecursionError:
        raise ValueError("an event is nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("an event has no object")  # noqa: TRY004  callers handle one kind of error
    return ServerEvent(fields["event"], data, fields.get("id", ""))
