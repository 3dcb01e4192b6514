"""The cost of a partition, and the metrics of a worker's share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from relay.core.shares import Share, shares
from relay.worker import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.core.shares import ShareTable
    from relay.ops.instruments import Gauge, Read

_SMOOTHED_S: Final = 60.0
"""Time after which a burst of notifications counts for a third, so that one burst moves no partition."""


class NotificationRate:
    """Notifications a minute, smoothed over about a minute."""

    def __init__(self, per_minute: float, now: float) -> None:
        """Begin with the rate that an earlier owner counted; `now` by the monotonic clock."""
        self._recent = per_minute
        self._at = now

    def count(self, notifications: int) -> None:
        """Count notifications that arrived."""
        self._recent += notifications

    def per_minute(self, now: float) -> int:
        """Return the rate at present."""
        self._recent *= math.exp(-(now - self._at) / _SMOOTHED_S)
        self._at = now
        return round(self._recent)


class ShareReadings:
    """The share of one worker, for scrapes."""

    def __init__(self, worker_id: str, table: Callable[[], ShareTable]) -> None:
        """Make the readings.

        Args:
            worker_id: name of the worker.
            table: returns the table that the worker read last.
        """
        self._worker_id = worker_id
        self._table = table

    def readers(self) -> dict[Gauge, Read]:
        """Return instrument -> its reader."""
        return {
            metrics.PARTITIONS: lambda: self._share.partitions,
            metrics.COST: lambda: self._share.cost,
            metrics.SHARE: lambda: self._share.of_mean,
            metrics.WORKERS: lambda: len(self._table().workers),
        }

    @property
    def _share(self) -> Share:
        return shares(self._table()).get(self._worker_id, Share(0, 0, 0.0))
