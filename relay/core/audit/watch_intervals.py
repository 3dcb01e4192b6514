"""The intervals in which each suite watches each user, for the audit log. (Pure.)

    wanted ──► watched ──► wanted by no stream of this suite any more ──► 5 minutes later: ended
                  ▲                          │
                  └──── wanted again ────────┘  the same interval goes on

An interval is reported twice, at its beginning and at its end, so that even a killed edge leaves a record of the
beginning. It belongs to one suite key and one user, however many streams the suite opens: a suite that loses its
connection, or moves to a new stream every hour, is still watching.

Names that a suite subscribes to together share one time and one entry. Each name costs one place in one dictionary: 21
bytes, and 73 until its beginning is reported (measured with 100 suites of 5,000 names). Adding or removing a name costs
0.4 µs.

Memory is bounded by the names that a tenant watches, and by `MOST_ENDED` ends that wait to be reported. Beyond that
the tenant's oldest end is dropped and counted. Reports are taken in portions, so that each step is short.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from relay.core.audit.events import MAX_USERS, Actor, Entry, watch_began, watched

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.core.presence import Name, TenantId

GOES_ON_FOR: Final = timedelta(minutes=5)
"""A suite that returns within this time counts as watching throughout. A client retries within seconds, and a machine
restarts within minutes."""
MOST_ENDED: Final = 100_000
"""Names of one tenant whose end waits to be reported: 250 bytes each, so 25 MB. A suite that keeps its names stays far
below: only one that drops more than 300 names a second, and does not return to them, reaches the limit."""
PORTION: Final = 2_000
"""Names examined in one step, which takes some milliseconds."""


@dataclass(slots=True)
class _Suite:
    by: Actor
    since: dict[Name, datetime] = field(default_factory=dict)
    more: dict[Name, int] = field(default_factory=dict)  # number of further streams of the suite that want it; never 0
    ended: OrderedDict[Name, datetime] = field(default_factory=OrderedDict)  # name -> time of its last release
    untold: dict[datetime, set[Name]] = field(default_factory=dict)  # beginnings not reported yet


class WatchIntervals:
    """The intervals of one edge's suites. Not on the hot path: called when names come and go, never for answers.

    The limit applies to each tenant separately: a tenant above it loses only its own intervals.
    """

    def __init__(self, goes_on_for: timedelta = GOES_ON_FOR) -> None:
        self._goes_on_for = goes_on_for
        self._suites: defaultdict[TenantId, dict[str, _Suite]] = defaultdict(dict)
        self._ended: Counter[TenantId] = Counter()  # number of the tenant's ends that wait to be reported
        self._dropped: Counter[TenantId] = Counter()

    @property
    def names(self) -> int:
        """Return the number of names held, counted once for each suite."""
        return sum(len(suite.since) for suites in self._suites.values() for suite in suites.values())

    def want(self, tenant_id: TenantId, by: Actor, names: Iterable[Name], now: datetime) -> None:
        """Note that one more stream of a suite watches these names."""
        suite = self._suites[tenant_id].get(by.id)
        if suite is None:
            suite = self._suites[tenant_id][by.id] = _Suite(by)
        began: set[Name] = set()
        since, ended = suite.since, suite.ended
        for name in names:
            if name not in since:
                since[name] = now
                began.add(name)
            elif ended and ended.pop(name, None) is not None:
                self._ended[tenant_id] -= 1
                since[name] = since.pop(name)  # with the new stream's text, so that the old one's can go
            else:
                suite.more[name] = suite.more.get(name, 0) + 1
        if began:
            suite.untold.setdefault(now, set()).update(began)

    def release(self, tenant_id: TenantId, by: Actor, names: Iterable[Name], now: datetime) -> None:
        """Note that a stream of a suite no longer watches these names."""
        suite = self._suites.get(tenant_id, {}).get(by.id)
        if suite is None:
            return
        for name in names:
            further = suite.more.pop(name, 0)
            if further > 1:
                suite.more[name] = further - 1
            elif not further and name in suite.since and name not in suite.ended:
                suite.ended[name] = now
                self._ended[tenant_id] += 1
                if self._ended[tenant_id] > MOST_ENDED:
                    self._drop_oldest(tenant_id)

    def _drop_oldest(self, tenant_id: TenantId) -> None:
        """Drop the tenant's oldest end, and its whole interval."""
        suites = [suite for suite in self._suites[tenant_id].values() if suite.ended]
        suite = min(suites, key=lambda suite: next(iter(suite.ended.values())))
        name, _ = suite.ended.popitem(last=False)
        untold = suite.untold.get(suite.since[name])
        if untold is not None:
            untold.discard(name)
            if not untold:
                del suite.untold[suite.since[name]]
        del suite.since[name]
        self._ended[tenant_id] -= 1
        self._dropped[tenant_id] += 1

    @property
    def tenants(self) -> list[TenantId]:
        """Return the tenants with intervals that may have to be reported."""
        return [
            tenant_id
            for tenant_id, suites in self._suites.items()
            if any(suite.untold or suite.ended for suite in suites.values())
        ]

    def count_dropped(self) -> dict[TenantId, int]:
        """Return tenant -> intervals dropped since the last call. The log has no entry of them, or only their beginning."""
        dropped, self._dropped = self._dropped, Counter()
        return dict(dropped)

    def end(self, now: datetime) -> None:
        """End every interval, because the edge ends. Nothing is dropped here, because nothing follows."""
        for tenant_id, suites in self._suites.items():
            for suite in suites.values():
                suite.ended |= dict.fromkeys(suite.since.keys() - suite.ended.keys(), now)
            self._ended[tenant_id] = sum(len(suite.ended) for suite in suites.values())

    def take(self, tenant_id: TenantId, now: datetime, *, goes_on: bool = True) -> list[Entry]:
        """Remove and return a portion of a tenant's entries that are to be reported; an empty list when none is left.

        One call examines `PORTION` names at most, so that the caller can let other tasks run in between. Names that
        come and go meanwhile are reported with a later portion.

        Args:
            tenant_id: the tenant.
            now: intervals that ended `goes_on_for` before it are reported.
            goes_on: whether intervals that ended since then may still continue; if not, they are reported too.
        """
        suites = self._suites.get(tenant_id, {})
        before = now - self._goes_on_for if goes_on else now
        entries: list[Entry] = []
        left = PORTION
        for suite in suites.values():
            began, left = _taken_beginnings(suite, left)
            over, left = _taken_ends(suite, before, left)
            entries += began
            for (since, until), names in over.items():
                self._ended[tenant_id] -= len(names)
                entries += [watched(suite.by, some, since, until) for some in _portions(names)]
            if left <= 0:
                break
        for key_id in [key_id for key_id, suite in suites.items() if not suite.since]:
            del suites[key_id]
        if not suites:
            self._suites.pop(tenant_id, None)
            self._ended.pop(tenant_id, None)
        return entries


