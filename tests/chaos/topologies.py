"""The topologies of Redis that a run can have, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.chaos.servers import StandaloneServer

STANDALONE: Final = "standalone"
TOPOLOGIES: Final[Mapping[str, type[StandaloneServer]]] = {STANDALONE: StandaloneServer}
"""Topology -> its servers, which are made in an empty folder."""
