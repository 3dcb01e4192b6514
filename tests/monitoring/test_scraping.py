"""Whatever scrapes, and however often: what it costs is bounded, and Prometheus reads what is exported."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from relay.ops.health import Health, OpsServer, OwnAnswers
from relay.ops.instruments import Counter, Gauge, Instruments
from relay.ops.metric import EVERY, Metric, MetricKind
from relay.ops.telemetry import Telemetry, TelemetrySettings
from tests.monitoring.prometheus import Target, scraping
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

NASTY = 'a "quoted" name,\nbroken \\n and {braces="too"} # HELP'


def metric(name: str, kind: MetricKind, labels: dict[str, str] | None = None) -> Metric:
    return Metric(name=name, kind=kind, unit="1", meaning="M", question="Q?", roles=EVERY, labels=labels or {})


async def test_several_scrapers_at_once_cost_no_more_than_one():
    instruments, reads = Instruments(), 0

    def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    gauge = Gauge(metric("relay.g", MetricKind.GAUGE), max, instruments)
    with Telemetry(TelemetrySettings(), instruments) as telemetry, gauge.reading(read):
        async with (
            OpsServer(("127.0.0.1", 0), OwnAnswers(Health(), telemetry.exposition)) as ops,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ops.port}", verify=False, trust_env=False) as client,
        ):
            began = time.monotonic()

            async def scrape() -> None:
                for _ in range(10):
                    assert "relay_g" in (await client.get("/metrics")).text

            await asyncio.gather(*(scrape() for _ in range(8)))
            halves_of_a_second = (time.monotonic() - began) / 0.5
    assert 1 <= reads <= halves_of_a_second + 1


async def test_prometheus_reads_a_label_with_quotes_and_line_breaks(tmp_path: Path):
    instruments = Instruments()
    counter = Counter(metric("relay.a", MetricKind.COUNTER, {"name": "any"}), instruments)
    with Telemetry(TelemetrySettings(attributes={"relay.place": NASTY}), instruments) as telemetry:
        counter.add(1, NASTY)
        async with (
            OpsServer(("127.0.0.1", 0), OwnAnswers(Health(), telemetry.exposition)) as ops,
            scraping([Target(ops.port, "edge")], tmp_path) as prometheus,
        ):
            series = await eventually(lambda: prometheus.query("relay_a_total"))
            [info] = await prometheus.query("target_info")
    assert [one["metric"]["name"] for one in series] == [NASTY]
    assert info["metric"]["relay_place"] == NASTY
