"""The state of an endpoint, from its answers: normal, slow or drop, for all URLs of a host together.

If more than a tenth of the answers in ten minutes are slow, new notifications are delayed by ten minutes. If more than 15 % are
slower still, new notifications are dropped, for ten minutes at a time. At least a hundred answers are needed for either.
https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#throttling
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

State = Literal["normal", "slow", "drop"]

WINDOW_S: Final = 600.0
SLOW_SHARE: Final = 0.10
DROP_SHARE: Final = 0.15


class Score:
    """The answers of one host; `now_s` is the world's time."""

    def __init__(self) -> None:
        self._answers: deque[tuple[float, bool, bool]] = deque()
        self._slow = self._very_slow = 0
        self._state: State = "normal"
        self._until_s = 0.0

    def note(self, now_s: float, *, slow: bool, very_slow: bool, least: int) -> None:
        """Count an answer; `least` is the number of answers needed for a judgement, 0: never judged."""
        self._answers.append((now_s, slow, very_slow))
        self._slow += slow
        self._very_slow += very_slow
        self._forget(now_s)
        if self._state == "normal":
            self._judge(now_s, least)

    def state(self, now_s: float, least: int) -> State:
        """Return the current state. A state lasts for ten minutes and is then judged again."""
        if self._state != "normal" and now_s >= self._until_s:
            self._judge(now_s, least)
        return self._state if least else "normal"

    def _judge(self, now_s: float, least: int) -> None:
        self._forget(now_s)
        self._state, self._until_s = "normal", now_s + WINDOW_S
        count = len(self._answers)
        if not least or count < least:
            return
        if self._very_slow > DROP_SHARE * count:
            self._state = "drop"
        elif self._slow > SLOW_SHARE * count:
            self._state = "slow"

    def _forget(self, now_s: float) -> None:
        while self._answers and self._answers[0][0] <= now_s - WINDOW_S:
            _, slow, very_slow = self._answers.popleft()
            self._slow -= slow
            self._very_slow -= very_slow
