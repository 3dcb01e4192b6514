"""Pages of users who are read together, the reads that the plan returns, and the pages of a handover."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from relay.core.presence import UserId

STUBBORN: Final = 2
"""Failures in a row after which one of the users may be the cause."""


@dataclass(slots=True, eq=False)
class PollPage:
    """Users who are read together.

    Attributes:
        users: in the order in which they were added.
        due: time of the next read.
        confirmed: time since which Graph has confirmed all answers of the page; None before Graph answered for any
            user.
        since: time at which the page was made or Graph last answered for it, stored or not. Its users are overdue three
            intervals after that at the earliest.
        covered: whether these users are read less often, because their changes are announced.
        reading: whether a read of this page is under way.
        again: whether to read it again immediately after that.
        failures: number of reads in a row that Graph did not answer.
        is_part: whether it was split off from a page whose other users were answered.
    """

    users: dict[UserId, None]
    due: float
    confirmed: float | None
    since: float
    covered: bool = False
    reading: bool = False
    again: bool = False
    failures: int = 0
    is_part: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRead:
    """A bulk read to be made: of a page that is due, or (page None) of users who need an answer at once."""

    users: tuple[UserId, ...]
    page: PollPage | None
    started: float = field(default=0.0)
    failures: int = 0
    """Number of reads in a row in which Graph did not answer for all of these users."""

    @property
    def is_stubborn(self) -> bool:
        """True if one of the users may be the cause of the failures."""
        return self.failures >= STUBBORN


@dataclass(frozen=True, slots=True)
class ReadPage:
    """A page in a handover: users who were read together, and the time of their next read.

    Attributes:
        users: the users of the page without work under way.
        covered: whether they are read less often, because their changes are announced.
        confirmed: time since which Graph has confirmed all their answers, in seconds of one clock.
        due: time of the next read, by the same clock.
    """

    users: tuple[UserId, ...]
    covered: bool
    confirmed: float
    due: float

    def without(self, users: Collection[UserId]) -> ReadPage:
        """Return the same page without these users."""
        return replace(self, users=tuple(user for user in self.users if user not in users))

    def moved(self, by_s: float) -> ReadPage:
        """Return the same page by another clock, which is ahead by `by_s` seconds."""
        return replace(self, confirmed=self.confirmed + by_s, due=self.due + by_s)
