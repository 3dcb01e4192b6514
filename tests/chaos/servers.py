"""Redis as a run has it: its servers, the lines to them, and what can go wrong with it. One class for each topology."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol, Self

from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import ValkeyServer


class RedisServers(Protocol):
    """The servers of one topology, as an async context manager.

    Attributes:
        url: the address of the relay's setting, past the lines where that is possible.
        url_by_lines: the address by the lines.
        lines: name -> the proxy that stands before a server.
        replicas: how many replicas confirm a write of custody.
    """

    lines: Mapping[str, FaultProxy]
    replicas: int

    @property
    def url(self) -> str: ...

    @property
    def url_by_lines(self) -> str: ...

    async def suffer(self, trouble: str, lasts_s: float) -> None:
        """Let something go wrong, and return when it is over."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class StandaloneServer:
    """One server.

    Attributes:
        lines: the one line to it.
        valkey: the server.
    """

    LINES = ("redis",)
    TROUBLES = ("kill", "load", "demote", "freeze", "fill", "isolate", "lose_disk")
    """What can go wrong: each is a method."""
    replicas = 0

    def __init__(self, folder: Path, _slack_s: float = 0.0) -> None:
        (folder / "valkey").mkdir()
        self.valkey = ValkeyServer(folder / "valkey")
        self._line = FaultProxy(("127.0.0.1", self.valkey.port))
        self.lines: Mapping[str, FaultProxy] = {"redis": self._line}
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Return the server's own address."""
        return self.valkey.url

    @property
    def url_by_lines(self) -> str:
        """Return the address of the proxy before it."""
        return f"redis://{self._line.address}"

    async def suffer(self, trouble: str, lasts_s: float) -> None:
        """Let one of `TROUBLES` happen."""
        await getattr(self, f"_{trouble}")(lasts_s)

    async def __aenter__(self) -> Self:
        """Start."""
        await asyncio.to_thread(self._stack.enter_context, self.valkey)
        await self._stack.enter_async_context(self._line)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop."""
        await self._stack.aclose()

    async def _kill(self, lasts_s: float) -> None:
        self.valkey.kill()
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(self.valkey.start)

    async def _load(self, lasts_s: float) -> None:
        """It restarts, and refuses commands while it reads its file, which takes some time."""
        self.valkey.kill()
        # Microseconds a command: a run has written some thousands when it comes to this.
        await asyncio.to_thread(self.valkey.start, key_load_delay=str(int(200 * lasts_s)))

    async def _demote(self, lasts_s: float) -> None:
        """It becomes the replica of a server that is not there, and refuses to write; then it is a primary of another history."""
        await asyncio.to_thread(self.valkey.command, "REPLICAOF 127.0.0.1 1")
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(self.valkey.command, "REPLICAOF NO ONE")

    async def _freeze(self, lasts_s: float) -> None:
        await for_a_while(self.valkey.tell, lasts_s)

    async def _fill(self, lasts_s: float) -> None:
        await self._configure(lasts_s, "maxmemory", "1mb", "0")

    async def _isolate(self, lasts_s: float) -> None:
        await self._configure(lasts_s, "min-replicas-to-write", "1", "0")

    async def _lose_disk(self, lasts_s: float) -> None:
        """It writes to no file any more, and is killed: what it took meanwhile is gone, and nothing of it may have been acknowledged."""
        await asyncio.to_thread(self.valkey.configure, "appendonly", "no")
        await asyncio.sleep(lasts_s)
        self.valkey.kill()
        await asyncio.to_thread(self.valkey.start)

    async def _configure(self, lasts_s: float, setting: str, value: str, usual: str) -> None:
        await asyncio.to_thread(self.valkey.configure, setting, value)
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(self.valkey.configure, setting, usual)


async def for_a_while(tell: Callable[[signal.Signals], None], lasts_s: float) -> None:
    """Stop a process (SIGSTOP), and let it go on."""
    tell(signal.SIGSTOP)
    try:
        await asyncio.sleep(lasts_s)
    finally:
        tell(signal.SIGCONT)
