"""The names that a tenant's edges watch, and those that linger after the last edge has released them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable

from relay.core.presence import Name


class WantedNames:
    """The names that a tenant's edges watch, each kept for a while after the last edge released it. (Pure.)

    Because names linger, a suite that returns causes no request to Graph. A name that stands for no user cost little
    and lingers briefly. Watched and lingering names together are at most `most`: beyond that, the oldest lingering one
    is due as soon as another is added. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        linger_s: float,
        *,
        most: int,
        brief_s: float | None = None,
        is_nobody: Callable[[Name], bool] = lambda _name: False,
    ) -> None:
        """Begin without any watched name.

        Args:
            linger_s: time that names linger.
            most: most names that are wanted or linger; wanted names are never dropped for it.
            brief_s: time that names linger that stand for no user; None: as long as others.
            is_nobody: returns whether a name stands for no user, or is not resolved yet, when the last edge releases
                it.
        """
        self._most = most
        self._linger_s = linger_s
        self._brief_s = linger_s if brief_s is None else min(brief_s, linger_s)
        self._is_nobody = is_nobody
        self._edges: dict[str, set[Name]] = {}
        self._watchers: dict[Name, int] = {}
        # Lingering name -> time to forget it, soonest first. A plain dict that is emptied from its front becomes slow.
        self._until: OrderedDict[Name, float] = OrderedDict()
        self._until_brief: OrderedDict[Name, float] = OrderedDict()
        self._over: list[Name] = []  # forgotten, but not returned by `forget_due` yet

    def __contains__(self, name: Name) -> bool:
        return name in self._watchers or name in self._until or name in self._until_brief

    def __len__(self) -> int:
        return len(self._watchers) + len(self._until) + len(self._until_brief)

    def keep_at_most(self, most: int) -> None:
        """Limit watched and lingering names together to `most`, from the next name on."""
        self._most = most

    @property
    def edges(self) -> set[str]:
        """The edges that watch at least one name."""
        return set(self._edges)

    @property
    def is_over(self) -> bool:
        """Return whether names were forgotten because there are too many; `forget_due` returns them."""
        return bool(self._over)

    def names_of(self, edge: str) -> set[Name]:
        """Return the names that an edge watches; do not change the set."""
        return self._edges.get(edge, set())

    def watchers(self, name: Name) -> int:
        """Return how many edges watch the name now."""
        return self._watchers.get(name, 0)

    def edges_of(self, names: Collection[Name]) -> set[str]:
        """Return the edges that watch any of these names."""
        return {edge for edge, watched in self._edges.items() if not watched.isdisjoint(names)}

    def add(self, edge: str, names: Iterable[Name]) -> list[Name]:
        """Add names that an edge watches; return those that were not wanted before."""
        mine = self._edges.setdefault(edge, set())
        new = []
        for name in names:
            if name in mine:
                continue
            mine.add(name)
            if name not in self:
                new.append(name)
            self._until.pop(name, None)
            self._until_brief.pop(name, None)
            self._watchers[name] = self._watchers.get(name, 0) + 1
        self._make_room()
        if not mine:
            del self._edges[edge]
        return new

    def remove(self, edge: str, names: Iterable[Name], now: float) -> None:
        """Remove names that an edge no longer watches."""
        mine = self._edges.get(edge, set())
        for name in names:
            if name not in mine:
                continue
            mine.discard(name)
            left = self._watchers[name] - 1
            if left:
                self._watchers[name] = left
            else:
                del self._watchers[name]
                self._let_linger(name, now)
        if not mine:
            self._edges.pop(edge, None)

    def replace(self, edge: str, names: Collection[Name], now: float) -> list[Name]:
        """Set the names that an edge watches; return those that were not wanted before."""
        gone = self._edges.get(edge, set()).difference(names)
        new = self.add(edge, names)
        self.remove(edge, gone, now)
        return new

    def linger(self, names: Iterable[Name], now: float) -> None:
        """Let names linger that no edge is known to watch: names that an earlier owner of the tenant left."""
        for name in names:
            if name not in self:
                self._let_linger(name, now)

    def forget_due(self, now: float, at_most: int | None = None) -> list[Name]:
        """Forget and return names that have lingered long enough or were above the limit, up to `at_most` in one call."""
        end = len(self._over) if at_most is None else at_most
        due, self._over = self._over[:end], self._over[end:]
        for lingering in (self._until_brief, self._until):
            while lingering and (at_most is None or len(due) < at_most):
                if next(iter(lingering.values())) > now:
                    break
                due.append(lingering.popitem(last=False)[0])
        # A name that was above the limit and is wanted again must not be forgotten.
        return [name for name in due if name not in self]

    def next_due(self) -> float | None:
        """Return the time at which the next lingering name must be forgotten; None without one."""
        firsts = [next(iter(lingering.values()), None) for lingering in (self._until_brief, self._until)]
        return min((at for at in firsts if at is not None), default=None)

    def _let_linger(self, name: Name, now: float) -> None:
        if self._brief_s < self._linger_s and self._is_nobody(name):
            self._until_brief[name] = now + self._brief_s
        else:
            self._until[name] = now + self._linger_s
        self._make_room()

    def _make_room(self) -> None:
        """Forget the names that have lingered longest, first those without a user, until the rest is within the limit."""
        while len(self) > self._most and (lingering := self._until_brief or self._until):
            name, _ = lingering.popitem(last=False)
            self._over.append(name)
