"""The deadline until which a worker may act for a partition, by its own monotonic clock.

                 the store's clock
    asked ─────► lease set ──────────────────────────────────────► lease expires, another worker may begin
    │            ▲ some time later                                ▲
    └──────────────────── lease less margin ────────────────► deadline
                 the worker's clock

A worker that is cut off, or was stopped for a while, cannot learn that its lease is lost. But a lease lives at least as long as it was
asked for, counted from the request; so a worker that stops a margin before then never acts beside its successor. Redis
refuses late writes whatever the worker believes; Microsoft knows no leases, so this deadline is the only protection there.
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
        lease: the one to show; `OwnedPartition.fence` puts another in its place.
        successor: nonce of the lease that may be in force already in the place of ours.
        until: the deadline, by the monotonic clock. It moves with each proof.
        has_ended: what is under way is being stopped, or has been.
    """

    def __init__(self, lease: Lease, asked_at: float, span: timedelta, clock: Clock = SYSTEM) -> None:
        """Begin.

        Args:
            lease: in force.
            asked_at: when it was asked for, by the monotonic clock: before the request left.
            span: how long after a proof was asked for it holds: the lease less the margin.
            clock: of this worker.
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
        """The store has confirmed the lease, which was asked of it at `asked_at`. An ended tenure stays ended."""
        self.until = max(self.until, asked_at + self._span_s)

    def end(self) -> None:
        """Act no more, whatever comes."""
        self.has_ended = True

    def demand(self) -> None:
        """Return if the worker may act for the partition.

        Raises:
            LeaseLost: it may not: the lease may be another's by now.
        """
        if not self.is_live:
            raise LeaseLost("The lease was not confirmed in time")

    def is_over(self, lease: Lease) -> bool:
        """Return whether LEASELOST under this lease says that the partition is lost, and not that another lease replaced it."""
        return not self.is_live or (lease == self.lease and self.successor is None)
