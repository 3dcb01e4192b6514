"""The counters of an edge at one moment, for the owner of an `EdgeServer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.core.presence import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStatistics:
    """One edge at one moment.

    Attributes:
        streams: open streams.
        leaving: streams whose suites were asked to leave.
        writing: streams with a write under way; a write to a suite that does not read stays under way.
        joined: tenant id -> its streams that receive entries.
        calls: tenant id -> its calls that have a place.
        waiting_calls: calls that wait for their start, because they may replace a stream.
        unverified_calls: calls whose suite key is not verified yet, or is wrong.
        names: watched names, each counted once per tenant.
        interest_tenants: tenants with names in the store, or with changes that are not written yet.
        audited_names: names that the audit of watches holds, each counted once per suite.
        partitions: partitions that are read.
        tasks: short tasks under way.
        is_store_away: whether the store failed to answer the last time.
        is_draining: whether the edge has begun to stop.
    """

    streams: int
    leaving: int
    writing: int
    joined: Mapping[TenantId, int]
    calls: Mapping[TenantId, int]
    waiting_calls: int
    unverified_calls: int
    names: int
    interest_tenants: int
    audited_names: int
    partitions: int
    tasks: int
    is_store_away: bool
    is_draining: bool
