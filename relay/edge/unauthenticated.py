"""Bounds the calls without a verified suite key: their number, and how much of them is read.

Anybody can make such calls, so all of them together have a limit, and each of them an end. A message that is read is held in
memory whole, however slowly it comes. So only a few are read at a time; the others stay at the caller's side, held
back by HTTP/2's window.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from relay.edge.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Any

    from relay.edge.settings import EdgeSettings
    from relay.edge.tasks import ShortTasks

    Read = Callable[[], Awaitable[Any]]


class UnauthenticatedCalls:
    """Counts the calls under way whose key was not verified yet, or was found wrong.

    Attributes:
        under_way: their number.
    """

    def __init__(self, settings: EdgeSettings, tasks: ShortTasks) -> None:
        """Make a count of none.

        Args:
            settings: the limits.
            tasks: run a read, which may outlive its call for a moment.
        """
        self.under_way = 0
        self._settings = settings
        self._tasks = tasks
        self._reading = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a call as long as the context lasts.

        Raises:
            Busy: there are as many as there may be.
        """
        if self.under_way >= self._settings.unverified_calls:
            raise Busy("The relay is busy with calls without a valid suite key; try again")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def read_first(self, read: Read) -> None:
        """Read a caller's first message before it is refused, when there is room for that.

        A Python client whose first write meets a call that is over forgets why it was refused and reports INTERNAL. Half of
        the places are for callers who may yet turn out to have a key, and wait for no refusal.
        """
        if self.under_way < self._settings.unverified_calls // 2:
            with self.admitted():
                await self.read(read)

    async def read(self, read: Read) -> Any:
        """Return the call's next message, or None when it did not come in time or too many are being read.

        Not cancelled when its time is over, for a cancelled read leaks in grpcio: it ends with the call, which the caller of
        this ends now.
        """
        if self._reading >= self._settings.unverified_reads:
            return None
        self._reading += 1
        found: list[Any] = []

        async def keep() -> None:
            try:
                with suppress(Exception):
                    found.append(await read())
            finally:
                self._reading -= 1

        task = self._tasks.start(keep(), "stranger-read")
        await asyncio.wait({task}, timeout=self._settings.unverified_read.total_seconds())
        return found[0] if found else None
