"""Runs an edge with telemetry and one without at the same time, and compares their CPU."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.fanout import relay
from bench.fanout.run import STREAM_PATH, FanoutOptions, played, reading, temporary
from bench.fanout.schedule import USERS, Point
from bench.fanout.streams import Target
from bench.processes import Child, valkey
from bench.telemetry import edge
from bench.telemetry.collector import collect
from presence_api.v1 import presence_service_pb2 as pb
from relay.edge import spans as edge_spans
from relay.store.server.connection import StoreSettings
from relay.worker import spans as worker_spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.fanout.run import Run

SIDES: Final = ("on", "off")
_OPEN_S: Final = 60.0
_GATHER_S: Final = 0.05
_MOST: Final = 1.05
"""Maximum cost of an edge with telemetry, as a multiple of one without."""
_MOST_SCRAPE_S: Final = 0.02
_SPANS_S: Final = 2.0
"""Time within which the last spans reach the collector: they are sent once a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """The options of the telemetry benchmark.

    Attributes:
        point: the load of both edges together; an even number of suites.
        runs: number of measurements.
        seconds: length of one run.
        warm_s: length of the warm-up before each run.
        trace_share: share of the worker's writes that begin a trace.
    """

    point: Point
    runs: int = 4
    seconds: float = 8.0
    warm_s: float = 2.0
    trace_share: float = 0.01


@dataclass(frozen=True, slots=True)
class Compared:
    """The result of one run.

    Attributes:
        run: the run of both edges.
        scrapes_s: CPU seconds of each scrape.
        text_bytes: length of one scrape.
        spans: name of a span -> number that the collector received.
    """

    run: Run
    scrapes_s: list[float]
    text_bytes: int
    spans: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """The CPU of the edge with telemetry, as a multiple of the other's."""
        return self.run.cost_s["on"] / max(self.run.cost_s["off"], 0.01)

    @property
    def difference_ns(self) -> float:
        """The difference for each delivery, in nanoseconds; each edge makes half of them."""
        return (self.run.cost_s["on"] - self.run.cost_s["off"]) * 1e9 / max(self.run.deliveries / 2, 1)


def run(options: TelemetryOptions) -> int:
    """Measure and compare; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("telemetry")
    found = []
    for number in range(options.runs):
        report.say(f"{options.point}: run {number + 1} of {options.runs}")
        found.append(measure(options, number))
    report.table(
        f"telemetry {options.point}",
        [
            "run",
            "CPU s on",
            "CPU s off",
            "on/off",
            "ns a delivery",
            "arrived",
            "scrapes",
            "CPU ms a scrape",
            "bytes",
            "writes traced",
        ],
        [_row(number, one) for number, one in enumerate(found, 1)],
    )
    on = sum(one.run.cost_s["on"] for one in found)
    off = sum(one.run.cost_s["off"] for one in found)
    scrape_s = report.median([took for one in found for took in one.scrapes_s])
    verdict.ratios = {
        "on/off": round(on / max(off, 0.01), 3),
        "ns a delivery": round(report.median([one.difference_ns for one in found])),
        "CPU ms a scrape": round(1000 * scrape_s, 1),
    }
    verdict.must["spans of both processes arrived"] = all(
        one.spans.get(kind.name)
        for one in found
        for kind in (worker_spans.ACCEPT, edge_spans.DELIVER, edge_spans.WRITE)
    )
    verdict.must["everything arrived"] = all(one.run.deliveries == one.run.expected for one in found)
    verdict.must[f"telemetry costs at most {_MOST - 1:.0%} of an edge's CPU"] = on <= _MOST * off
    verdict.must[f"a scrape a second costs at most {_MOST_SCRAPE_S:.0%} of a core"] = scrape_s <= _MOST_SCRAPE_S
    return verdict.say()


def measure(options: TelemetryOptions, number: int = 0) -> Compared:
    """Return the result of one run; with an odd `number` the edge without telemetry starts first."""
    point = options.point
    with temporary() as folder, ExitStack() as stack:
        url, valkey_pid = stack.enter_context(valkey(folder, "presence"))
        vault_url, _ = stack.enter_context(valkey(folder, "vault"))
        servers = StoreSettings(url=url, vault_url=vault_url)
        collector = stack.enter_context(Child(collect))
        telemetry = edge.settings(collector.hear(_OPEN_S), options.trace_share)
        worker = stack.enter_context(Child(relay.work, servers, point, _GATHER_S, telemetry))
        suite_keys = worker.hear(_OPEN_S)
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        given = {"on": telemetry, "off": None}
        edges = {side: stack.enter_context(Child(edge.serve, servers, given[side])) for side in order}
        ports = {side: child.hear(_OPEN_S) for side, child in edges.items()}
        scraper = stack.enter_context(Child(edge.scrape, ports["on"][1]))
        start = pb.WatchStart(subscribe_users=[relay.name(n) for n in range(USERS)])
        request = pb.StreamPresenceRequest(start=start).SerializeToString()
        targets = []
        for stream in range(point.streams):
            tenant, suite = stream % point.tenants, stream // point.tenants
            headers = {"authorization": f"Bearer {suite_keys[tenant]}"}
            targets.append(Target(ports[SIDES[suite % 2]][0], (STREAM_PATH, headers, request)))
        readers = stack.enter_context(reading(targets, point.streams * USERS))
        fanned = FanoutOptions(points=(point,), seconds=options.seconds, warm_s=options.warm_s)
        pids = {"worker": worker.pid, "valkey": valkey_pid, **{side: child.pid for side, child in edges.items()}}
        result = played(point.deliveries, fanned, readers, pids, worker.ask)
        scrapes_s, text_bytes = edges["on"].ask("scrapes"), scraper.hear()
        time.sleep(_SPANS_S)
        return Compared(result, scrapes_s, text_bytes, collector.ask("spans"))


def _row(number: int, one: Compared) -> list[object]:
    took_ms = 1000 * report.median(one.scrapes_s)
    arrived = f"{100 * one.run.deliveries / one.run.expected:.2f} %"
    cost = one.run.cost_s
    return [
        number,
        cost["on"],
        cost["off"],
        one.ratio,
        one.difference_ns,
        arrived,
        len(one.scrapes_s),
        took_ms,
        one.text_bytes,
        one.spans.get(edge_spans.WRITE.name, 0),
    ]
