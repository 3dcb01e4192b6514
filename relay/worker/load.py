"""The cost of a partition in plain numbers, and the metrics of a worker's share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics

from relay.core.shares import Share, shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.core.shares import ShareTable

_SMOOTHED_S: Final = 60.0
"""Time after which a burst of notifications counts a third: a partition does not move because of one."""


class NotificationRate:
    """Notifications a minute, smoothed over about a minute."""

    def __init__(self, per_minute: float, now: float) -> None:
        """Begin with the rate that an earlier owner counted; `now` by the monotonic clock."""
        self._recent = per_minute
        self._at = now

    def count(self, notifications: int) -> None:
        """Count notifications that came."""
        self._recent += notifications

    def per_minute(self, now: float) -> int:
        """Return the rate at present."""
        self._recent *= math.exp(-(now - self._at) / _SMOOTHED_S)
        self._at = now
        return round(self._recent)


class ShareMetrics:
    """The share of one worker, read at each scrape, and its moves, counted in plain integers."""

    def __init__(self, worker_id: str, table: Callable[[], ShareTable]) -> None:
        """Register the metrics.

        Args:
            worker_id: name of the worker.
            table: returns the table as the worker knows it.
        """
        self.taken = self.given = 0
        self._worker_id = worker_id
        self._table = table
        meter = metrics.get_meter("relay.worker")
        gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
        gauge("relay.worker.partitions", [self._of(lambda one: one.partitions)], description="Partitions owned")
        gauge("relay.worker.watched_users", [self._of(lambda one: one.users)], description="Users of those partitions")
        gauge(
            "relay.worker.share",
            [self._of(lambda one: one.of_mean)],
            description="Cost of its partitions in proportion to the mean of all live workers",
        )
        gauge("relay.worker.workers", [self._live], description="Workers that live, as this one knows")
        counter("relay.worker.moves", [self._moves], description="Partitions taken and handed over")

    def _of(self, read: Callable[[Share], float]) -> Any:
        return lambda _options: [
            metrics.Observation(read(shares(self._table()).get(self._worker_id, Share(0, 0, 0.0))))
        ]

    def _live(self, _options: metrics.CallbackOptions) -> list[metrics.Observation]:
        return [metrics.Observation(len(self._table().workers))]

    def _moves(self, _options: metrics.CallbackOptions) -> list[metrics.Observation]:
        return [
            metrics.Observation(self.taken, {"partitions": "taken"}),
            metrics.Observation(self.given, {"partitions": "handed_over"}),
        ]
