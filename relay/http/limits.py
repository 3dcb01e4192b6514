"""Limits on the resources that clients may take of an HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Limits on the resources that unauthenticated clients take. `docs/limits.md` states the cost of each.

    Attributes:
        connections: concurrent, and never more than a quarter of the process' descriptors. 1,000: with TLS some 100 KiB each.
        connections_per_address: from one IPv4 address or one /64. 100: an office behind one address keeps some 20 open.
        requests: answered concurrently; further ones get 503. Half of the connections.
        head_time: time limit of TLS handshake and head, and of the head of each later request. A phone on a bad network
            takes 3 s.
    """

    connections: int = 1000
    connections_per_address: int = 100
    requests: int = 500
    head_time: timedelta = timedelta(seconds=10)
