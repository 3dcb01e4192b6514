"""The delays of an event loop, their causes, and the code that ran meanwhile."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from bench import report
from bench.processes import message
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

_LOOK_S: Final = 0.005
"""Time between two samples of the event loop."""
_LATE_S: Final = 0.05
"""Time without a sample after which the place of the loop in the code is recorded."""
_NOTED_FRAMES: Final = 3


class Lag(NamedTuple):
    """One sample of an event loop, in ms: its lateness, and the CPU that its thread and the process used meanwhile.

    Late without CPU of the process: the machine was busy, or something blocked. Late with CPU of the process but not of the
    thread: other threads held the interpreter.
    """

    late: float
    thread: float
    process: float


@dataclass(slots=True)
class Lateness:
    """The delays of one event loop.

    Attributes:
        lags: all samples.
        places: place in the code while the loop was late -> how often.
        longest_collection_ms: longest run of the garbage collector, which stops everything.
    """

    lags: list[Lag] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    longest_collection_ms: float = 0.0

    def late_ms(self, share: float = 1.0) -> float:
        """Return the lateness that `share` of the samples do not exceed."""
        return report.quantile([lag.late for lag in self.lags], share)


async def look(pipe: Connection) -> None:
    """Sample this event loop repeatedly; answer each message with the samples since the last."""
    watcher = _Watcher()
    asked = asyncio.create_task(message(pipe))
    while True:
        began = _clocks()
        watcher.looked_at = began[0]
        await asyncio.sleep(_LOOK_S)
        wall, thread, process = (1000 * (now - then) for now, then in zip(_clocks(), began, strict=True))
        watcher.seen.lags.append(Lag(max(0.0, wall - 1000 * _LOOK_S), thread, process))
        if asked.done():
            seen, watcher.seen = watcher.seen, Lateness()
            pipe.send(seen)
            asked = asyncio.create_task(message(pipe))


def look_idly(pipe: Connection) -> None:
    """Run an idle event loop in a process: the machine adds its lateness to every process."""
    loop.run(look(pipe))


class _Watcher:
    """A thread that records the place of the loop in the code while it is late."""

    def __init__(self) -> None:
        self.seen = Lateness()
        self.looked_at = time.monotonic()
        self._loop_thread = threading.get_ident()
        self._collecting_since = 0.0
        gc.callbacks.append(self._collects)
        threading.Thread(target=self._watch, daemon=True, name="watcher").start()

    def _collects(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.monotonic()
        else:
            took_ms = 1000 * (time.monotonic() - self._collecting_since)
            self.seen.longest_collection_ms = max(self.seen.longest_collection_ms, took_ms)

    def _watch(self) -> None:
        noted = 0.0
        while True:
            time.sleep(_LATE_S / 2)
            looked_at = self.looked_at
            if looked_at != noted and time.monotonic() - looked_at > _LATE_S:
                noted = looked_at
                self.seen.places[self._place()] += 1

    def _place(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)
        stack = traceback.extract_stack(frame)[-_NOTED_FRAMES:]
        return " < ".join(f"{part.name} ({part.filename.rpartition('/')[2]}:{part.lineno})" for part in reversed(stack))


def tell(title: str, found: Mapping[str, Lateness]) -> None:
    """Print the lateness of event loops, and the places of the first one while it was late."""
    rows = []
    for name, each in found.items():
        worst = max(each.lags, default=Lag(0, 0, 0))
        rows.append([name, *(each.late_ms(share) for share in (0.5, 0.99, 0.999)), *worst, each.longest_collection_ms])
    report.table(
        title,
        ["", "p50", "p99", "p99.9", "max", "CPU of its thread then", "of its process", "longest collection"],
        rows,
    )
    for name, each in found.items():
        if each.places:
            report.table(f"where it was when late by {_LATE_S} s: {name}", ["times", "where"],
                         [[times, place] for place, times in each.places.most_common(5)])  # fmt: skip


def _clocks() -> tuple[float, float, float]:
    return time.monotonic(), time.thread_time(), time.process_time()
