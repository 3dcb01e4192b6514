"""The output of a benchmark: tables for people, one line of JSON for machines."""

from __future__ import annotations

import json
import os
import statistics
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Verdict:
    """The outcome of one benchmark.

    Attributes:
        bench: its name.
        ratios: the measured figures.
        must: condition, in words -> whether it is met.
    """

    bench: str
    ratios: dict[str, Any] = field(default_factory=dict)
    must: dict[str, bool] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if every condition is met."""
        return all(self.must.values())

    def say(self) -> int:
        """Print the line of JSON, the last of a benchmark, and return the exit code."""
        said = {"bench": self.bench, "ratios": self.ratios, "must": self.must, "ok": self.ok}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        return 0 if self.ok else 1


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with a title and a head."""
    cells = [list(head), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    sys.stdout.write("\n".join(["", title, *(f"  {line}" for line in lines), ""]) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print the progress of a run."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def load_before() -> float:
    """Return the machine's load before the run: figures from a busy machine are less reliable."""
    return round(os.getloadavg()[0], 2)


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the value that `share` of the samples do not exceed; 0 without samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def median(samples: Sequence[float]) -> float:
    """Return the median, for an even number of samples the mean of the two middle ones; 0 without samples."""
    return statistics.median(samples) if samples else 0.0


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
