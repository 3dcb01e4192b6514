"""Runs both sides in turn and compares."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import report
from bench.fanout import bare, nats, relay, streams
from bench.fanout.schedule import MEASURED, USERS, WARM, Point
from bench.fanout.streams import Received, Target
from bench.processes import Child, ChildFailed, Others, cpu_s, nats_server, until_quiet, valkey
from presence_api.v1 import presence_service_pb2 as pb
from relay.ops.listening import shared_port
from relay.store.server.connection import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAM_PATH: Final = "/relay.api.presence.v1.PresenceService/StreamPresence"
P99_MS: Final = 150.0
ARRIVED: Final = 0.999
_LEAD_NS: Final = 200_000_000
"""Time between the message to begin and the first change."""
_OPEN_S: Final = 60.0
_DRAIN_S: Final = 3.0
_OTHERS: Final = 0.1
"""Cores that other processes may use meanwhile. A run with more is disturbed and repeated, on either side, regardless of its
result; if all runs are disturbed, the least disturbed is kept."""
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FanoutOptions:
    """The options of the fanout benchmark."""

    points: tuple[Point, ...]
    runs: int = 3
    seconds: float = 6.0
    warm_s: float = 2.0
    durable: bool = False
    """Whether Valkey syncs each write, as it must if it stores custody too; otherwise custody has a separate server."""
    gather_s: float = 0.05
    """Time for which the relay's worker gathers a tenant's single changes."""
    patience_s: float = 0.0
    """Maximum wait for an idle machine before each run."""
    profile: str = ""
    """The file for a profile of the edge (of several, the first); it slows the edge down."""
    processes: int = 1
    """Processes of the edge, which share a port."""


@dataclass(slots=True)
class Run:
    """The result of one run of one side.

    Attributes:
        deliveries: arrived deliveries, of `expected`.
        cost_s: name of a server process -> its CPU seconds.
        reading_s: CPU seconds of the readers, which do not count.
        others: cores that unrelated processes used meanwhile.
    """

    deliveries: int
    expected: int
    writes: int
    latencies_ms: list[float]
    cost_s: dict[str, float] = field(default_factory=dict)
    reading_s: float = 0.0
    others: float = 0.0

    @property
    def per_cpu_s(self) -> float:
        """Deliveries per CPU second of all server processes."""
        return self.deliveries / max(sum(self.cost_s.values()), 0.01)

    def per_cpu_s_of(self, name: str) -> float:
        """Return the deliveries per CPU second of one server process, or of several numbered ones."""
        spent = sum(cost_s for each, cost_s in self.cost_s.items() if each.partition(" ")[0] == name)
        return self.deliveries / max(spent, 0.01)

    @property
    def p99_ms(self) -> float:
        """The latency that 99 of 100 deliveries do not exceed."""
        return report.quantile(self.latencies_ms, 0.99)

    @property
    def is_valid(self) -> bool:
        """True if (nearly) all deliveries arrived, and in time."""
        return self.deliveries >= ARRIVED * self.expected and self.p99_ms <= P99_MS


def run(options: FanoutOptions) -> int:
    """Measure all points; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("fanout")
    for point in options.points:
        _judge(point, measure(point, options), verdict)
    return verdict.say()


def measure(point: Point, options: FanoutOptions) -> dict[str, list[Run]]:
    """Return all runs of one point, the sides in turn."""
    found: dict[str, list[Run]] = {"nats": [], "relay": [], "bare": []}
    for number in range(options.runs):
        report.say(f"{point}: run {number + 1} of {options.runs}")
        found["nats"].append(_undisturbed(options, lambda: _on_nats(point, options)))
        found["relay"].append(like := _undisturbed(options, lambda: _on_relay(point, options)))
        found["bare"].append(_undisturbed(options, partial(_on_bare, point, options, like)))
    return found


def _undisturbed(options: FanoutOptions, attempt: Callable[[], Run]) -> Run:
    runs: list[Run] = []
    while len(runs) < _ATTEMPTS and (not runs or runs[-1].others > _OTHERS):
        until_quiet(_OTHERS, options.patience_s)
        runs.append(attempt())
    return min(runs, key=lambda run: run.others)


def _on_nats(point: Point, options: FanoutOptions) -> Run:
    with temporary() as folder, ExitStack() as stack:
        port, pid = stack.enter_context(nats_server(folder))
        publisher = stack.enter_context(Child(nats.publish, port, point))
        publisher.hear()
        targets = [Target(port, subject=nats.subject(n % point.tenants)) for n in range(point.streams)]
        readers = stack.enter_context(reading(targets, point.streams))
        return played(point.deliveries, options, readers, {"nats-server": pid}, publisher.ask)


def _on_relay(point: Point, options: FanoutOptions) -> Run:
    with temporary() as folder, ExitStack() as stack:
        url, valkey_pid = stack.enter_context(valkey(folder, "presence", durable=options.durable))
        vault_url = None if options.durable else stack.enter_context(valkey(folder, "vault"))[0]
        servers = StoreSettings(url=url, vault_url=vault_url)
        worker = stack.enter_context(Child(relay.work, servers, point, options.gather_s))
        suite_keys = worker.hear(_OPEN_S)
        port = stack.enter_context(shared_port("127.0.0.1", 0))
        numbers = range(1, options.processes + 1)
        edges = [stack.enter_context(Child(relay.serve, servers, port, options.profile)) for _ in numbers]
        for edge in edges:
            edge.hear()
        start = pb.WatchStart(subscribe_users=[relay.name(n) for n in range(USERS)])
        request = pb.StreamPresenceRequest(start=start).SerializeToString()
        targets = []
        for number in range(point.streams):
            key = suite_keys[number % point.tenants]
            targets.append(Target(port, (STREAM_PATH, {"authorization": f"Bearer {key}"}, request)))
        readers = stack.enter_context(reading(targets, point.streams * USERS))
        edges[0].tell("begin")
        pids = {"worker": worker.pid, "valkey": valkey_pid}
        pids |= {f"edge {number}": edge.pid for number, edge in zip(numbers, edges, strict=True)}
        result = played(point.deliveries, options, readers, pids, worker.ask)
        edges[0].tell("end")
        if options.profile:
            time.sleep(1)  # to be written
        return result


