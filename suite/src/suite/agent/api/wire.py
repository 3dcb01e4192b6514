"""The JSON of colleagues and of notes about them, and events of all colleagues, encoded once for all consoles.

A new console is sent all colleagues from pieces that were encoded before, and then the changes since. So a thousand
consoles that start together need little more than the network traffic.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from suite.agent.api.shapes import compact, note_of, user_of

if TYPE_CHECKING:
    from suite.agent.board import Board, BoardEntry
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.names import Key

EVENTS_A_PIECE: Final = 100
"""Events that are written at once: about 50 KB. Then other tasks run."""
_STALE_SHARE: Final = 10
"""The pieces of all colleagues are encoded again after changes of a tenth of them, and at least a hundred changes."""


class Wire:
    """The JSON and events of colleagues for consoles."""

    def __init__(self, board: Board, notes: NoteKeeper) -> None:
        self._board = board
        self._notes = notes
        self._made: dict[Key, tuple[BoardEntry, int, bytes]] = {}
        self._made_notes: dict[Key, tuple[BoardEntry, int, bytes]] = {}
        self._everybody: tuple[int, tuple[bytes, ...]] | None = None
        self._making = asyncio.Lock()

    def json(self, key: Key, entry: BoardEntry) -> bytes:
        """Return a colleague as JSON."""
        made = self._made.get(key)
        if made is None or made[0] is not entry or made[1] != entry.revision:
            made = self._made[key] = entry, entry.revision, compact(user_of(key, entry))
            if len(self._made) > 2 * len(self._board) + 100:
                self._made = {one: kept for one, kept in self._made.items() if one in self._board.entries}
        return made[2]

    def note_json(self, key: Key, entry: BoardEntry) -> bytes:
        """Return the note about a colleague as JSON, with the colleague's key."""
        made = self._made_notes.get(key)
        if made is None or made[0] is not entry or made[1] != entry.note_revision:
            note = note_of(self._notes.shown(entry.subject), self._notes.clock)
            made = self._made_notes[key] = entry, entry.note_revision, compact({"user": key, "note": note})
            if len(self._made_notes) > 2 * len(self._board) + 100:
                self._made_notes = {one: kept for one, kept in self._made_notes.items() if one in self._board.entries}
        return made[2]

    async def everybody(self) -> tuple[int, tuple[bytes, ...]]:
        """Return the revision and pieces of events of all colleagues. Changes after the revision must be sent too."""
        async with self._making:
            made, board = self._everybody, self._board
            if made is None or board.revision - made[0] > max(100, len(board) // _STALE_SHARE):
                made = self._everybody = await self._made_of_everybody()
            return made

    async def _made_of_everybody(self) -> tuple[int, tuple[bytes, ...]]:
        """Encode the pieces, and let other tasks run in between. A colleague that changes meanwhile is sent again later."""
        revision, entries = self._board.revision, self._board.entries
        keys = list(entries)
        pieces: list[bytes] = []
        for start in range(0, len(keys), EVENTS_A_PIECE):
            piece = keys[start : start + EVENTS_A_PIECE]
            pieces.append(
                b"".join(
                    b"event: state\ndata: %b\n\n" % self.json(key, entries[key]) for key in piece if key in entries
                )
            )
            await asyncio.sleep(0)
        return revision, tuple(pieces)
