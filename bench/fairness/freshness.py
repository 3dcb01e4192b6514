"""The freshness of small tenants, and the effect of a neighbour on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bench import report


@dataclass(slots=True)
class Freshness:
    """The freshness of the small tenants, without a neighbour or beside it.

    Attributes:
        ages: seconds of each change when its suite had it.
        unseen: changes that no suite had.
        reads: of presence, of all small tenants.
        due: how many there should have been.
        busy_ms: name of a process -> CPU that its event loop used between two looks at it, at the most: what others waited for.
        collection_ms: name of a process -> its longest collection of garbage, in milliseconds.
        cpu_s: name of a process -> CPU seconds that it used.
        took_s: seconds of all measurements.
        idle_ms: how late an event loop with nothing to do was, of 95 % of all looks: what the machine adds to every process.
        places: name of a process and where its event loop was when it was late -> how often.
    """

    ages: list[float] = field(default_factory=list)
    unseen: int = 0
    reads: int = 0
    due: float = 0.0
    busy_ms: dict[str, float] = field(default_factory=dict)
    collection_ms: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    took_s: float = 0.0
    idle_ms: float = 0.0
    places: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: Freshness) -> None:
        """Take in another measurement."""
        self.ages += other.ages
        self.unseen += other.unseen
        self.reads += other.reads
        self.due += other.due
        for name, busy_ms in other.busy_ms.items():
            self.busy_ms[name] = max(busy_ms, self.busy_ms.get(name, 0.0))
        for name, took_ms in other.collection_ms.items():
            self.collection_ms[name] = max(took_ms, self.collection_ms.get(name, 0.0))
        for name, spent_s in other.cpu_s.items():
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + spent_s
        self.took_s += other.took_s
        self.idle_ms = max(self.idle_ms, other.idle_ms)
        self.places += other.places

    def cores(self, process: str) -> float:
        """Return the cores that a process used on average."""
        return self.cpu_s.get(process, 0.0) / self.took_s if self.took_s else 0.0


@dataclass(slots=True)
class Compared:
    """One neighbour: everything without it, and everything beside it."""

    alone: Freshness = field(default_factory=Freshness)
    beside: Freshness = field(default_factory=Freshness)
    changes: int = 0
    reconnects: int = 0

    def ratio(self, share: float) -> float:
        """Return how many times older changes are beside the neighbour, of those that `share` of all do not exceed."""
        alone = report.quantile(self.alone.ages, share)
        return report.quantile(self.beside.ages, share) / alone if alone else float("inf")

    @property
    def reads(self) -> float:
        """The reads for each that was due beside the neighbour, as a multiple of those without it."""
        alone, beside = (each.reads / each.due if each.due else 0.0 for each in (self.alone, self.beside))
        return beside / alone if alone else 0.0