def _on_bare(point: Point, options: FanoutOptions, like: Run) -> Run:
    """Repeat the writes of a run of the relay with streams that only write."""
    items = max(1, round(like.deliveries / max(like.writes, 1)))
    period_s = items * point.streams * options.seconds / like.deliveries

    def expected(seconds: float) -> int:
        return bare.writes(seconds, period_s) * items * point.streams

    with ExitStack() as stack:
        server = stack.enter_context(Child(bare.serve))
        port = server.hear()
        targets = [Target(port, (bare.PATH, {}, b""))] * point.streams
        readers = stack.enter_context(reading(targets, point.streams))

        def order(mark: str, seconds: float, begin_ns: int, *, timeout_s: float) -> Any:
            return server.ask(mark, seconds, begin_ns, items, period_s, timeout_s=timeout_s)

        return played(expected, options, readers, {"bare": server.pid}, order)


def played(
    deliveries: Callable[[float], int],
    options: FanoutOptions,
    readers: Child,
    pids: dict[str, int],
    order: Callable[..., Any],
) -> Run:
    """Warm up, then measure from before the first delivery to after the last."""
    _play(readers, order, WARM, options.warm_s, deliveries(options.warm_s))
    before, others = cpu_s([*pids.values(), readers.pid]), Others()
    expected = deliveries(options.seconds)
    received = _play(readers, order, MEASURED, options.seconds, expected)
    after, disturbed = cpu_s([*pids.values(), readers.pid]), others.cores()
    cost = {name: after[pid] - before[pid] for name, pid in pids.items()}
    reading_s = after[readers.pid] - before[readers.pid]
    return Run(received.items, expected, received.writes, received.latencies_ms, cost, reading_s, disturbed)


def _play(readers: Child, order: Callable[..., Any], mark: str, seconds: float, expected: int) -> Received:
    readers.tell("phase", mark)
    order(mark, seconds, time.monotonic_ns() + _LEAD_NS, timeout_s=3 * seconds + 30)
    _until(readers, expected, _DRAIN_S)
    received: Received = readers.ask("received")
    return received


def _until(readers: Child, expected: int, patience_s: float) -> int:
    """Wait until `expected` items have arrived, or no more arrive; return their number."""
    count, moved = readers.ask("count"), time.monotonic()
    while count < expected and time.monotonic() - moved < patience_s:
        time.sleep(0.02)
        last, count = count, readers.ask("count")
        moved = time.monotonic() if count != last else moved
    return int(count)


@contextmanager
def reading(targets: list[Target], initial: int) -> Iterator[Child]:
    """Yield the readers, once every stream has its first items."""
    with Child(streams.read, targets) as readers:
        readers.hear(_OPEN_S)
        count = _until(readers, initial, _OPEN_S / 4)
        if count < initial:
            raise ChildFailed(f"only {count} of {initial} first items have come")
        yield readers


@contextmanager
def temporary() -> Iterator[Path]:
    """Yield a folder that is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


# ---- judging


def _judge(point: Point, runs: dict[str, list[Run]], verdict: report.Verdict) -> None:
    head = [
        "",
        "deliveries per CPU s",
        "arrived",
        "p50 ms",
        "p99 ms",
        "items a write",
        "CPU s",
        "(readers)",
        "(others, cores)",
        "runs",
    ]
    report.table(f"fanout {point}, median of valid runs", head, [_row(side, found) for side, found in runs.items()])
    key = point.key
    valid = {side: [run for run in found if run.is_valid] for side, found in runs.items()}
    if not valid["nats"] or not valid["relay"]:
        verdict.ratios[key] = None
        verdict.must[f"{key}: runs are valid"] = False
        return
    against = _median(valid["relay"]) / _median(valid["nats"])
    verdict.ratios[key] = round(against, 3)
    edge = report.median([run.per_cpu_s_of("edge") for run in valid["relay"]])
    if valid["bare"]:
        verdict.ratios[f"{key} edge/bare"] = round(edge / _median(valid["bare"]), 3)
    if point.rate >= 100_000 and not point.pages:
        verdict.must[f"{key}: relay/nats >= 0.8"] = against >= 0.8


def _row(side: str, runs: list[Run]) -> list[object]:
    middle = sorted(runs, key=lambda run: run.per_cpu_s)[len(runs) // 2]
    cost = ", ".join(f"{name} {spent:.2f}" for name, spent in middle.cost_s.items())
    arrived = f"{100 * middle.deliveries / middle.expected:.2f} %"
    spread = " ".join(f"{run.per_cpu_s:,.0f}" + ("" if run.is_valid else "(void)") for run in runs)
    p50 = report.median(middle.latencies_ms)
    writes = middle.deliveries / max(middle.writes, 1)
    return [side, middle.per_cpu_s, arrived, p50, middle.p99_ms, writes, cost, middle.reading_s, middle.others, spread]


def _median(runs: list[Run]) -> float:
    return report.median([run.per_cpu_s for run in runs])
