"""Limits the memory that the request bodies of one server take together.

When there is no room for the next part of a body, the body that has been arriving for longest is dropped, so that
endless bodies do not block requests that arrive at once. A complete body belongs to a request under way, and stays.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class TooMuchAtOnce(Exception):
    """There is no room for a body, or it was dropped in favour of another."""


class Body:
    """The bytes of one request's body, from `Bodies.one`."""

    def __init__(self, bodies: Bodies) -> None:
        self.size = 0
        self._bodies = bodies
        self._limit: asyncio.Timeout | None = None
        self._gave_way = False

    @asynccontextmanager
    async def arriving(self) -> AsyncIterator[None]:
        """A context in which the body's parts are read. If the body is dropped, the wait in this context is cancelled.

        Raises:
            TooMuchAtOnce: the body was dropped.
        """
        try:
            async with asyncio.timeout(None) as self._limit:
                yield
        except TimeoutError:
            if not self._gave_way:
                raise
        finally:
            self._limit = None
            self._bodies.arrived(self)
        if self._gave_way:
            raise TooMuchAtOnce

    def add(self, size: int) -> None:
        """Count this many more bytes.

        Raises:
            TooMuchAtOnce: no other body could be dropped.
        """
        self._bodies.add(self, size)

    def drop(self) -> None:
        """Release all bytes of the body."""
        self._bodies.drop(self)

    def give_way(self) -> None:
        """Drop the body and end its reading."""
        self._gave_way = True
        self.drop()
        if self._limit is not None:
            self._limit.reschedule(0)


class Bodies:
    """Counts the bytes of all bodies of one server.

    Attributes:
        held: the bytes in memory.
    """

    def __init__(self, most: int) -> None:
        """Start with no bodies.

        Args:
            most: limit of the bytes of all bodies.
        """
        self.held = 0
        self._most = most
        self._arriving: dict[Body, None] = {}

    @contextmanager
    def one(self) -> Iterator[Body]:
        """Yield a body, counted as long as the context lasts."""
        body = Body(self)
        try:
            yield body
        finally:
            body.drop()

    def add(self, body: Body, size: int) -> None:
        """See `Body.add`. The body that began first is dropped first, which may be this one."""
        self._arriving.setdefault(body)
        while self.held + size > self._most and self._arriving:
            oldest = next(iter(self._arriving))
            del self._arriving[oldest]
            if oldest is body:
                break
            oldest.give_way()
        if self.held + size > self._most:
            body.drop()
            raise TooMuchAtOnce
        self.held += size
        body.size += size

    def arrived(self, body: Body) -> None:
        """Exclude the body from being dropped, because it is complete or gone."""
        self._arriving.pop(body, None)

    def drop(self, body: Body) -> None:
        """Release a body; see `Body.drop`."""
        self.held -= body.size
        body.size = 0
        self._arriving.pop(body, None)
