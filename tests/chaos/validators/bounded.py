"""Bounded: memory follows watched users and open streams, never the rate of change; Graph is never asked beyond its limit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from tests.chaos.record import Memory, Record, Request

LIMIT: Final = 1500
WINDOW_S: Final = 30.0
"""Graph takes 1,500 requests of an application for a tenant in 30 s:
https://learn.microsoft.com/graph/throttling-limits#cloud-communication-service-limits"""
AT_REST: Final = 48 << 20
"""Bytes by which two moments of a well process differ: what allocators take and give back."""
PER_USER: Final = 2 << 10
PER_STREAM: Final = 6 << 20
"""Bytes: transport buffers of a stream at most."""


def bounded(record: Record) -> list[str]:
    """Judge the memory of each process at rest, and the requests of each tenant."""
    return [*_grown(record.of(Memory)), *_asked(record.of(Request))]


def _grown(samples: Iterable[Memory]) -> Iterable[str]:
    first: dict[tuple[str, int], Memory] = {}
    for sample in samples:
        before = first.setdefault((sample.process, sample.pid), sample)
        allowed = AT_REST + PER_USER * sample.users + PER_STREAM * max(0, sample.streams - before.streams)
        if sample.bytes - before.bytes > allowed:
            grown = (sample.bytes - before.bytes) / 2**20
            yield (
                f"{sample.process} grew by {grown:.0f} MiB, with {sample.users} watched users "
                f"and {sample.streams} streams"
            )


def _asked(requests: Iterable[Request]) -> Iterable[str]:
    times: dict[str, list[float]] = {}
    for request in requests:
        times.setdefault(request.tenant, []).append(request.at)
    for tenant, own in times.items():
        own.sort()
        most = max(place + 1 - bisect_left(own, at - WINDOW_S) for place, at in enumerate(own))
        if most > LIMIT:
            yield f"{most} requests of {tenant} within {WINDOW_S:.0f} s"
