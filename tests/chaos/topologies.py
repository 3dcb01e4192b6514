"""The topologies of Redis that a run can have, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.chaos.replicated import ClusterServers, SentinelServers
from tests.chaos.servers import StandaloneServer

STANDALONE: Final = "standalone"
Servers = StandaloneServer | SentinelServers | ClusterServers
TOPOLOGIES: Final[Mapping[str, type[Servers]]] = {
    STANDALONE: StandaloneServer,
    "sentinel": SentinelServers,
    "cluster": ClusterServers,
}
"""Topology -> its servers, which are made in an empty folder and with what a busy machine may add to each time."""
