"""Colleagues that programs add by the local API, in addition to those of the file. They are kept over a restart, until removed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from suite.agent.store.not_kept import NotKept
from suite.agent.users.reading import MOST_COLLEAGUES
from suite.names import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from suite.agent.board import Board
    from suite.agent.store.colleagues import ColleagueStore
    from suite.agent.users.reading import Colleague
    from suite.names import Key

log = logging.getLogger(__name__)

MOST_ADDED: Final = 10_000
"""Limit of added colleagues. For more, use a file."""


class TooManyColleagues(Exception):
    """There is no room for more colleagues; nothing was changed."""


class AddedColleagues:
    """The added colleagues. Each change is written to disk, then put on the board, then acknowledged."""

    def __init__(self, board: Board, store: ColleagueStore | None) -> None:
        """Begin without colleagues. Without a store, none can be added."""
        self._board = board
        self._store = store
        self._added: dict[Key, Colleague] = {}
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> None:
        """Put the colleagues in the store on the board."""
        if self._store is None:
            return
        try:
            found = await asyncio.to_thread(self._store.load)
        except NotKept as error:
            log.warning("store: the added colleagues cannot be read (%s).", error)
            return
        self._added = {key_of(one.id): one for one in found}
        self._board.set_added(self._added.values())

    async def add(self, colleagues: Iterable[Colleague]) -> None:
        """Add colleagues, or change those who were added before.

        Raises:
            NotKept, TooManyColleagues: nothing was changed.
        """
        new = {key_of(one.id): one for one in colleagues}
        await asyncio.shield(asyncio.create_task(self._add(new)))  # the caller may be cancelled meanwhile

    async def remove(self, name: str) -> Key | None:
        """Remove an added colleague, by login, or by UPN if there is no login. Return the key, or None when none was added.

        Raises:
            NotKept: nothing was changed.
        """
        return await asyncio.shield(asyncio.create_task(self._remove(key_of(name))))

    async def _add(self, new: dict[Key, Colleague]) -> None:
        async with self._one_at_a_time:
            unknown = new.keys() - self._board.entries.keys()
            if len(self._added | new) > MOST_ADDED or len(self._board) + len(unknown) > MOST_COLLEAGUES:
                raise TooManyColleagues
            await self._write(lambda store: store.put(new.values()))
            self._added |= new
            self._board.set_added(self._added.values())

    async def _remove(self, key: Key) -> Key | None:
        async with self._one_at_a_time:
            if key not in self._added:
                return None
            await self._write(lambda store: store.remove(key))
            del self._added[key]
            self._board.set_added(self._added.values())
            return key

    async def _write(self, write: Callable[[ColleagueStore], None]) -> None:
        if self._store is None:
            raise NotKept("the agent runs without its store")
        await asyncio.to_thread(write, self._store)
