"""Opens and cancels streams in batches, and compares what the edge keeps."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import report
from bench.cancelled import edge, suites
from bench.fanout import relay
from bench.fanout.schedule import Point
from bench.processes import Child, ChildFailed, valkey
from relay.store.server.connection import StoreSettings

MOST_BYTES: Final = 200
"""That may be kept of a stream."""
_BATCH: Final = 100
_START_S: Final = 60.0
_SHOWN: Final = 5
_SAY_EVERY: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledOptions:
    """The options of the cancelled benchmark."""

    streams: int = 20_000


def run(options: CancelledOptions) -> int:
    """Measure; returns the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        servers = StoreSettings(url=stack.enter_context(valkey(Path(folder)))[0])
        worker = stack.enter_context(Child(relay.work, servers, Point(tenants=1, suites=1, rate=1), 0.0))
        (key,) = worker.hear(_START_S)
        server = stack.enter_context(Child(edge.serve, servers, 2 * _BATCH))
        clients = stack.enter_context(Child(suites.cancel, server.hear(), key))
        _cancelled(server, clients, options.streams // 10)
        before = _kept(server, clients)
        began = time.monotonic()
        blocked = _cancelled(server, clients, options.streams)
        took_s = time.monotonic() - began
        after = _kept(server, clients)
    return _judge(options, before, after, blocked, took_s)


def _kept(server: Child, clients: Child) -> edge.Kept:
    """Return what the edge keeps without streams and without connections."""
    clients.ask(suites.NEW_CONNECTIONS)
    kept: edge.Kept = server.ask("kept")
    return kept


def _cancelled(server: Child, clients: Child, count: int) -> int:
    """Open and cancel so many streams; returns how many were cancelled in a blocked write."""
    blocked = 0
    for start in range(0, count, _BATCH):
        batch = min(_BATCH, count - start)
        clients.ask(batch, timeout_s=_START_S)
        blocked += _until(server, batch, batch // 2)
        clients.ask(0)
        _until(server, 0, 0)
        if (start + batch) % _SAY_EVERY == 0:
            report.say(f"{start + batch:,} of {count:,} streams")
    return blocked


def _until(server: Child, open_: int, blocked: int) -> int:
    """Wait until so many streams are open, and so many of them at least in a write, twice in a row; returns how many are."""
    deadline, holds = time.monotonic() + _START_S, 0
    while holds < 2:
        streams, writing, _ = server.ask("state")
        holds = holds + 1 if streams == open_ and writing >= blocked else 0
        if time.monotonic() > deadline:
            raise ChildFailed(f"the edge has {streams} streams and {writing} writes under way, and it stays so")
        time.sleep(0.02)
    return int(writing)


def _judge(options: CancelledOptions, before: edge.Kept, after: edge.Kept, blocked: int, took_s: float) -> int:
    def of_each(first: int, last: int) -> float:
        return round((last - first) / options.streams, 3)

    kept, objects = of_each(before.in_use, after.in_use), of_each(before.objects.total(), after.objects.total())
    resident = of_each(before.resident, after.resident)
    grown = (after.objects - before.objects).most_common(_SHOWN)
    report.table(
        f"cancelled: {options.streams:,} streams, {blocked:,} of them in a blocked write, in {took_s:.0f} s",
        ["", "before", "after", "of each stream"],
        [
            ["bytes in use", before.in_use, after.in_use, kept],
            ["bytes resident", before.resident, after.resident, resident],
            ["objects", before.objects.total(), after.objects.total(), objects],
            *([f"  {name}", before.objects[name], after.objects[name], ""] for name, _ in grown),
        ],
    )
    verdict = report.Verdict("cancelled")
    verdict.ratios = {"bytes_in_use": kept, "bytes_resident": resident, "objects": objects}
    verdict.must[f"at most {MOST_BYTES} bytes stay in use of a stream"] = kept <= MOST_BYTES
    verdict.must["no object is kept of each stream"] = objects < 1
    verdict.must["half of the streams were cancelled in a blocked write"] = blocked >= options.streams // 2
    return verdict.say()
