"""The ages of changes: the presence that suites were shown, compared with the truth. Pure; all times are seconds of one clock."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bench import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Sighting(NamedTuple):
    """A user is seen in this state from this instant on."""

    at: float
    user: str
    state: tuple[str, str]
    """Availability and activity, in Microsoft's words."""


@dataclass(slots=True)
class Ages:
    """The ages of changes at the moment that suites saw them.

    Attributes:
        seen: seconds of each change that was shown before the next one of the same user.
        unseen: how many were over before they were shown.
        waiting: seconds for which the last change of a user has not been shown when the record ends.
    """

    seen: list[float] = field(default_factory=list)
    unseen: int = 0
    waiting: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The age that `share` of those that were seen do not exceed."""
        return report.quantile(self.seen, share)

    @property
    def longest(self) -> float:
        """For how long a change went unseen at most, of those that lasted."""
        return max([*self.seen, *self.waiting], default=0.0)


def ages(changes: Iterable[Sighting], shown: Iterable[Sighting], until: float) -> Ages:
    """Return how soon each change was shown.

    Args:
        changes: what was so, in order, of users who are watched.
        shown: what a suite was shown, in order, also before the first change.
        until: the end of the record.
    """
    showings = _by_user(shown)
    found = Ages()
    for user, steps in _by_user(changes).items():
        mine = showings.get(user, [])
        times = [each.at for each in mine]
        for index, change in enumerate(steps):
            over = steps[index + 1].at if index + 1 < len(steps) else until
            first = bisect_left(times, change.at)
            if first and mine[first - 1].state == change.state:
                continue  # what came between was never shown, so nothing is to be seen
            when = next((each.at for each in mine[first:] if each.state == change.state), over)
            if when < over:
                found.seen.append(when - change.at)
            elif index + 1 < len(steps):
                found.unseen += 1
            else:
                found.waiting.append(until - change.at)
    return found


def round_robin(changes: Iterable[Sighting], users: Sequence[str], page: int, every_s: float, until: float) -> Ages:
    """Return how soon changes would be seen by evenly spread reads in a circle that take no time at all.

    Args:
        changes: what was so, in order.
        users: who is read.
        page: how many in a read.
        every_s: between two reads of one user.
        until: the end of the record.
    """
    pages = -(-len(users) // page)
    phase = {user: (number // page) * every_s / pages for number, user in enumerate(users)}
    found = Ages()
    for user, steps in _by_user(changes).items():
        held: tuple[str, str] | None = None
        for index, change in enumerate(steps):
            over = steps[index + 1].at if index + 1 < len(steps) else until
            read = change.at + (phase[user] - change.at) % every_s
            if change.state == held:
                continue
            if read < over:
                held = change.state
                found.seen.append(read - change.at)
            elif index + 1 < len(steps):
                found.unseen += 1
            else:
                found.waiting.append(until - change.at)
    return found


def _by_user(sightings: Iterable[Sighting]) -> dict[str, list[Sighting]]:
    found: dict[str, list[Sighting]] = defaultdict(list)
    for each in sightings:
        found[each.user].append(each)
    return found
