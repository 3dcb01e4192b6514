"""The election of a primary from the answers of several sentinels. (Pure.)"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class SentinelAnswer:
    """The primary that one sentinel reports, and the epoch of its configuration."""

    host: str
    port: int
    epoch: int

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


@dataclass(frozen=True, slots=True)
class SentinelView:
    """The view of one sentinel: an answer, or the reason why there is none."""

    sentinel: str
    answer: SentinelAnswer | None = None
    fault: str = ""
    quorum: int = 0
    others: int = 0
    """Other sentinels that it knows of."""
    replicas: int = 0
    is_down: bool = False
    """True if the sentinel does not reach the primary."""
    fails_over: bool = False
    """True if the sentinel is about to put a replica in the primary's place."""


def elect(
    answers: Sequence[SentinelAnswer], sentinels: int, believed: SentinelAnswer | None = None
) -> SentinelAnswer | None:
    """Return the answer that is in force; None when there is none. (Pure.)

    The highest epoch wins, then the most frequent answer. A configuration older than the one in force counts only if
    most of all sentinels report it, as after a new setup: a single paused sentinel must not bring a former primary
    back.

    Args:
        answers: one for each sentinel that answered.
        sentinels: number of sentinels in the query.
        believed: the answer that was in force until now.
    """
    if not answers:
        return None
    votes = Counter(answer.place for answer in answers)
    best = max(answers, key=lambda answer: (answer.epoch, votes[answer.place], answer == believed, answer.place))
    if believed is not None and best.epoch < believed.epoch and votes[best.place] * 2 <= sentinels:
        return None
    return best


def is_settled_at(views: Sequence[SentinelView], place: tuple[str, int]) -> bool:
    """Return whether most sentinels answer, they elect this server, and none of them is failing over. (Pure.)"""
    answers = [view.answer for view in views if view.answer is not None]
    found = elect(answers, len(views))
    return (
        found is not None
        and found.place == place
        and len(answers) * 2 > len(views)
        and not any(view.fails_over for view in views)
    )
