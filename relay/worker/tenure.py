"""The deadline until which a worker may act for a partition, by its own monotonic clock.

                 the store's clock
    asked ─────► lease set ──────────────────────────────────────► lease expires, another worker may begin
    │            ▲ some time later                                ▲
    └──────────────────── lease less margin ────────────────► deadline
                 the worker's clock

A worker that is cut off, or was stopped for a while, cannot learn that its lease is lost. But a lease lasts at least
for the requested time, counted from the request. So a worker that stops a margin before that never acts at the same
time as its successor. Redis refuses late writes in any case; Microsoft does not know leases, so this deadline is the
only protection there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.errors import LeaseLost
from relay.ops.clock import SYSTEM, Clock

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.store.presence.leases import Lease


class Tenure:
    """One ownership of a partition, as its worker knows it. `demand` may be called from any thread.

    Attributes:
        lease: the lease for writes; `Ownership.fence` replaces it.
        successor: nonce of the lease that may already be in force instead of ours.
        until: the deadline, by the monotonic clock. Each confirmation moves it.
        has_ended: whether the work is being stopped, or has been stopped.
    """

    def __init__(self, lease: Lease, asked_at: float, span: timedelta, clock: Clock = SYSTEM) -> None:
        """Begin a tenure.

        Args:
            lease: a lease in force.
            asked_at: time just before the lease was requested, by the monotonic clock.
            span: time that a confirmation is valid, counted from its request: the lease less the margin.
            clock: clock of this worker.
        """
        self.lease = lease
        self.successor: str | None = None
        self._clock = clock
        self._span_s = span.total_seconds()
        self.until = asked_at + self._span_s
        self.has_ended = False

    @property
    def is_live(self) -> bool:
        """True if the worker may act for the partition."""
        return not self.has_ended and self._clock.monotonic() < self.until

    def prove(self, asked_at: float) -> None:
        """Note that the store confirmed the lease, in answer to a request at `asked_at`. An ended tenure stays ended."""
        self.until = max(self.until, asked_at + self._span_s)

    def end(self) -> None:
        """End the tenure; later confirmations do not revive it."""
        self.has_ended = True

    def demand(self) -> None:
        """Return if the worker may act for the partition.

        Raises:
            LeaseLost: it may not, because another worker may have the lease.
        """
        if not self.is_live:
            raise LeaseLost("The lease was not confirmed in time")

    def is_over(self, lease: Lease) -> bool:
        """Return whether LEASELOST for this lease means a lost partition, and not that another lease of ours replaced it."""
        return not self.is_live or (lease == self.lease and self.successor is None)
