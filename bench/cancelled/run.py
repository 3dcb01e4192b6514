"""Opens and cancels streams in batches, and compares the memory that the edge retains.

There are two equal halves of streams. Bytes in use are counted over both; resident bytes over the second, because the first also fills
the allocators' reserves, which later streams reuse. The same streams at a minimal server show the memory that gRPC itself retains.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import report
from bench.cancelled import bare, edge, memory, suites
from bench.fanout import relay
from bench.fanout.schedule import Point
from bench.processes import Child, ChildFailed, valkey
from relay.store.server.connection import StoreSettings

MOST_BYTES: Final = 200
"""Limit on the bytes retained for each stream."""
_BATCH: Final = 100
_START_S: Final = 60.0
_SHOWN: Final = 5
_SAY_EVERY: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledOptions:
    """The options of the cancelled benchmark."""

    streams: int = 20_000


@dataclass(frozen=True, slots=True)
class Measured:
    """The memory that one server retains: before, after the first half of the streams, and after all of them."""

    before: memory.Kept
    halfway: memory.Kept
    after: memory.Kept
    streams: int
    blocked: int

    @property
    def in_use(self) -> float:
        """Bytes in use for each stream."""
        return round((self.after.in_use - self.before.in_use) / (2 * self.streams), 3)

    @property
    def resident(self) -> float:
        """Resident bytes for each stream of the second half."""
        return round((self.after.resident - self.halfway.resident) / self.streams, 3)

    @property
    def objects(self) -> float:
        """Python objects for each stream."""
        return round((self.after.objects.total() - self.before.objects.total()) / (2 * self.streams), 3)


def run(options: CancelledOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        servers = StoreSettings(url=stack.enter_context(valkey(Path(folder)))[0])
        worker = stack.enter_context(Child(relay.work, servers, Point(tenants=1, suites=1, rate=1), 0.0))
        (key,) = worker.hear(_START_S)
        edges = _measure(Child(edge.serve, servers, 2 * _BATCH), key, options.streams)
    return _judge(options, edges, _measure(Child(bare.serve), key, options.streams))


def _measure(serving: Child, key: str, streams: int) -> Measured:
    """Cancel both halves of the streams of one server."""
    with serving as server, Child(suites.cancel, server.hear(), key) as clients:
        _cancelled(server, clients, streams // 10)
        kept = [_kept(server, clients)]
        blocked = 0
        for _ in range(2):
            blocked += _cancelled(server, clients, streams)
            kept.append(_kept(server, clients))
    before, halfway, after = kept
    return Measured(before, halfway, after, streams, blocked)


def _kept(server: Child, clients: Child) -> memory.Kept:
    """Return the memory of the server without streams and connections."""
    clients.ask(suites.NEW_CONNECTIONS)
    kept: memory.Kept = server.ask("kept")
    return kept


def _cancelled(server: Child, clients: Child, count: int) -> int:
    """Open and cancel `count` streams; return how many were cancelled in a blocked write."""
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
    """Wait until `open_` streams are open and at least `blocked` of them in a write, twice in a row; return how many are."""
    deadline, holds = time.monotonic() + _START_S, 0
    while holds < 2:
        streams, writing = server.ask("state")
        holds = holds + 1 if streams == open_ and writing >= blocked else 0
        if time.monotonic() > deadline:
            raise ChildFailed(
                f"the server has {streams} streams and {writing} writes in progress, and this does not change"
            )
        time.sleep(0.02)
    return int(writing)


def _judge(options: CancelledOptions, edges: Measured, bares: Measured) -> int:
    grown = (edges.after.objects - edges.before.objects).most_common(_SHOWN)
    for name, of in (("an edge", edges), ("a server that does nothing else", bares)):
        report.table(
            f"cancelled: {2 * options.streams:,} streams of {name}, {of.blocked:,} of them in a blocked write",
            ["", "before", "after the first half", "after", "of each stream"],
            [
                ["bytes in use", of.before.in_use, of.halfway.in_use, of.after.in_use, of.in_use],
                [
                    "bytes resident",
                    of.before.resident,
                    of.halfway.resident,
                    of.after.resident,
                    f"{of.resident}, second half",
                ],
                ["objects", *(each.objects.total() for each in (of.before, of.halfway, of.after)), of.objects],
            ],
        )
    report.table(
        "objects of the edge that grew most in number",
        ["", "before", "after"],
        [[name, edges.before.objects[name], edges.after.objects[name]] for name, _ in grown],
    )
    verdict = report.Verdict("cancelled")
    verdict.ratios = {
        "bytes_in_use": edges.in_use,
        "bytes_in_use_of_a_bare_server": bares.in_use,
        "bytes_resident": edges.resident,
        "bytes_resident_of_a_bare_server": bares.resident,
        "objects": edges.objects,
    }
    verdict.must[f"at most {MOST_BYTES} bytes stay in use of a stream"] = edges.in_use <= MOST_BYTES
    verdict.must["no object is kept of each stream"] = edges.objects < 1
    verdict.must["half of the streams were cancelled in a blocked write"] = edges.blocked >= options.streams
    return verdict.say()
