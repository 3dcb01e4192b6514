"""The relay's and the local cloud's own clients at work in a process as those programs run them, to be told what to do through a pipe.

    python -m tests.faults.clients URL CA_FILE REDIS_URL

    call N   N calls of Graph and Entra, N notifications posted by the local cloud and N commands of Redis, 32 of each at once
    look     descriptors and memory of this process

Each order is answered by one line of JSON. Calls may fail as the code that makes them says; anything else ends the process.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil

from emulator.notifications.client import Client
from relay.app import until_signalled
from relay.errors import SourceUnreachable, StoreUnavailable
from relay.graph.client import GraphClient
from relay.graph.settings import GraphSettings
from relay.store.server.connection import Store, StoreSettings

AT_ONCE = 32
PATIENCE = timedelta(seconds=1)


class Told(msgspec.Struct):
    """The answer to an order.

    Attributes:
        well: calls that succeeded.
        failed: calls that failed as they may.
        descriptors: of the process, now.
        rss: bytes.
    """

    well: int = 0
    failed: int = 0
    descriptors: int = 0
    rss: int = 0


class Callers:
    """The clients, and how each is used once."""

    def __init__(self, url: str, graph: GraphClient, hook: Client, store: Store) -> None:
        self._url = url
        self._graph = graph
        self._hook = hook
        self._store = store

    async def graph(self, number: int) -> bool:
        """A call of Graph (refused for its token) or the fetch of a public document; whether it was answered."""
        try:
            if number % 2:
                await self._graph.fetch(f"{self._url}/common/discovery/v2.0/keys")
            else:
                await self._graph.ask("POST", "/v1.0/communications/getPresencesByUserId", _token, b'{"ids":["a"]}')
        except SourceUnreachable:
            return False
        return True

    async def redis(self, number: int) -> bool:
        """A command that Redis answers."""
        del number
        try:
            await self._store.command("PING")
        except StoreUnavailable:
            return False
        return True

    async def hook(self, number: int) -> bool:
        """A notification to whoever listens there."""
        del number
        return bool(
            (await self._hook.post(f"{self._url}/hook", b"{}", "application/json", PATIENCE.total_seconds())).status
        )


async def _token(refused: str = "") -> str:
    return "refused-too" if refused else "of-nobody"


async def _many(calls: Sequence[Callable[[int], Awaitable[bool]]], count: int) -> Told:
    told = Told()

    async def some(call: Callable[[int], Awaitable[bool]], numbers: Iterator[int]) -> None:
        for number in numbers:
            if await call(number):
                told.well += 1
            else:
                told.failed += 1

    shares = [(call, iter(range(count))) for call in calls]
    await asyncio.gather(*(some(*share) for share in shares for _ in range(AT_ONCE)))
    return told


async def _work(url: str, ca_pem: bytes, redis_url: str) -> None:
    settings = GraphSettings(
        client_id="faults", client_secret="faults", authority_url=url, graph_url=url, ca_pem=ca_pem.decode(),
        connect_timeout=PATIENCE, read_timeout=PATIENCE, total_timeout=PATIENCE,
    )  # fmt: skip
    hook, me = Client(ca_pem, None), psutil.Process()
    async with (
        GraphClient(settings) as graph,
        Store(StoreSettings(url=redis_url, operation_timeout=PATIENCE)) as store,
    ):
        calls = Callers(url, graph, hook, store)
        while order := (await asyncio.to_thread(sys.stdin.readline)).split():
            told = Told() if order[0] == "look" else await _many((calls.graph, calls.hook, calls.redis), int(order[1]))
            gc.collect()
            told.descriptors, told.rss = me.num_fds(), me.memory_info().rss
            sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
            sys.stdout.flush()
    await hook.close()


if __name__ == "__main__":
    authority = Path(sys.argv[2]).read_bytes()
    until_signalled(lambda _stop: _work(sys.argv[1], authority, sys.argv[3]))
