"""Which names of a tenant are wanted: by which edges, and for how long after the last one let go."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from relay.core.presence import Name


class Wanted:
    """The names that a tenant's edges watch, each kept for `linger_s` after the last edge let it go. (Pure.)

    Lingering makes a suite that comes back cost Graph nothing. Times are seconds of one monotonic clock.
    """

    def __init__(self, linger_s: float) -> None:
        self._linger_s = linger_s
        self._edges: dict[str, set[Name]] = {}
        self._watchers: dict[Name, int] = {}
        self._until: dict[Name, float] = {}  # lingering name -> when to forget it, soonest first

    def __contains__(self, name: Name) -> bool:
        return name in self._watchers or name in self._until

    def __len__(self) -> int:
        return len(self._watchers) + len(self._until)

    @property
    def edges(self) -> set[str]:
        """The edges that watch anything."""
        return set(self._edges)

    def watchers(self, name: Name) -> int:
        """How many edges watch the name now."""
        return self._watchers.get(name, 0)

    def edges_of(self, names: Collection[Name]) -> set[str]:
        """The edges that watch any of these names."""
        return {edge for edge, watched in self._edges.items() if not watched.isdisjoint(names)}

    def add(self, edge: str, names: Iterable[Name]) -> list[Name]:
        """The edge watches these names too; returns those that were not wanted at all before."""
        mine = self._edges.setdefault(edge, set())
        new = []
        for name in names:
            if name in mine:
                continue
            mine.add(name)
            if name not in self:
                new.append(name)
            self._until.pop(name, None)
            self._watchers[name] = self._watchers.get(name, 0) + 1
        return new

    def remove(self, edge: str, names: Iterable[Name], now: float) -> None:
        """The edge watches these names no longer."""
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
                self._until[name] = now + self._linger_s
        if not mine:
            self._edges.pop(edge, None)

    def replace(self, edge: str, names: Collection[Name], now: float) -> list[Name]:
        """The edge watches exactly these names; returns those that were not wanted at all before."""
        gone = self._edges.get(edge, set()).difference(names)
        new = self.add(edge, names)
        self.remove(edge, gone, now)
        return new

    def linger(self, names: Iterable[Name], now: float) -> None:
        """Keep names for a while that nobody is known to watch: what an earlier owner of the tenant has left."""
        for name in names:
            if name not in self:
                self._until[name] = now + self._linger_s

    def forget_due(self, now: float) -> list[Name]:
        """Forget and return the names that have lingered long enough."""
        due = []
        for name, until in self._until.items():
            if until > now:
                break
            due.append(name)
        for name in due:
            del self._until[name]
        return due

    def next_due(self) -> float | None:
        """When the next lingering name must be forgotten; None when none lingers."""
        return next(iter(self._until.values()), None)
