"""Redis with replicas as a run has it: a service of Sentinel, and a cluster. Servers are known by the lines before them, to everybody."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, Self

from tests.chaos.servers import for_a_while
from tests.support.fault_proxy import FaultProxy
from tests.support.topology import SERVICE, SentinelService, ValkeyCluster, name_of
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

_SETTINGS: Final = {"min_replicas_to_write": "1", "min_replicas_max_lag": "2"}
"""What the relay demands of a primary whose replicas confirm custody."""
_DOWN_AFTER_S: Final = 1.0
"""How long a server is silent that is taken for dead, on a machine that does nothing else."""
_ELECTED_S: Final = 2.0
"""How long it takes then until a replica is in its place."""
_TROUBLES: Final = ("kill", "freeze", "kill_replica", "cut_off", "restart_all", "fail_over")


class _Replicated:
    """What both have in common.

    Attributes:
        lines: server -> the proxy before it.
        replicas: how many replicas confirm a write of custody.
    """

    LINES: tuple[str, ...]
    replicas = 1
    url: str

    def __init__(self, slack_s: float) -> None:
        # Who waits for a core is not dead: two failovers within seconds lose what one would not.
        self._down_after_ms = int(1000 * _DOWN_AFTER_S + 50 * slack_s)
        self._away_s = self._down_after_ms / 1000 + _ELECTED_S
        self.lines: Mapping[str, FaultProxy] = {name: FaultProxy(("127.0.0.1", 1)) for name in self.LINES}
        self._stack = AsyncExitStack()
        self._servers: Sequence[ValkeyServer] = ()

    @property
    def url_by_lines(self) -> str:
        """Return the address: servers are known by their lines alone."""
        return self.url

    async def suffer(self, trouble: str, lasts_s: float) -> None:
        """Let one of `TROUBLES` happen: each is a method."""
        await getattr(self, f"_{trouble}")(lasts_s)

    async def _start(self, servers: Sequence[ValkeyServer]) -> None:
        self._servers = servers
        for line, server in zip(self.lines.values(), servers, strict=True):
            line.upstream = ("127.0.0.1", server.port)
            await self._stack.enter_async_context(line)

    async def __aexit__(self, *exc: object) -> None:
        """Stop."""
        await self._stack.aclose()

    async def _by_role(self, role: str) -> list[ValkeyServer]:
        """Return the servers that say of themselves that they are a `master`, or a `slave`."""
        found = []
        for server in self._servers:
            with suppress(OSError):
                if f"role:{role}" in await asyncio.to_thread(server.ask, "INFO replication"):
                    found.append(server)
        return found

    async def _primary(self) -> ValkeyServer:
        return (await eventually(lambda: self._by_role("master")))[0]

    async def _kill(self, lasts_s: float) -> None:
        """The primary is gone, and comes back when another is in its place."""
        primary = await self._primary()
        primary.kill()
        await asyncio.sleep(max(lasts_s, self._away_s))
        await asyncio.to_thread(primary.start)

    async def _freeze(self, lasts_s: float) -> None:
        """The primary sleeps, and wakes believing that it is one."""
        primary = await self._primary()
        await for_a_while(primary.tell, lasts_s)

    async def _kill_replica(self, lasts_s: float) -> None:
        replica = (await eventually(lambda: self._by_role("slave")))[0]
        replica.kill()
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(replica.start)

    async def _cut_off(self, lasts_s: float) -> None:
        """No replica follows any more, the primary takes what it takes, and dies; a replica takes its place."""
        primary, replicas = await self._primary(), await self._by_role("slave")
        for replica in replicas:
            replica.tell(signal.SIGSTOP)
        await asyncio.sleep(min(lasts_s, 2.0))
        primary.kill()
        for replica in replicas:
            replica.tell(signal.SIGCONT)
        await asyncio.sleep(self._away_s)
        await asyncio.to_thread(primary.start)

    async def _restart_all(self, lasts_s: float) -> None:
        for server in self._servers:
            server.kill()
        await asyncio.sleep(lasts_s)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in self._servers))


class SentinelServers(_Replicated):
    """A primary, two replicas and three sentinels."""

    LINES = ("redis-1", "redis-2", "redis-3")
    TROUBLES = (*_TROUBLES, "kill_sentinel")

    def __init__(self, folder: Path, slack_s: float = 0.0) -> None:
        super().__init__(slack_s)
        announced = [line.port for line in self.lines.values()]
        self._service = SentinelService(
            folder / "redis", announced=announced, down_after_ms=self._down_after_ms, **_SETTINGS
        )
        self.url = self._service.url

    async def __aenter__(self) -> Self:
        """Start."""
        await self._start(self._service.servers)
        await _entered(self._stack, self._service)
        return self

    async def _fail_over(self, lasts_s: float) -> None:
        """An operator orders it; it is refused while another one is under way."""
        await asyncio.to_thread(self._service.sentinels[0].ask, f"SENTINEL FAILOVER {SERVICE}")
        await asyncio.sleep(lasts_s)

    async def _kill_sentinel(self, lasts_s: float) -> None:
        sentinel = self._service.sentinels[0]
        sentinel.kill()
        await asyncio.sleep(lasts_s)
        await asyncio.to_thread(sentinel.start)


class ClusterServers(_Replicated):
    """Three primaries, each with a replica."""

    LINES = tuple(f"redis-{number}" for number in range(1, 7))
    TROUBLES = (*_TROUBLES, "migrate")

    def __init__(self, folder: Path, slack_s: float = 0.0) -> None:
        super().__init__(slack_s)
        announced = [line.port for line in self.lines.values()]
        self._cluster = ValkeyCluster(
            folder / "redis", 3, 1, announced=announced, cluster_node_timeout=str(self._down_after_ms), **_SETTINGS
        )
        self.url = f"redis+cluster://{','.join(line.address for line in list(self.lines.values())[:2])}"

    async def __aenter__(self) -> Self:
        """Start."""
        await self._start([*self._cluster.primaries, *self._cluster.replicas])
        await _entered(self._stack, self._cluster)
        return self

    async def _fail_over(self, lasts_s: float) -> None:
        """An operator orders a replica to take its primary's place."""
        replica = (await eventually(lambda: self._by_role("slave")))[0]
        await asyncio.to_thread(replica.ask, "CLUSTER FAILOVER")
        await asyncio.sleep(lasts_s)

    async def _migrate(self, lasts_s: float) -> None:
        """A twentieth of all slots goes from one primary to another."""
        source, target, *_ = await eventually(lambda: self._primaries_with_slots())
        first = int(_slots_of(await asyncio.to_thread(source.ask, "CLUSTER NODES"))[0])
        name = await asyncio.to_thread(name_of, target)
        await asyncio.to_thread(source.ask, f"CLUSTER MIGRATESLOTS SLOTSRANGE {first} {first + 800} NODE {name}")
        await asyncio.sleep(lasts_s)

    async def _primaries_with_slots(self) -> list[ValkeyServer]:
        primaries = await self._by_role("master")
        return [one for one in primaries if _slots_of(await asyncio.to_thread(one.ask, "CLUSTER NODES"))]


def _slots_of(nodes: str) -> list[str]:
    """Return the first slot of each range that the asked node has, of its own answer to CLUSTER NODES."""
    [own] = [line for line in nodes.splitlines() if "myself" in line]
    return [word.partition("-")[0] for word in own.split()[8:] if not word.startswith("[")]


async def _entered(stack: AsyncExitStack, servers: SentinelService | ValkeyCluster) -> None:
    stack.callback(servers.__exit__, None, None, None)
    await asyncio.to_thread(servers.__enter__)
