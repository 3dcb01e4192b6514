"""The routes for agents that follow this one: a stream of all versions of notes, and a POST for versions that this agent lacks.

event: hub        id and run of this agent, its time, and whether it follows another one itself
event: version    one version; an agent resumes after the `id`
event: complete   all existing versions were sent; new ones follow
event: now        the time, every `ALIVE_S`, so that both sides notice a dead connection
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from suite.agent.api.answers import json_answer
from suite.agent.api.bodies import ApiError, check_fields, not_valid, read_object
from suite.agent.api.event_response import ALIVE_S, event, respond_with_events, write
from suite.agent.api.notes import refused
from suite.agent.api.shapes import compact
from suite.agent.notekeeping.keeper import NotesBusy
from suite.agent.notes.wire import MOST_VERSIONS, decode_version, encode_version
from suite.agent.store.not_kept import NotKept

if TYPE_CHECKING:
    from starlette.requests import Request

    from suite.agent.api.guard import Message, Receive, Send
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.agent.notes.values import Kept

MOST_FOLLOWERS: Final = 100
_PATH: Final = "/v1/notes/versions"
_A_PIECE: Final = 100


class VersionsApi:
    """The routes for agents that follow this one."""

    def __init__(self, notes: NoteKeeper, stopping: asyncio.Event) -> None:
        self._notes = notes
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(_PATH, self._follow, methods=["GET"]), Route(_PATH, self._bring, methods=["POST"])]

    async def _follow(self, request: Request) -> Response | VersionStream:
        if request.method == "HEAD":  # without a body, the stream would never end
            return Response(media_type="text/event-stream")
        if self._notes.feed.followers >= MOST_FOLLOWERS:
            raise ApiError(503, "too_many_followers", f"{MOST_FOLLOWERS} agents follow this one, which is the limit.")
        return VersionStream(self._notes, request.headers.get("last-event-id", ""), self._stopping)

    async def _bring(self, request: Request) -> Response:
        body = await read_object(request)
        check_fields(body, {"versions"}, "the body")
        values = body.get("versions")
        if not isinstance(values, list) or len(values) > MOST_VERSIONS:
            raise not_valid(f"versions must be a list of at most {MOST_VERSIONS}.")
        found: list[Kept] = []
        for value in values:
            with contextlib.suppress(ValueError):  # the response has the number of refused ones
                found.append(decode_version(value, self._notes.clock.now()))
        try:
            without_room = await self._notes.take(found, must_keep=True)
        except NotKept as error:
            raise refused(error) from None
        except NotesBusy:
            raise ApiError(503, "busy", "Too many notes are being written. Try again in a second.") from None
        return json_answer(compact({"refused": len(values) - len(found) + len(without_room)}))


class VersionStream:
    """The response to one agent that follows, as an ASGI application. It ends when that agent disconnects or this one stops."""

    def __init__(self, notes: NoteKeeper, last_event_id: str, stopping: asyncio.Event) -> None:
        self._notes = notes
        self._position = _position(last_event_id, notes)
        self._stopping = stopping

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send versions until the other agent disconnects."""
        with self._notes.feed.following() as news:
            await respond_with_events(lambda: self._send(news, send), receive, send, self._stopping)

    async def _send(self, news: asyncio.Event, send: Send) -> None:
        notes = self._notes
        hub = {"run": notes.run_id, "agent": notes.agent, "follows": notes.follows, "now_ms": notes.clock.stamp_ms()}
        await write(send, _event("hub", hub))
        is_complete = False
        while True:
            news.clear()
            await self._send_new(send)
            if not is_complete:
                await write(send, _event("complete", {}))
                is_complete = True
            try:
                async with asyncio.timeout(ALIVE_S):
                    await news.wait()
            except TimeoutError:
                await write(send, _event("now", {"now_ms": notes.clock.stamp_ms()}))

    async def _send_new(self, send: Send) -> None:
        new = self._notes.feed.since(self._position)
        for start in range(0, len(new), _A_PIECE):
            written: list[bytes] = []
            for position, version_id in new[start : start + _A_PIECE]:
                kept = self._notes.find(version_id)
                if kept is not None:
                    value = encode_version(kept, self._notes.clock.now())
                    written.append(_event("version", value, f"{self._notes.run_id}-{position}"))
                self._position = position
            await write(send, b"".join(written))


def _position(last_event_id: str, notes: NoteKeeper) -> int:
    """Return the position up to which another agent has all versions of this run; 0 when it has none."""
    run, _, number = last_event_id.partition("-")
    if run != notes.run_id or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return 0
    return int(number)


def _event(name: str, data: dict[str, Any], event_id: str = "") -> bytes:
    return event(name.encode(), compact(data), event_id)
