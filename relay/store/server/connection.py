"""The store: runs commands and scripts, and checks the servers. `topology.py` knows which server has a key.

command, run          reads, and writes that may be repeated; retried once or twice
run_once              scripts that must not run twice unnoticed; never retried
vault_command, ...    the same for the keys of the vault
many, run_many        several commands or scripts, in one round trip to each node
durable               writes that are on disk when they are confirmed; never retried
streams               blocking reads, which another connection can wake
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from redis.exceptions import NoScriptError

from relay.errors import NotPermitted, StoreUnavailable
from relay.store.server import keys, preflight
from relay.store.server.blocking import StreamReader
from relay.store.server.data_layout import layout_faults
from relay.store.server.dividing import Divided, gathered
from relay.store.server.durable import DurableWrites
from relay.store.server.inspection import replica_faults, replicas_of
from relay.store.server.layout import Side
from relay.store.server.node import URGENT_CONNECTIONS
from relay.store.server.scripting import on
from relay.store.server.servers import NodeRoute, pipelined, routed
from relay.store.server.statistics import CommandStatistics
from relay.store.server.topology import key_of, topology_of
from relay.store.server.user_rights import RightsDifference, compare_rights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence

    from redis.asyncio import Redis

    from relay.store.server.layout import Client
    from relay.store.server.node import Node, ServerIdentity
    from relay.store.server.scripting import Call, Execute, Script
    from relay.store.server.servers import Servers
    from relay.store.server.topology import Topology

_SCAN_COUNT = 1000
"""Keys that a server scans in one step, in half a millisecond."""
_LATE_S: Final = 1.0
"""A node that answers this much later than the first is treated as not answering."""
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """The address of Redis, and the durability that it must provide."""

    url: str = field(repr=False)
    """`redis://`, `rediss://` or `unix://`; may contain a password, so it is never shown."""
    vault_url: str | None = field(default=None, repr=False)
    """The separate server of custody; None if custody is at `url` too."""
    replicas: int = 0
    """Number of replicas that must have a durable write on disk before it is confirmed."""
    operation_timeout: timedelta = timedelta(seconds=5)
    """Time limit of one command, including the connection."""


class Store:
    """The relay's Redis, as an async context manager. Entering does not connect: connections open when first used.

    A command or script runs on the node of its first key; a command without a key runs where the others of the same
    call do. Every method raises StoreUnavailable if the server does not answer in time, cannot serve now, or is not the
    primary; the outcome of a write is then unknown. No error text contains a URL, an argument or a reply.

    Attributes:
        settings: the address and the required durability.
        own_vault: whether the vault is on a separate server.
        topology: the nodes.
        statistics: number of commands, by outcome.
    """

    def __init__(self, settings: StoreSettings, topology: Topology | None = None) -> None:
        """Create a store; it connects on first use.

        Args:
            settings: the address and the required durability.
            topology: the nodes; None for those in the settings.
        """
        self.settings = settings
        self.own_vault = settings.vault_url is not None
        self.statistics = CommandStatistics()
        self.topology = topology or topology_of(
            settings.url, settings.vault_url, settings.operation_timeout, self.statistics.observed
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.topology.aclose()

    # ------------------------------------------------------------- presence

    async def command(self, *command: Any) -> Any:
        """Run one repeatable command."""
        return await self._command(Side.PRESENCE, command)

    async def run(self, call: Call) -> Any:
        """Run a script that may run twice."""
        return await self._run(Side.PRESENCE, call)

    async def run_once(self, call: Call) -> Any:
        """Run a script at most once.

        Raises:
            LeaseLost: the lease in the call is no longer in force; nothing was written.
        """

        async def run(route: NodeRoute) -> Any:
            return await call.run(route.execute(route.node.writer))

        key = call.keys[0] if call.keys else b""
        return await routed(self.topology.presence, key, call.script.name, call.keys, run)

    async def run_many(self, calls: Sequence[Call], *, urgent: bool = False) -> list[Any]:
        """Run repeatable scripts for several partitions in one round trip to each node (two to load them).

        Args:
            calls: each with all its keys in one slot.
            urgent: use reserved connections that other commands cannot occupy, and never retry.
        """

        def client_of(node: Node) -> Redis:
            return node.urgent if urgent else node.client

        async def together(node: Node, calls: Sequence[Call]) -> list[Any]:
            return await _run_pipelined(client_of(node), calls)

        async def alone(route: NodeRoute, call: Call) -> Any:
            return await call.run(route.execute(client_of(route.node)))

        def describe(calls: Sequence[Call]) -> tuple[str, list[Any]]:
            return calls[0].script.name, [key for call in calls for key in call.keys]

        routes = [call.keys[0] for call in calls]
        return await Divided(self.topology.presence, together, alone, describe).run(calls, routes)

    async def prepare(self, scripts: Sequence[Script]) -> None:
        """Open the urgent connections and load scripts in advance, so that a slow server delays no urgent call."""
        load = [("SCRIPT", "LOAD", script.source) for script in scripts]
        for node in await self.topology.presence.nodes():
            async with node.asked("SCRIPT LOAD"):
                opened = (pipelined(node.urgent, load) for _ in range(URGENT_CONNECTIONS))
                for replies in await asyncio.gather(*opened):
                    _good(replies)

    def streams(self) -> StreamReader:
        """Return a new reader of streams; the caller closes it."""
        return StreamReader(self.topology.presence)

    # ---------------------------------------------------------------- vault

    async def vault_command(self, *command: Any) -> Any:
        """Run one repeatable command on a key of the vault; not durable."""
        return await self._command(Side.VAULT, command)

    async def vault_run(self, call: Call) -> Any:
        """Run a repeatable script on keys of the vault; not durable."""
        return await self._run(Side.VAULT, call)

    async def vault_scan(self, pattern: str | bytes) -> AsyncIterator[list[bytes]]:
        """Yield the keys of the vault that match a pattern, in batches; not consistent, and perhaps one twice."""
        for node in await self.topology.vault.nodes():
            cursor = None
            while cursor != 0:
                async with node.asked("SCAN", [pattern]):
                    reply = await self._execute(NodeRoute(node))(
                        "SCAN", cursor or 0, "MATCH", pattern, "COUNT", _SCAN_COUNT
                    )
                cursor = int(reply[0])
                yield reply[1]

    def durable(self) -> DurableWrites:
        """Return a context for durable writes: write in it, then `confirm()`.

        Several callers can write concurrently; the server syncs their writes to disk together.
        """
        return DurableWrites(self.topology.vault, self.settings.replicas, self.settings.operation_timeout)

    # ------------------------------------------------------------ both

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        """Run repeatable commands in one round trip to each node, not atomically; the first error is raised.

        A command without a key, such as TIME, runs on the node of the first command that has a key.
        """

        async def alone(route: NodeRoute, command: Sequence[Any]) -> Any:
            return await self._execute(route)(*command)

        def describe(commands: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
            return str(commands[0][0]), [key for command in commands for key in command[1:2]]

        found = [key_of(command) for command in commands]
        first = next(filter(None, found), b"")
        servers = self.topology.of(Side.VAULT if vault else Side.PRESENCE)
        return await Divided(servers, self._pipeline, alone, describe).run(commands, [key or first for key in found])

    # ------------------------------------------------- whether it can be trusted

    async def ping(self) -> None:
        """Check that every node of presence answers."""
        for node in await self.topology.presence.nodes():
            async with node.asked("PING"):
                await on(node.client)("PING")

    async def identity(self, partition: int) -> ServerIdentity:
        """Return the identity of a partition's node. Call this after every reconnect and once a second."""
        node = await self.topology.presence.node_of(keys.lease(partition))
        return await node.identity()

    async def by_node(
        self,
        partitions: Iterable[int],
        ask: Callable[[Sequence[int]], Coroutine[Any, Any, _Found]],
        late_s: float = _LATE_S,
    ) -> list[_Found]:
        """Query all nodes concurrently about their partitions, and return the answers.

        Partitions of a node that does not answer are absent: an unavailable node delays no caller.

        Args:
            partitions: of all nodes.
            ask: queries one node about its partitions.
            late_s: seconds that a node may answer later than the first.

        Raises:
            StoreUnavailable: no node answers.
        """
        parts = await self.together(partitions)
        found, away = await gathered({tuple(part): ask(part) for part in parts}, late_s)
        if away is not None and not found:
            raise away
        return list(found.values())

    async def together(self, partitions: Iterable[int]) -> list[list[int]]:
        """Return the partitions grouped by node. Those without a known node form one group."""
        places: dict[Node | None, list[int]] = {}
        for partition in partitions:
            node: Node | None = None
            with suppress(StoreUnavailable):
                node = await self.topology.presence.node_of(keys.lease(partition))
            places.setdefault(node, []).append(partition)
        return list(places.values())

    async def check(self) -> None:
        """Check that the store is available and trusted: each node is a primary that accepts writes.

        The first call writes one unused key on each node. Later calls repeat that write with NX: it changes nothing,
        and fails only if the server accepts no writes.

        Raises:
            StoreUnavailable: the store cannot be used; the text says why.
        """

        async def look(node: Node, key: bytes | None) -> None:
            await node.demand_primary()
            if key is not None:
                async with node.asked("SET", [key]):
                    await on(node.client)("SET", key, 1, "NX")

        probes = {**await self._probes(self.topology.vault), **await self._probes(self.topology.presence)}
        results = await asyncio.gather(*(look(*probe) for probe in probes.items()), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def demand_primary(self, vault_keys: Iterable[bytes]) -> None:
        """Check that the nodes with these vault keys are primaries, because a replica may lack a key.

        Raises:
            NotPrimary: one is a replica.
        """
        for node in dict.fromkeys([await self.topology.vault.node_of(key) for key in vault_keys]):
            await node.demand_primary()

    async def preflight(self) -> list[str]:
        """Return the faults that an operator must correct before the relay may run; empty if there are none.

        The first start writes the number of partitions, the layout of the data and the key of `check`, and nothing
        else.

        Raises:
            StoreUnavailable: the servers cannot be checked at present; the text says why.
        """
        return [fault for one in self._servers() for fault in await self._preflight(*one)]

    async def _preflight(self, name: str, servers: Servers, sides: Sequence[Side]) -> list[str]:
        async def asked(ask: Callable[[Execute, str], Awaitable[list[str]]], route: NodeRoute) -> list[str]:
            return await ask(route.execute(route.node.client), f"{name} at {route.node.place}{servers.named}")

        faults: list[str] = []
        for node, key in (await self._probes(servers)).items():
            where, custody = f"{name} at {node.place}{servers.named}", Side.VAULT in sides
            faults += await preflight.check(node, where, key, replicas=self.settings.replicas, custody=custody)
        try:
            for key, ask in ((keys.PARTITION_COUNT, preflight.partition_faults), (keys.LAYOUT, layout_faults)):
                faults += await routed(servers, key, "GET", [key], partial(asked, ask))
        except NotPermitted as refusal:
            return faults or [f"{name}: {refusal}"]
        return faults

    async def inspect(self) -> list[str]:
        """Return faults that do not stop the relay, such as replicas that are behind, as text for operators."""
        faults: list[str] = []
        for name, servers, sides in self._servers():
            faults += [f"{name}: {fault}" for fault in await servers.inspect()]
            for node in await servers.nodes():
                async with node.asked("INFO"):
                    said = await on(node.client)("INFO", "replication")
                needed = self.settings.replicas if Side.VAULT in sides else 0
                faults += replica_faults(f"{name} at {node.place}{servers.named}", replicas_of(said), needed)
        return faults

    async def compare_rights(self, clients: Sequence[Client]) -> list[tuple[str, RightsDifference | None]]:
        """Return for each node its name, and how its user's rights differ from those that these roles need."""
        found: list[tuple[str, RightsDifference | None]] = []
        for name, servers, sides in self._servers():
            for node in await servers.nodes():
                connection = node.single()
                try:
                    async with node.asked():
                        found.append((name, await compare_rights(connection, node.user or "default", clients, sides)))
                finally:
                    await connection.disconnect(nowait=True)
        return found

    def _servers(self) -> list[tuple[str, Servers, tuple[Side, ...]]]:
        """Return each group of servers: its name for operators, the servers, and the sides on them."""
        presence, vault = self.topology.presence, self.topology.vault
        if not self.own_vault:
            return [("Redis", presence, (Side.PRESENCE, Side.VAULT))]
        return [("Redis", presence, (Side.PRESENCE,)), ("the vault's Redis", vault, (Side.VAULT,))]

    async def _probes(self, servers: Servers) -> dict[Node, bytes | None]:
        """Return each node with a key that it can write; None for a node without a partition."""
        probes: dict[Node, bytes | None] = dict.fromkeys(await servers.nodes())
        for key in map(keys.writable, range(keys.PARTITIONS)):
            node = await servers.node_of(key)
            probes[node] = probes.get(node) or key
        return probes

    # ------------------------------------------------------------------ inside

    async def _command(self, side: Side, command: Sequence[Any]) -> Any:
        async def run(route: NodeRoute) -> Any:
            return await self._execute(route)(*command)

        return await routed(self.topology.of(side), key_of(command), str(command[0]), command, run)

    async def _run(self, side: Side, call: Call) -> Any:
        async def run(route: NodeRoute) -> Any:
            return await call.run(self._execute(route))

        key = call.keys[0] if call.keys else b""
        return await routed(self.topology.of(side), key, call.script.name, call.keys, run)

    def _execute(self, route: NodeRoute) -> Execute:
        """Return the function that runs repeatable commands on a node."""
        return route.execute(route.node.client)

    async def _pipeline(self, node: Node, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the replies to repeatable commands in one pipeline, including errors."""
        return await pipelined(node.client, commands)


async def _run_pipelined(client: Redis, calls: Sequence[Call]) -> list[Any]:
    """Return the replies to scripts in one pipeline. Scripts that the server does not know are loaded and run again."""
    replies = await pipelined(client, [call.command for call in calls])
    unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if unknown:
        load = [("SCRIPT", "LOAD", source) for source in dict.fromkeys(calls[one].script.source for one in unknown)]
        again = await pipelined(client, [*load, *(calls[number].command for number in unknown)])
        for number, reply in zip(unknown, again[len(load) :], strict=True):
            replies[number] = reply
    return replies


def _good(replies: list[Any]) -> list[Any]:
    """Return the replies, or raise the first error among them."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
