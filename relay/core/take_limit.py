"""Limits the partitions that a worker may own after it was too slow to keep its leases. (Pure.)

A worker that is short of CPU renews too late, and loses everything it owns. Taking all of it back costs more CPU than
owning it, so the worker would be late again and again. It takes back half instead, and doubles that each time it has
kept its leases.

    64 owned ── too late ──► at most 32 ── too late ──► at most 16 ── kept ──► at most 32 ── kept ──► no limit
"""

from __future__ import annotations

from typing import Final

_ONE_LOSS: Final = 0.5
"""The part of a lease within which losses count as one: leases at different Redis nodes end one after the other."""


class TakeLimit:
    """The limit of one worker. Times are in seconds of the worker's monotonic clock.

    Attributes:
        most: number of partitions that the worker may own.
    """

    def __init__(self, partitions: int, lease_s: float) -> None:
        """Begin without a limit.

        Args:
            partitions: number of partitions.
            lease_s: time after which a lease that is not renewed ends.
        """
        self.most = partitions
        self._partitions = partitions
        self._lease_s = lease_s
        self._changed_at = float("-inf")

    @property
    def is_in_force(self) -> bool:
        """Return whether the worker may not own all partitions."""
        return self.most < self._partitions

    def lost(self, owned: int, now: float) -> bool:
        """Halve the limit, because leases were not renewed in time; return False if this loss belongs to the previous one.

        Args:
            owned: number of partitions that the worker had.
            now: the present.
        """
        if now - self._changed_at < _ONE_LOSS * self._lease_s:
            return False
        self.most = max(1, min(self.most, owned) // 2)
        self._changed_at = now
        return True

    def kept(self, now: float, *, is_settled: bool) -> None:
        """Double the limit if the worker has kept the partitions that it took under it.

        Args:
            now: the present.
            is_settled: whether all owned partitions have been read again. If not, a whole lease without a loss is
                proof.
        """
        if self.is_in_force and (is_settled or now - self._changed_at >= self._lease_s):
            self.most = min(self._partitions, 2 * self.most)
            self._changed_at = now
