"""Limits on what peers may hold of an HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Limits on what strangers hold of a server. `docs/limits.md` states what each costs.

    Attributes:
        connections: open at once, and never more than a quarter of the process' descriptors. 1,000: with TLS some 100 KiB each.
        connections_per_address: of those, for one IPv4 address or one /64. 100: an office behind one address keeps some 20 open.
        requests: being answered at once; beyond, 503. Half of the connections.
        head_time: for TLS handshake and head, and for the head of each later request. A phone on a bad network takes 3 s.
    """

    connections: int = 1000
    connections_per_address: int = 100
    requests: int = 500
    head_time: timedelta = timedelta(seconds=10)
