"""Commands for several nodes at once: divided by node, run together at each, and those that one refused run where their keys are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from redis.exceptions import AskError, ClusterDownError, TryAgainError

from relay.store.server.servers import routed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from relay.store.server.node import Node
    from relay.store.server.servers import Route, Servers

_Asked = TypeVar("_Asked")

_ELSEWHERE: Final = (AskError, TryAgainError, ClusterDownError)  # MovedError is an AskError
"""Refusals of one command that say nothing of those that travel with it."""


class Divided(Generic[_Asked]):
    """A way to run commands or scripts at several nodes, in one round trip to each."""

    def __init__(
        self,
        servers: Servers,
        together: Callable[[Node, Sequence[_Asked]], Awaitable[list[Any]]],
        alone: Callable[[Route, _Asked], Awaitable[Any]],
        describe: Callable[[Sequence[_Asked]], tuple[str, list[Any]]],
    ) -> None:
        """Make a way.

        Args:
            servers: that have the keys.
            together: runs some at a node and returns the replies, refusals among them.
            alone: runs one.
            describe: returns what runs and the keys of it, for statistics and errors.
        """
        self._servers = servers
        self._together = together
        self._alone = alone
        self._describe = describe

    async def run(self, asked: Sequence[_Asked], keys: Sequence[bytes]) -> list[Any]:
        """Run all, and return the replies in the order of what was asked; the first refusal is raised.

        Args:
            asked: commands or scripts.
            keys: the key of each that says where it runs.
        """
        places: dict[Node, list[int]] = {}
        for number, key in enumerate(keys):
            places.setdefault(await self._servers.node_of(key), []).append(number)
        replies: list[Any] = [None] * len(asked)
        parts = [([asked[number] for number in numbers], keys[numbers[0]]) for numbers in places.values()]
        runs = await asyncio.gather(*(self._part(*part) for part in parts), return_exceptions=True)
        for numbers, found in zip(places.values(), runs, strict=True):
            if isinstance(found, BaseException):
                raise found
            for number, reply in zip(numbers, found, strict=True):
                replies[number] = reply
        moved = [number for number, reply in enumerate(replies) if isinstance(reply, _ELSEWHERE)]
        if moved:
            found = await asyncio.gather(*(self._one(asked[number], keys[number]) for number in moved))
            for number, reply in zip(moved, found, strict=True):
                replies[number] = reply
        return replies

    async def _part(self, asked: Sequence[_Asked], key: bytes) -> list[Any]:
        async def run(route: Route) -> list[Any]:
            replies = await self._together(route.node, asked)
            for reply in replies:
                if isinstance(reply, Exception) and not (route.node.in_cluster and isinstance(reply, _ELSEWHERE)):
                    raise reply
            return replies

        return await routed(self._servers, key, *self._describe(asked), run)

    async def _one(self, asked: _Asked, key: bytes) -> Any:
        async def run(route: Route) -> Any:
            return await self._alone(route, asked)

        return await routed(self._servers, key, *self._describe([asked]), run)
