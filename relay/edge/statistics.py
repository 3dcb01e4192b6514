"""An edge at one moment, as one value for the owner of an `EdgeServer`."""

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
        writing: streams with a write under way: of a suite that does not read, it stays so.
        joined: tenant id -> its streams that get entries.
        calls: tenant id -> its calls that have a place.
        waiting_calls: calls that wait for their start, which may name a place that they can take.
        unverified_calls: calls whose suite key is not verified, or was found wrong.
        names: watched names, each once a tenant.
        interest_tenants: tenants of which the store has names, or is to have them changed.
        audited_names: names that the audit of watches holds, each once a suite.
        partitions: partitions that are read.
        tasks: short tasks under way.
        is_store_away: whether the store did not answer last.
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
