"""Compares polls with notifications to judge whether a subscription announces changes.

Graph does not report that it has stopped announcing presence, so users covered by a subscription are still polled, more
slowly. A change that a poll found counts as announced when a notification of the user comes within two minutes: Graph
takes one minute at most (https://learn.microsoft.com/graph/change-notifications-overview), and retries take longer. It
also counts when a notification came within the two minutes before, because Graph's notifications and its answers to
reads may differ for a moment.

silent  at least three changes of at least two users were not announced, and nothing was announced since the first of
        them: the subscription is dead, although Graph still lists it.
lossy   a share of the changes is never announced: users are polled more often, and the subscription is kept.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from relay.core.presence import UserId

ANNOUNCED_WITHIN: Final = timedelta(minutes=2)
SILENT_CHANGES: Final = 3
SILENT_USERS: Final = 2
"""A single user without notifications may be one that Graph cannot announce, such as a guest."""
ACCEPTABLE_LOSS: Final = 0.05
"""Share of changes that may go unannounced at the usual reconcile interval. It delays the average change by a twentieth
of a minute, which is less than a notification usually takes."""
_HALF_LIFE_S: Final = 900.0
_ENOUGH: Final = 10.0
"""Fewer changes in the last quarter of an hour are too few to compute a share."""


class Watchdog:
    """Watches one subscription. (Pure: every method takes `now`, in seconds of one monotonic clock.)

    It keeps the changes of two minutes, and a time for each user of the subscription.
    """

    def __init__(self, announced_within_s: float = ANNOUNCED_WITHIN.total_seconds()) -> None:
        """Watch a subscription that begins now.

        Args:
            announced_within_s: longest time that a notification may take.
        """
        self._within_s = announced_within_s
        self._waiting: deque[tuple[float, UserId]] = deque()
        self._announced: dict[UserId, float] = {}
        self._heard = -math.inf  # time of the last announcement; changes found earlier do not count
        self._silent_changes = 0
        self._silent_users: set[UserId] = set()
        self._good = _Decaying()
        self._lost = _Decaying()
        self.judged = {True: 0, False: 0}
        """Number of changes so far: announced or not -> count."""

    def found(self, users: Iterable[UserId], now: float) -> None:
        """Note that a poll found changes of these users that were not announced yet."""
        self._waiting.extend((now, user) for user in users)

    def announced(self, users: Iterable[UserId], now: float) -> None:
        """Note that notifications of these users arrived."""
        self._judge(now)
        self._announced.update(dict.fromkeys(users, now))
        self._heard = now
        self._silent_changes = 0
        self._silent_users.clear()

    def confirmed(self, changes: int, now: float) -> None:
        """Note a number of changes that became known through notifications."""
        self._good.add(changes, now)
        self.judged[True] += changes

    def is_silent(self, now: float) -> bool:
        """Return whether the subscription has stopped announcing."""
        self._judge(now)
        return self._silent_changes >= SILENT_CHANGES and len(self._silent_users) >= SILENT_USERS

    def loss(self, now: float) -> float:
        """Return the share of the latest changes that were not announced, 0 to 1; 0 while there are too few changes."""
        self._judge(now)
        good, lost = self._good.value(now), self._lost.value(now)
        return lost / (good + lost) if good + lost >= _ENOUGH else 0.0

    def _judge(self, now: float) -> None:
        """Judge the changes whose two minutes are over."""
        while self._waiting and self._waiting[0][0] + self._within_s <= now:
            found, user = self._waiting.popleft()
            is_announced = self._announced.get(user, -math.inf) >= found - self._within_s
            self.judged[is_announced] += 1
            if is_announced:
                self._good.add(1, now)
                continue
            self._lost.add(1, now)
            if found > self._heard:
                self._silent_changes += 1
                self._silent_users.add(user)


def reconcile_after(loss: float, usual_s: float, least_s: float) -> float:
    """Return seconds between two polls of a covered user, shortened so that the average delay is that of `ACCEPTABLE_LOSS`."""
    return max(least_s, usual_s * min(1.0, ACCEPTABLE_LOSS / loss)) if loss > 0 else usual_s


class _Decaying:
    """A count that halves every quarter of an hour."""

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value = 0.0
        self._at = 0.0

    def add(self, count: float, now: float) -> None:
        self._value = self.value(now) + count
        self._at = now

    def value(self, now: float) -> float:
        return self._value * math.pow(0.5, max(0.0, now - self._at) / _HALF_LIFE_S)
