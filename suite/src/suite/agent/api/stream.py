"""The event stream of one console: server-sent events, which any HTTP/1.1 client can read.

    event: everything    the console could not resume: it must forget all colleagues, and all are sent again
    event: state         a colleague; a console resumes after the `id`
    event: note          the note about a colleague; null when it was removed
    event: removed       a colleague is not on the board any more
    event: sources       the connections of all sources
    event: complete      all colleagues were sent; changes follow
    : alive              every `ALIVE_S`, so that both sides notice a dead connection

A console that reads slowly gets the newest state of each colleague, not the states in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from typing import TYPE_CHECKING, Any, Final

from suite.agent.api.event_response import ALIVE_S, event, respond_with_events, write
from suite.agent.api.shapes import compact
from suite.agent.api.wire import EVENTS_A_PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from suite.agent.api.guard import Message, Receive, Send
    from suite.agent.api.wire import Wire
    from suite.agent.board import Board, BoardListener
    from suite.names import Key

_STATE: Final = b"state"
_NOTE: Final = b"note"


class EventStream:
    """The response to one console, as an ASGI application. It ends when the console disconnects or the agent stops."""

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
        """Send events until the console disconnects."""
        with contextlib.ExitStack() as stack:
            only = stack.enter_context(self._board.wanting(self._names)) if self._names else None
            epoch = self._epoch(only)
            listener = stack.enter_context(self._board.listening(only, _since(self._last_event_id, epoch, self._board)))
            await respond_with_events(lambda: self._send(listener, epoch, send), receive, send, self._stopping)

    def _epoch(self, only: frozenset[Key] | None) -> str:
        """Return the part of an event's id that identifies the run of the agent and the chosen colleagues."""
        chosen = "" if only is None else f"{zlib.crc32(' '.join(sorted(only)).encode('utf-8', 'replace')):08x}"
        return f"{self._board.epoch}{chosen}"

    async def _send(self, listener: BoardListener, epoch: str, send: Send) -> None:
        sources = self._sources()
        opening = b"event: everything\ndata: {}\n\n" if listener.everything else b""
        await write(send, b"retry: 1000\n" + opening + event(b"sources", sources))
        if listener.everything and listener.only is None:
            await self._send_everybody(listener, send)
        is_complete = False
        while True:
            # Do not await between these, or a source that changes during a write would be missed.
            changed, notes, now = listener.take(), listener.take_notes(), self._sources()
            revision = self._board.revision
            if now != sources:
                sources = now
                await write(send, event(b"sources", sources))
            await self._send_changes(changed, notes, epoch, send)
            if not is_complete:
                await write(send, event(b"complete", b"{}", f"{epoch}-{revision}"))
                is_complete = True
            try:
                async with asyncio.timeout(ALIVE_S):
                    await listener.wait()
            except TimeoutError:
                await write(send, b": alive\n\n")

    async def _send_everybody(self, listener: BoardListener, send: Send) -> None:
        """Send all colleagues from shared pieces, and leave those that changed since to the listener.

        These events have no id. With one, a console that disconnects in the middle would resume without the notes, which follow.
        """
        revision, pieces = await self._wire.everybody()
        missed = self._board.missed((self._board.epoch, revision))
        if missed is None:
            return  # the listener has all colleagues
        listener.take()
        listener.tell_all(missed)
        for piece in pieces:
            await write(send, piece)

    async def _send_changes(self, changed: list[Key], notes: list[Key], epoch: str, send: Send) -> None:
        """Send colleagues and notes in the order of their revisions, so that each id covers everything before it."""
        entries = self._board.entries
        removed = [key for key in changed if key not in entries]
        present = [(entries[key].revision, _STATE, key) for key in changed if key in entries]
        present += [(entries[key].note_revision, _NOTE, key) for key in notes if key in entries]
        for piece in _pieces(removed):
            await write(send, b"".join(event(b"removed", compact({"user": key})) for key in piece))
        json_of = {_STATE: self._wire.json, _NOTE: self._wire.note_json}
        for piece in _pieces(sorted(present)):
            # A colleague may have changed since. Then its newest state is sent now, and again in its turn.
            written = [
                event(name, json_of[name](key, entries[key]), f"{epoch}-{revision}")
                for revision, name, key in piece
                if key in entries
            ]
            await write(send, b"".join(written))


def _since(last_event_id: str, epoch: str, board: Board) -> tuple[str, int] | None:
    """Return epoch and revision up to which a console has received everything; None when the id is not from this run."""
    before, dash, number = last_event_id.rpartition("-")
    if not dash or before != epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return None
    return board.epoch, int(number)


def _pieces(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), EVENTS_A_PIECE):
        yield items[start : start + EVENTS_A_PIECE]
