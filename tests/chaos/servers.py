"""Redis as a run has it: its servers, the lines to them, and what can go wrong with it. One class for each topology."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol, Self

from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import ValkeyServer

STANDALONE: Final = "standalone"


class RedisServers(Protocol):
    """The servers of one topology, as an async context manager."""

    @property
    def url(self) -> str:
        """Return the address of the relay's setting, past the lines."""

    @property
    def url_by_lines(self) -> str:
        """Return the address of the relay's setting, by the lines."""

    @property
    def lines(self) -> Mapping[str, FaultProxy]:
        """Return name -> the proxy that stands before a server."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what else the relay's setting of this topology needs."""

    async def suffer(self, trouble: str, lasts_s: float) -> None:
        """Let something go wrong, and return when it is over."""

    async def __aenter__(self) -> Self:
        """Start."""

    async def __aexit__(self, *exc: object) -> None:
        """Stop."""


class Standalone:
    """One server.

    Attributes:
        valkey: the server.
        lines: the one line to it.
    """

    settings: Mapping[str, str] = {}

    def __init__(self, folder: Path, port: int | None = None) -> None:
        (folder / "valkey").mkdir()
        self.valkey = ValkeyServer(folder / "valkey", port)
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
        await STANDALONE_TROUBLES[trouble](self, lasts_s)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._stack.enter_context, self.valkey)
        await self._stack.enter_async_context(self._line)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()


async def for_a_while(tell: Callable[[signal.Signals], None], lasts_s: float) -> None:
    """Stop a process (SIGSTOP), and let it go on."""
    tell(signal.SIGSTOP)
    try:
        await asyncio.sleep(lasts_s)
    finally:
        tell(signal.SIGCONT)


async def _kill(servers: Standalone, lasts_s: float) -> None:
    servers.valkey.kill()
    await asyncio.sleep(lasts_s)
    await asyncio.to_thread(servers.valkey.start)


async def _load(servers: Standalone, lasts_s: float) -> None:
    """It restarts, and refuses commands while it reads its file, which takes some time."""
    servers.valkey.kill()
    # Microseconds a command: a run has written some thousands when it comes to this.
    await asyncio.to_thread(servers.valkey.start, key_load_delay=str(int(200 * lasts_s)))


async def _demote(servers: Standalone, lasts_s: float) -> None:
    """It becomes the replica of a server that is not there, and refuses to write; then it is a primary of another history."""
    await asyncio.to_thread(servers.valkey.command, "REPLICAOF 127.0.0.1 1")
    await asyncio.sleep(lasts_s)
    await asyncio.to_thread(servers.valkey.command, "REPLICAOF NO ONE")


async def _freeze(servers: Standalone, lasts_s: float) -> None:
    await for_a_while(servers.valkey.tell, lasts_s)


async def _fill(servers: Standalone, lasts_s: float) -> None:
    await _configure(servers, lasts_s, "maxmemory", "1mb", "0")


async def _isolate(servers: Standalone, lasts_s: float) -> None:
    await _configure(servers, lasts_s, "min-replicas-to-write", "1", "0")


async def _lose_disk(servers: Standalone, lasts_s: float) -> None:
    """It writes to no file any more, and is killed: what it took meanwhile is gone, and nothing of it may have been acknowledged."""
    await asyncio.to_thread(servers.valkey.configure, "appendonly", "no")
    await asyncio.sleep(lasts_s)
    servers.valkey.kill()
    await asyncio.to_thread(servers.valkey.start)


async def _configure(servers: Standalone, lasts_s: float, setting: str, value: str, usual: str) -> None:
    await asyncio.to_thread(servers.valkey.configure, setting, value)
    await asyncio.sleep(lasts_s)
    await asyncio.to_thread(servers.valkey.configure, setting, usual)


STANDALONE_TROUBLES: Final[Mapping[str, Callable[[Standalone, float], Awaitable[None]]]] = {
    "kill": _kill, "load": _load, "demote": _demote, "freeze": _freeze, "fill": _fill, "isolate": _isolate,
    "lose_disk": _lose_disk,
}  # fmt: skip
TROUBLES: Final[Mapping[str, tuple[str, ...]]] = {STANDALONE: tuple(STANDALONE_TROUBLES)}
"""Topology -> what can go wrong with it."""
LINES_OF: Final[Mapping[str, tuple[str, ...]]] = {STANDALONE: ("redis",)}
"""Topology -> the lines to its servers."""
TOPOLOGIES: Final[Mapping[str, Callable[[Path], RedisServers]]] = {STANDALONE: Standalone}
"""Topology -> its servers in an empty folder."""
