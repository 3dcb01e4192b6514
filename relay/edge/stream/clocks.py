"""The deadlines of one stream: progress reports, leaving, blocked writes, age. (Pure: times are passed in.)

opened ──► started, by `begin_within` ──► an age of `max_stream_age` ──► asked to leave ──► ended
                   │                                                        ▲
                   └──► a progress report after each `progress_interval`    └── the process stops
"""

from __future__ import annotations

import enum
import math
import random
from typing import TYPE_CHECKING, Final

from presence_api.v1 import presence_service_pb2 as pb

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.edge.settings import EdgeSettings

DrainReason = pb.WatchPresenceResponse.Drain.Reason

LEAST_DRAIN_S: Final = 0.25
"""Shortest time between asking a suite to leave and ending its stream, so that the request is sent even on a busy stream."""
_BEAT_S: Final = 5.0
"""Longest time between two checks of the clocks; a blocked write is detected at most that much later."""


class Due(enum.Enum):
    """The action of a stream that is due."""

    NOTHING = enum.auto()
    END_SHUTDOWN = enum.auto()
    END_REBALANCED = enum.auto()
    END_BLOCKED = enum.auto()
    END_NOT_BEGUN = enum.auto()
    LEAVE_SHUTDOWN = enum.auto()
    LEAVE_REBALANCE = enum.auto()


class Clocks:
    """The deadlines of one stream, in seconds of one monotonic clock; unset ones are infinite.

    Attributes:
        interval: between two progress reports.
        progress_at: the next progress report.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self.interval = settings.progress_default
        self.progress_at = math.inf
        self._settings = settings
        self._blocked_s = settings.blocked_write.total_seconds()
        self._age_at = self._snapshot_by = self._leave_at = math.inf
        self._shutdown_at = self._shutdown_by = math.inf
        self._drain_reason: DrainReason.ValueType | None = None

    @property
    def is_leaving(self) -> bool:
        """Return whether the suite was asked to leave."""
        return self._drain_reason is not None

    def begin(self, now: float, interval: timedelta | None) -> None:
        """Start the clocks of a stream whose start was processed, with the progress interval that its suite requests."""
        self.interval = interval or self._settings.progress_default
        # A suite that is asked to leave must not reuse the same connection, which takes no new streams by then.
        age_s = max(self._settings.max_stream_age, 2 * self._settings.connection_age).total_seconds()
        self._age_at = now + age_s * _about()
        self._snapshot_by = now + self._settings.begin_within.total_seconds()
        self.wrote(now)

    def wrote(self, now: float) -> None:
        """Postpone the next progress report, because a response was written."""
        self.progress_at = now + self.interval.total_seconds() * _about()

    def shut_down(self, *, after: float, leave_by: float) -> None:
        """Ask the suite to leave this process: not before `after`, and by `leave_by` if that leaves any time."""
        self._shutdown_at, self._shutdown_by = after, leave_by

    def leave(self, now: float, due: Due) -> tuple[float, DrainReason.ValueType] | None:
        """Return the seconds that the suite has to leave, and the reason; None when it was asked before."""
        if self._drain_reason is not None:
            return None
        is_shutdown = due is Due.LEAVE_SHUTDOWN
        within_s = self._shutdown_by - now if is_shutdown else self._settings.drain_delay.total_seconds()
        delay_s = random.uniform(LEAST_DRAIN_S, max(LEAST_DRAIN_S, within_s))  # noqa: S311 spreading, not secrecy
        self._drain_reason = DrainReason.REASON_SHUTDOWN if is_shutdown else DrainReason.REASON_REBALANCE
        self._leave_at = now + delay_s
        return delay_s, self._drain_reason

    def due(self, now: float, *, has_started: bool, writing_since: float) -> Due:
        """Return the first action that is due now.

        Args:
            now: the present.
            has_started: whether the `started` response was sent.
            writing_since: when the write under way began; 0 without one.
        """
        if now >= self._leave_at:
            return Due.END_SHUTDOWN if self._drain_reason == DrainReason.REASON_SHUTDOWN else Due.END_REBALANCED
        if writing_since and now - writing_since > self._blocked_s:
            return Due.END_BLOCKED
        if not has_started and now >= self._snapshot_by:
            return Due.END_NOT_BEGUN
        if now >= self._shutdown_at:
            return Due.LEAVE_SHUTDOWN
        return Due.LEAVE_REBALANCE if now >= self._age_at else Due.NOTHING

    def next_after(self, now: float) -> float:
        """Return the time of the next check: the next deadline, or earlier to detect a blocked write."""
        beat_s = min(_BEAT_S, self.interval.total_seconds(), self._blocked_s / 4)
        times = (self.progress_at, self._leave_at, self._age_at, self._shutdown_at, self._snapshot_by)
        return min([now + beat_s, *(at for at in times if at > now)])


def _about() -> float:
    """Return a factor near 1, so that streams do not move together."""
    return random.uniform(0.9, 1.1)  # noqa: S311 spreading, not secrecy
