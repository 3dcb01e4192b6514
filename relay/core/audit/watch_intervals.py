"""The intervals in which each suite watches each user, for the audit log. (Pure.)

    wanted ──► watched ──► wanted by no stream of this suite any more ──► 5 minutes later: ended
                  ▲                          │
                  └──── wanted again ────────┘  the same interval goes on

An interval is reported twice, at its beginning and at its end, so that an edge that is killed leaves a beginning without an end
and never nothing. It belongs to one suite key and one user, however many streams the suite opens: a suite that loses its
connection, or moves to a new stream every hour, is still watching.

Names that a suite asks for together share one time and one entry. Each name costs one place in one dictionary: 21 bytes, and 73
until its beginning is reported (measured with 100 suites of 5,000 names). Adding or removing a name costs 0.4 µs.

Memory is bounded when something is added: by what a tenant watches, and by `MOST_ENDED` ends that wait to be reported. Beyond that
the tenant's oldest end is dropped and counted. Reports are taken in portions, so that no step is long.
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
"""A suite that is back within this was never away. Clients try again within seconds, and a machine that restarts needs minutes."""
MOST_ENDED: Final = 100_000
"""Names of one tenant whose end waits to be told: 250 bytes each, so 25 MB. A suite that keeps its names is far below: it takes
more than 300 names a second, given up for good, to get there."""
PORTION: Final = 2_000
"""Names looked at in one step, some milliseconds."""


@dataclass(slots=True)
class _Suite:
    by: Actor
    since: dict[Name, datetime] = field(default_factory=dict)
    more: dict[Name, int] = field(default_factory=dict)  # how many further streams of the suite want it; never 0
    ended: OrderedDict[Name, datetime] = field(default_factory=OrderedDict)  # when the last stream let go, oldest first
    untold: dict[datetime, set[Name]] = field(default_factory=dict)  # beginnings


class WatchIntervals:
    """The spans of one edge's suites. Not the hot path: called when names come and go, never when answers do.

    Tenants are apart: one that has too much loses its own alone.
    """

    def __init__(self, goes_on_for: timedelta = GOES_ON_FOR) -> None:
        self._goes_on_for = goes_on_for
        self._suites: defaultdict[TenantId, dict[str, _Suite]] = defaultdict(dict)
        self._ended: Counter[TenantId] = Counter()  # how many ends of the tenant's suites wait to be told
        self._dropped: Counter[TenantId] = Counter()

    @property
    def names(self) -> int:
        """Return how many names are held, each once a suite."""
        return sum(len(suite.since) for suites in self._suites.values() for suite in suites.values())

    def want(self, tenant_id: TenantId, by: Actor, names: Iterable[Name], now: datetime) -> None:
        """One more stream of a suite watches these names."""
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
        """A stream of a suite watches these names no longer."""
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
        """Drop the tenant's oldest end, and the whole span with it."""
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
        """Tenants with intervals that may have to be reported."""
        return [
            tenant_id
            for tenant_id, suites in self._suites.items()
            if any(suite.untold or suite.ended for suite in suites.values())
        ]

    def count_dropped(self) -> dict[TenantId, int]:
        """Tenant -> spans that were dropped since this was asked for last: they were in no entry, or with their beginning only."""
        dropped, self._dropped = self._dropped, Counter()
        return dict(dropped)

    def end(self, now: datetime) -> None:
        """The edge ends, and every span with it: here nothing is dropped, because nothing comes after."""
        for tenant_id, suites in self._suites.items():
            for suite in suites.values():
                suite.ended |= dict.fromkeys(suite.since.keys() - suite.ended.keys(), now)
            self._ended[tenant_id] = sum(len(suite.ended) for suite in suites.values())

    def take(self, tenant_id: TenantId, now: datetime, *, goes_on: bool = True) -> list[Entry]:
        """Remove and return a portion of what is to be told of a tenant; nothing when all has been told.

        It looks at `PORTION` names at most, so that the caller can let other tasks run in between. Names that come and go meanwhile are
        reported with a later portion.

        Args:
            tenant_id: whose.
            now: spans that ended `goes_on_for` before it are told.
            goes_on: whether those that ended since may still go on; else they are told too.
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
    """Up to `most` beginnings of a suite, and how many more would have been allowed."""
    entries = []
    while suite.untold and most > 0:
        since = next(iter(suite.untold))
        names = suite.untold[since]
        some = list(suite.untold.pop(since)) if len(names) <= most else [names.pop() for _ in range(most)]
        most -= len(some)
        entries += [watch_began(suite.by, portion, since) for portion in _portions(some)]
    return entries, most


def _taken_ends(suite: _Suite, before: datetime, most: int) -> tuple[dict[tuple[datetime, datetime], list[Name]], int]:
    """Up to `most` names whose spans ended by `before`, together by beginning and end, and how many more would have been allowed."""
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