def _taken_beginnings(suite: _Suite, most: int) -> tuple[list[Entry], int]:
    """Return up to `most` beginnings of a suite, and the rest of `most`."""
    entries = []
    while suite.untold and most > 0:
        since = next(iter(suite.untold))
        names = suite.untold[since]
        some = list(suite.untold.pop(since)) if len(names) <= most else [names.pop() for _ in range(most)]
        most -= len(some)
        entries += [watch_began(suite.by, portion, since) for portion in _portions(some)]
    return entries, most


def _taken_ends(suite: _Suite, before: datetime, most: int) -> tuple[dict[tuple[datetime, datetime], list[Name]], int]:
    """Return up to `most` names whose intervals ended by `before`, by beginning and end, and the rest of `most`."""
    over: defaultdict[tuple[datetime, datetime], list[Name]] = defaultdict(list)
    for name, until in islice(suite.ended.items(), max(0, most)):
        if until > before:
            break  # the others ended later
        over[suite.since[name], until].append(name)
        most -= 1
    for names in over.values():
        for name in names:
            del suite.since[name], suite.ended[name]
    return over, most


def _portions(names: Iterable[Name]) -> Iterable[list[Name]]:
    ordered = list(names)  # an entry sorts its own
    return (ordered[start : start + MAX_USERS] for start in range(0, len(ordered), MAX_USERS))
