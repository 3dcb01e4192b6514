"""The ages of changes: the presence shown to suites, compared with the real one. Pure; all times are seconds of one clock."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bench import report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Sighting(NamedTuple):
    """A user's state from this instant on."""

    at: float
    user: str
    state: tuple[str, str]
    """Availability and activity, in Microsoft's spelling."""


@dataclass(slots=True)
class Ages:
    """The ages of changes at the moment when suites received them.

    Attributes:
        seen: age in seconds of each change that was shown before the next one of the same user.
        unseen: number of changes that ended before they were shown.
        waiting: ages in seconds of users' last changes that were not shown by the end of the record.
    """

    seen: list[float] = field(default_factory=list)
    unseen: int = 0
    waiting: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Return the age that `share` of the seen changes do not exceed."""
        return report.quantile(self.seen, share)

    @property
    def longest(self) -> float:
        """The longest time that a lasting change was not shown, in seconds."""
        return max([*self.seen, *self.waiting], default=0.0)


def ages(changes: Iterable[Sighting], shown: Iterable[Sighting], until: float) -> Ages:
    """Return the age of each change when it was shown.

    Args:
        changes: the real states of watched users, in order.
        shown: the states shown to a suite, in order, also before the first change.
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
                continue  # the states in between were never shown, so there is no visible change
            when = next((each.at for each in mine[first:] if each.state == change.state), over)
            if when < over:
                found.seen.append(when - change.at)
            elif index + 1 < len(steps):
                found.unseen += 1
            else:
                found.waiting.append(until - change.at)
    return found


def round_robin(changes: Iterable[Sighting], users: Sequence[str], page: int, every_s: float, until: float) -> Ages:
    """Return the ages of changes with evenly spread round-robin reads that take no time.

    Args:
        changes: the real states, in order.
        users: the users to read.
        page: number of users in a read.
        every_s: seconds between two reads of one user.
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
