"""Commands for several nodes: divided by node, run in one pipeline on each, and repeated elsewhere if refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from redis.exceptions import AskError, ClusterDownError, TryAgainError

from relay.errors import StoreUnavailable
from relay.store.server.servers import routed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from relay.store.server.node import Node
    from relay.store.server.servers import NodeRoute, Servers

_Asked = TypeVar("_Asked")
_Key = TypeVar("_Key")
_Found = TypeVar("_Found")

_ELSEWHERE: Final = (AskError, TryAgainError, ClusterDownError)  # MovedError is an AskError
"""Errors that concern one command only, not the others in its pipeline."""


class Divided(Generic[_Asked]):
    """Runs commands or scripts on several nodes, in one round trip to each."""

    def __init__(
        self,
        servers: Servers,
        together: Callable[[Node, Sequence[_Asked]], Awaitable[list[Any]]],
        alone: Callable[[NodeRoute, _Asked], Awaitable[Any]],
        describe: Callable[[Sequence[_Asked]], tuple[str, list[Any]]],
    ) -> None:
        """Set up the runner.

        Args:
            servers: the servers that have the keys.
            together: runs several items on a node and returns the replies, including errors.
            alone: runs one item.
            describe: returns the name and the keys of items, for statistics and errors.
        """
        self._servers = servers
        self._together = together
        self._alone = alone
        self._describe = describe

    async def run(self, asked: Sequence[_Asked], keys: Sequence[bytes]) -> list[Any]:
        """Run all items, and return the replies in the same order; the first error is raised.

        Args:
            asked: commands or scripts.
            keys: for each item, the key that decides on which node it runs.
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
        async def run(route: NodeRoute) -> list[Any]:
            replies = await self._together(route.node, asked)
            for reply in replies:
                if isinstance(reply, Exception) and not (route.node.in_cluster and isinstance(reply, _ELSEWHERE)):
                    raise reply
            return replies

        return await routed(self._servers, key, *self._describe(asked), run)

    async def _one(self, asked: _Asked, key: bytes) -> Any:
        async def run(route: NodeRoute) -> Any:
            return await self._alone(route, asked)

        return await routed(self._servers, key, *self._describe([asked]), run)


async def gathered(
    questions: Mapping[_Key, Coroutine[Any, Any, _Found]], late_s: float
) -> tuple[dict[_Key, _Found], StoreUnavailable | None]:
    """Query several nodes concurrently. Return their answers, and the first error or None. Late nodes are not awaited.

    Args:
        questions: one query for each node.
        late_s: seconds that a node may answer later than the first.
    """
    tasks = {key: asyncio.ensure_future(question) for key, question in questions.items()}
    try:
        waiting = set(tasks.values())
        while waiting and not any(task.done() and not task.exception() for task in tasks.values()):
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if waiting:
            await asyncio.wait(waiting, timeout=late_s)
    finally:
        late = [task for task in tasks.values() if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    found: dict[_Key, _Found] = {}
    failed: StoreUnavailable | None = None
    for key, task in tasks.items():
        if task.cancelled():
            failed = failed or StoreUnavailable("The store does not answer in time")
        elif (error := task.exception()) is None:
            found[key] = task.result()
        elif isinstance(error, StoreUnavailable):
            failed = failed or error
        else:
            raise error
    return found, failed
