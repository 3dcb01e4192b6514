"""The freshness of small tenants, and the effect of a neighbour on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bench import report


@dataclass(slots=True)
class Freshness:
    """The freshness of the small tenants, without or with a neighbour.

    Attributes:
        ages: age of each change when its suite received it, in seconds.
        unseen: changes that no suite received.
        reads: reads of presence, of all small tenants.
        due: expected number of reads.
        busy_ms: name of a process -> maximum CPU time of its event loop between two samples, for which others waited.
        collection_ms: name of a process -> its longest garbage collection, in milliseconds.
        cpu_s: name of a process -> CPU seconds that it used.
        took_s: duration of all measurements.
        idle_ms: lateness of an idle event loop that 95 % of the samples do not exceed: the machine adds this to every process.
        places: name of a process and the place in the code of its late event loop -> how often.
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
        """Add another measurement."""
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
    """One neighbour: the measurements without it, and with it."""

    alone: Freshness = field(default_factory=Freshness)
    beside: Freshness = field(default_factory=Freshness)
    changes: int = 0
    reconnects: int = 0

    def ratio(self, share: float) -> float:
        """Return the ratio of the ages with and without the neighbour, at the quantile `share`."""
        alone = report.quantile(self.alone.ages, share)
        return report.quantile(self.beside.ages, share) / alone if alone else float("inf")

    @property
    def reads(self) -> float:
        """The share of expected reads that happened with the neighbour, as a multiple of that without it."""
        alone, beside = (each.reads / each.due if each.due else 0.0 for each in (self.alone, self.beside))
        return beside / alone if alone else 0.0
