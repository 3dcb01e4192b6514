"""Limits calls without a verified suite key: their number, and how many of their messages are read at a time.

Any client can make such calls, so their total number and their duration are limited. A message that is being read takes
memory for its full size, however slowly it arrives. So only a few are read at a time; HTTP/2's flow control holds the
others back at the caller.
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
    """Counts the calls under way whose key is not verified yet, or is wrong.

    Attributes:
        under_way: the number of such calls.
    """

    def __init__(self, settings: EdgeSettings, tasks: ShortTasks) -> None:
        """Start with no calls.

        Args:
            settings: the limits.
            tasks: runs the reads, which may outlive their call for a moment.
        """
        self.under_way = 0
        self._settings = settings
        self._tasks = tasks
        self._reading = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a call as long as the context lasts.

        Raises:
            Busy: the limit is reached.
        """
        if self.under_way >= self._settings.unverified_calls:
            raise Busy("The relay is busy with calls without a valid suite key; try again")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def read_first(self, read: Read) -> None:
        """Read a caller's first message before the call is refused, if there is room.

        A Python client whose first write reaches a finished call loses the reason and reports INTERNAL. Half of the
        places are reserved for callers that may still turn out to have a valid key.
        """
        if self.under_way < self._settings.unverified_calls // 2:
            with self.admitted():
                await self.read(read)

    async def read(self, read: Read) -> Any:
        """Return the call's next message, or None when it did not arrive in time or too many are being read.

        The read is not cancelled when its time is over, because a cancelled read leaks in grpcio. It ends with the
        call, which the caller of this function ends now.
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
