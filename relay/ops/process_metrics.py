"""Metrics of every process, whatever its role: CPU, memory, file descriptors, age, the event loop."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relay.ops.instruments import Gauge, Histogram
from relay.ops.metric import EVERY, SECONDS, Metric, MetricKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.ops.instruments import Read

_STARTED: Final = time.monotonic()
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_OPEN: Final = Path("/proc/self/fd")

CPU_TIME: Final = Gauge(
    Metric(
        name="process.cpu.time",
        kind=MetricKind.COUNTER,
        unit="s",
        meaning="CPU time of the process",
        question="Does a process need more CPU than it may have?",
        roles=EVERY,
        labels={"cpu.mode": ("user", "system")},
    )
)
MEMORY: Final = Gauge(
    Metric(
        name="process.memory.usage",
        kind=MetricKind.UP_DOWN,
        unit="By",
        meaning="Physical memory of the process",
        question="Does the memory of a process grow towards its limit?",
        roles=EVERY,
    )
)
DESCRIPTORS: Final = Gauge(
    Metric(
        name="process.unix.file_descriptor.count",
        kind=MetricKind.UP_DOWN,
        unit="{file_descriptor}",
        meaning="Open file descriptors: connections, most of them",
        question="How near is a process to the limit of its descriptors?",
        roles=EVERY,
    )
)
DESCRIPTOR_LIMIT: Final = Gauge(
    Metric(
        name="relay.process.file_descriptor.limit",
        kind=MetricKind.GAUGE,
        unit="{file_descriptor}",
        meaning="File descriptors that the process may have open",
        question="How near is a process to the limit of its descriptors?",
        roles=EVERY,
    ),
    max,
)
UPTIME: Final = Gauge(
    Metric(
        name="process.uptime",
        kind=MetricKind.GAUGE,
        unit="s",
        meaning="Time since the process started",
        question="Did a process start again?",
        roles=EVERY,
    ),
    max,
)
EVENT_LOOP_LAG: Final = Histogram(
    Metric(
        name="relay.event_loop.lag",
        kind=MetricKind.HISTOGRAM,
        unit="s",
        meaning="Delay with which the event loop comes to a task that is due, measured four times a second",
        question="Is a process too busy to answer in time?",
        roles=EVERY,
        bounds=SECONDS[:-2],
    )
)


def _cpu_time() -> dict[tuple[str, ...], float]:
    used = os.times()
    return {("user",): used.user, ("system",): used.system}


def _memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def _descriptors() -> float:
    # Since 6.2 Linux reports the number as the folder's size: listing 10,000 of them takes milliseconds.
    return _OPEN.stat().st_size or sum(1 for _ in _OPEN.iterdir())


def _descriptor_limit() -> float:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


PROCESS: Final[Mapping[Gauge, Read]] = {
    CPU_TIME: _cpu_time,
    MEMORY: _memory,
    DESCRIPTORS: _descriptors,
    DESCRIPTOR_LIMIT: _descriptor_limit,
    UPTIME: lambda: time.monotonic() - _STARTED,
}
"""Instrument -> the function that it reads."""
