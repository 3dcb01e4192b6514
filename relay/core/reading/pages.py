"""The pages of users who are read together, the reads that the plan returns, and pages as they are handed over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from relay.core.presence import UserId

STUBBORN: Final = 2
"""Failures in a row after which the reason may be one of the users."""


@dataclass(slots=True, eq=False)
class PollPage:
    """Users who are read together.

    Attributes:
        users: in the order in which they came.
        due: when to read them next.
        confirmed: since when all that is held of them is confirmed by Graph; None before it answered for any of them.
        since: when the page was made, or Graph answered for it last, whether or not that could be stored: its users are not overdue
            before three intervals from then.
        covered: whether these users are read seldom, because their changes are announced.
        reading: whether a read of this page is under way.
        again: whether to read it once more at once after that.
        failures: how often in a row Graph did not answer.
        is_part: whether it was parted from another page, whose other users were answered.
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
    """How often in a row Graph did not answer for these users, or some of them."""

    @property
    def is_stubborn(self) -> bool:
        """True if one of the users may be the reason."""
        return self.failures >= STUBBORN


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Some users who were read together, and when they are read next.

    Attributes:
        users: everybody in it of whom all is settled.
        covered: whether they are read seldom, because their changes are announced.
        confirmed: since when all that is held of them is confirmed by Graph, in seconds of one clock.
        due: when to read them next, by the same clock.
    """

    users: tuple[UserId, ...]
    covered: bool
    confirmed: float
    due: float

    def without(self, users: Collection[UserId]) -> ReadPage:
        """Return the same page without these users."""
        return replace(self, users=tuple(user for user in self.users if user not in users))

    def moved(self, by_s: float) -> ReadPage:
        """Return the same page by another clock, which is ahead by so many seconds."""
        return replace(self, confirmed=self.confirmed + by_s, due=self.due + by_s)
