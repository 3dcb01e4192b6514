"""The event stream of one console: server-sent events, which every HTTP/1.1 client can read.

    event: everything    a console that could not resume forgets what it has; everybody follows
    event: state         a colleague; the `id` is where a resume goes on
    event: note          the note about a colleague; null when there is none any more
    event: removed       a colleague is not on the board any more
    event: sources       the connections of all sources
    event: complete      everybody was sent; changes follow
    : alive              every `ALIVE_S`, so that both sides notice a dead connection

A console that reads slowly is sent the newest state of each colleague, and not the states in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from typing import TYPE_CHECKING, Any, Final

from suite.agent.api.shapes import compact, note_of, user_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from suite.agent.api.guard import Message, Receive, Send
    from suite.agent.board import Board, BoardEntry, BoardListener
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.names import Key

ALIVE_S: Final = 15.0
_STATE: Final = b"state"
_NOTE: Final = b"note"
EVENTS_A_PIECE: Final = 100
"""Events that are written at once: some 60 KB. Then other consoles have their turn."""


class Wire:
    """The JSON of colleagues and of notes about them, made once for all consoles."""

    def __init__(self, board: Board, notes: NoteKeeper) -> None:
        self._board = board
        self._notes = notes
        self._made: dict[Key, tuple[BoardEntry, int, bytes]] = {}
        self._made_notes: dict[Key, tuple[BoardEntry, int, bytes]] = {}

    def json(self, key: Key, entry: BoardEntry) -> bytes:
        """Return a colleague as JSON."""
        made = self._made.get(key)
        if made is None or made[0] is not entry or made[1] != entry.revision:
            made = self._made[key] = entry, entry.revision, compact(user_of(key, entry))
            if len(self._made) > 2 * len(self._board) + 100:
                self._made = {one: kept for one, kept in self._made.items() if one in self._board.entries}
        return made[2]

    def note_json(self, key: Key, entry: BoardEntry) -> bytes:
        """Return the note about a colleague as JSON, with whom it is about."""
        made = self._made_notes.get(key)
        if made is None or made[0] is not entry or made[1] != entry.note_revision:
            note = note_of(self._notes.shown(entry.subject), self._notes.clock)
            made = self._made_notes[key] = entry, entry.note_revision, compact({"user": key, "note": note})
            if len(self._made_notes) > 2 * len(self._board) + 100:
                self._made_notes = {one: kept for one, kept in self._made_notes.items() if one in self._board.entries}
        return made[2]


class EventStream:
    """The answer to one console, as an ASGI application. It ends when the console leaves or the agent stops."""

    def __init__(
        self,
        board: Board,
        wire: Wire,
        sources: Callable[[], bytes],
        names: list[str],
        last_event_id: str,
        stopping: asyncio.Event,
    ) -> None:
        self._board = board
        self._wire = wire
        self._sources = sources
        self._names = names
        self._last_event_id = last_event_id
        self._stopping = stopping

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send events until the console leaves."""
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        with contextlib.ExitStack() as stack:
            only = stack.enter_context(self._board.wanting(self._names)) if self._names else None
            epoch = self._epoch(only)
            listener = stack.enter_context(self._board.listening(only, _since(self._last_event_id, epoch, self._board)))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            sending = asyncio.create_task(self._send(listener, epoch, send))
            leaving = asyncio.create_task(_until_left_or_sending(receive))
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({sending, leaving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving, stopping):
                    task.cancel()
                await asyncio.wait({sending, leaving, stopping})
            if not sending.cancelled():
                sending.result()
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": b""})

    def _epoch(self, only: frozenset[Key] | None) -> str:
        """Return the part of an event's id that says which run of the agent, and which colleagues, its number belongs to."""
        chosen = "" if only is None else f"{zlib.crc32(' '.join(sorted(only)).encode('utf-8', 'replace')):08x}"
        return f"{self._board.epoch}{chosen}"

    async def _send(self, listener: BoardListener, epoch: str, send: Send) -> None:
        sources = self._sources()
        opening = b"event: everything\ndata: {}\n\n" if listener.everything else b""
        await _write(send, b"retry: 1000\n" + opening + _event(b"sources", sources))
        is_complete = False
        while True:
            # No await between these: a source whose state changes while something is written would not be told.
            changed, notes, now = listener.take(), listener.take_notes(), self._sources()
            if now != sources:
                sources = now
                await _write(send, _event(b"sources", sources))
            await self._send_changes(changed, notes, epoch, send)
            if not is_complete:
                await _write(send, b"event: complete\ndata: {}\n\n")
                is_complete = True
            try:
                async with asyncio.timeout(ALIVE_S):
                    await listener.wait()
            except TimeoutError:
                await _write(send, b": alive\n\n")

    async def _send_changes(self, changed: list[Key], notes: list[Key], epoch: str, send: Send) -> None:
        """Send colleagues and notes in the order of their revisions, so that each id stands for everything before it."""
        entries = self._board.entries
        removed = [key for key in changed if key not in entries]
        present = [(entries[key].revision, _STATE, key) for key in changed if key in entries]
        present += [(entries[key].note_revision, _NOTE, key) for key in notes if key in entries]
        for piece in _pieces(removed):
            await _write(send, b"".join(_event(b"removed", compact({"user": key})) for key in piece))
        json_of = {_STATE: self._wire.json, _NOTE: self._wire.note_json}
        for piece in _pieces(sorted(present)):
            # A colleague may have changed since; then its newest state is sent now, and again when its turn comes.
            written = [
                _event(name, json_of[name](key, entries[key]), f"{epoch}-{revision}")
                for revision, name, key in piece
                if key in entries
            ]
            await _write(send, b"".join(written))


def _since(last_event_id: str, epoch: str, board: Board) -> tuple[str, int] | None:
    """Return the revision up to which a console has seen everything; None when it has seen nothing of this run."""
    before, dash, number = last_event_id.rpartition("-")
    if not dash or before != epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return None
    return board.epoch, int(number)


def _event(name: bytes, data: bytes, event_id: str = "") -> bytes:
    head = f"id: {event_id}\n".encode() if event_id else b""
    return head + b"event: " + name + b"\ndata: " + data + b"\n\n"


async def _write(send: Send, body: bytes) -> None:
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _pieces(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), EVENTS_A_PIECE):
        yield items[start : start + EVENTS_A_PIECE]


async def until_left(receive: Receive) -> None:
    """Wait until the peer has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_left_or_sending(receive: Receive) -> None:
    """Wait until a console leaves. One that sends a body, which may never end, is as good as gone."""
    while (message := await receive())["type"] != "http.disconnect" and not message.get("body"):
        pass
