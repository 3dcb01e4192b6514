"""Instruments, their descriptions, and what a scrape and a collector get of them."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
import structlog
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as otlp
from prometheus_client.parser import text_string_to_metric_families

from relay.ops import telemetry as telemetry_module
from relay.ops.instruments import Counter, Gauge, Histogram, Instruments
from relay.ops.metric import EDGE, WORKER, Metric, MetricKind
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.processes.ops_port import merged
from tests.references.metrics import described, section_of
from tests.support.waiting import eventually, eventually_in_thread

NASTY = 'a "quoted" name,\nwith a break and \\ and {braces}'
EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def metric(name: str, kind: MetricKind, **more: object) -> Metric:
    given: dict[str, object] = {"unit": "{thing}", "meaning": "Things", "question": "How many?", "roles": (EDGE,)}
    return Metric(name=name, kind=kind, **{**given, **more})  # type: ignore[arg-type]


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text.decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


@contextmanager
def collector(answer: grpc.StatusCode = grpc.StatusCode.OK, delay_s: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """A collector that answers each reading like this; yields its port and what it received."""
    received: list[bytes] = []
    gone = threading.Event()

    def export(request: bytes, context: grpc.ServicerContext) -> bytes:
        received.append(request)
        gone.wait(delay_s)
        if answer is not grpc.StatusCode.OK:
            context.abort(answer, "no")
        return b""

    server = grpc.server(futures.ThreadPoolExecutor(2))
    service, _, method = EXPORT[1:].partition("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(export)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, received
    finally:
        gone.set()
        server.stop(0).wait()


def test_known_series_of_a_counter_begin_with_0_in_the_roles_that_count_it_and_in_no_other():
    instruments = Instruments()
    counter = Counter(metric("relay.a", MetricKind.COUNTER, labels={"way": ("up", "down")}), instruments)
    with Telemetry(TelemetrySettings(roles=frozenset({WORKER})), instruments) as other:
        assert b"relay_a_total" not in other.exposition()
    with Telemetry(TelemetrySettings(roles=frozenset({EDGE})), instruments) as telemetry:
        counter.add(2, "up")
        found = samples(telemetry.exposition())
    assert found["relay_a_total", frozenset({("way", "up")})] == 2
    assert found["relay_a_total", frozenset({("way", "down")})] == 0


def test_what_threads_count_is_added():
    counter = Counter(metric("relay.a", MetricKind.COUNTER, labels={"way": "any"}), Instruments())
    counter.add(3, "up")
    threads = [threading.Thread(target=counter.add_in_thread, args=(1, way)) for way in ("up", "down") * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.counts == {("up",): 8, ("down",): 5}


def test_a_gauge_of_several_parts_is_one_number_and_without_a_part_none():
    gauge = Gauge(metric("relay.g", MetricKind.GAUGE), max, Instruments())
    with gauge.reading(lambda: 1), gauge.reading(lambda: 5):
        assert gauge.now() == {(): 5}
    assert gauge.now() == {}


def test_an_instrument_that_is_made_later_is_exported_too_and_a_name_is_given_once():
    instruments = Instruments()
    with Telemetry(TelemetrySettings(roles=frozenset({EDGE})), instruments) as telemetry:
        histogram = Histogram(metric("relay.h", MetricKind.HISTOGRAM, unit="s", bounds=(0.5, 1.0)), instruments)
        histogram.record(0.7)
        assert 'relay_h_seconds_bucket{le="1.0"} 1.0' in telemetry.exposition().decode()
    histogram.record(0.7)  # nobody exports it any more
    with pytest.raises(ValueError, match=r"two instruments are called relay\.h"):
        Counter(metric("relay.h", MetricKind.COUNTER), instruments)


def test_a_bound_that_is_a_whole_number_is_exported_as_rules_ask_for_it():
    instruments = Instruments()
    with Telemetry(TelemetrySettings(roles=frozenset({EDGE})), instruments) as telemetry:
        Histogram(metric("relay.h", MetricKind.HISTOGRAM, unit="s", bounds=(1, 6)), instruments).record(0.7)
        assert 'relay_h_seconds_bucket{le="6.0"} 1.0' in telemetry.exposition().decode()


def test_quotes_and_line_breaks_in_a_label_arrive_as_they_are_also_through_a_supervisor():
    instruments = Instruments()
    counter = Counter(metric("relay.a", MetricKind.COUNTER, labels={"name": "any"}), instruments)
    with Telemetry(TelemetrySettings(attributes={"relay.place": NASTY}), instruments) as telemetry:
        counter.add(1, NASTY)
        text = telemetry.exposition()
    assert samples(text)["relay_a_total", frozenset({("name", NASTY)})] == 1
    both = samples(merged({1: text.decode()}))
    assert both["relay_a_total", frozenset({("name", NASTY), ("process", "1")})] == 1


def test_scrapes_in_quick_succession_read_once():
    instruments, reads = Instruments(), 0

    def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    gauge = Gauge(metric("relay.g", MetricKind.GAUGE), max, instruments)
    with Telemetry(TelemetrySettings(), instruments) as telemetry, gauge.reading(read):
        texts = {telemetry.exposition() for _ in range(100)}
    assert len(texts) == reads == 1


def test_a_reader_that_fails_costs_only_its_own_metric(caplog: pytest.LogCaptureFixture):
    instruments = Instruments()
    gauge, fine = (Gauge(metric(name, MetricKind.GAUGE), max, instruments) for name in ("relay.broken", "relay.fine"))
    with (
        Telemetry(TelemetrySettings(), instruments) as telemetry,
        gauge.reading(lambda: 1 // 0),
        fine.reading(lambda: 1),
    ):
        assert b"relay_fine 1.0" in telemetry.exposition()
    assert "relay.broken" in caplog.text


# A collector


async def test_a_collector_receives_what_a_scrape_shows():
    instruments = Instruments()
    counter = Counter(metric("relay.a", MetricKind.COUNTER), instruments)
    counter.add(7)
    with collector() as (port, received):
        settings = TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{port}", roles=frozenset({EDGE}))
        with Telemetry(settings, instruments):
            pass  # the last metrics are sent on leaving
        await eventually(lambda: received)
    request = otlp.ExportMetricsServiceRequest.FromString(received[0])
    [resource] = request.resource_metrics
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["relay.roles"] == "edge"
    [found] = [one for scope in resource.scope_metrics for one in scope.metrics if one.name == "relay.a"]
    assert found.sum.data_points[0].as_int == 7


@pytest.mark.long
@pytest.mark.parametrize("trouble", ["away", "refuses", "slow"])
def test_a_collector_in_trouble_holds_up_nothing_and_is_told_once(
    trouble: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(telemetry_module, "_SHUTDOWN_MS", 200)
    instruments = Instruments()
    Counter(metric("relay.a", MetricKind.COUNTER), instruments)
    answer = grpc.StatusCode.PERMISSION_DENIED if trouble == "refuses" else grpc.StatusCode.OK
    with structlog.testing.capture_logs() as lines, collector(answer, 60.0 if trouble == "slow" else 0) as (port, got):
        place = f"http://127.0.0.1:{unused_tcp_port if trouble == 'away' else port}"
        settings = TelemetrySettings(otlp_endpoint=place, roles=frozenset({EDGE}))
        with Telemetry(settings, instruments) as telemetry:
            assert telemetry._pushed is not None
            took_s = []
            for _ in range(20):
                begun = time.thread_time()
                telemetry._pushed.collect()
                took_s.append(time.thread_time() - begun)
            if trouble == "refuses":
                eventually_in_thread(lambda: lines)
            if trouble == "slow":
                eventually_in_thread(lambda: got)
            assert threading.active_count() < 20
    told = [line for line in lines if line["event"] == "metrics_not_sent"]
    assert len(told) <= 1
    if trouble == "refuses":
        assert told[0]["collector"] == place


# Descriptions


def test_each_metric_of_the_relay_is_described_and_has_its_section_in_the_reference():
    assert [name for name in described() if section_of(name) is None] == []
    for name, one in described().items():
        assert one.meaning[0].isupper(), name
        assert not one.meaning.endswith("."), name
        assert one.question.endswith("?"), name
        assert one.roles, name


def test_names_follow_the_conventions_and_no_label_is_a_user():
    own = re.compile(r"relay(\.[a-z][a-z_]*)+")
    theirs = ("db.client.", "http.client.", "http.server.", "process.", "rpc.server.")
    for name, one in described().items():
        assert own.fullmatch(name) or name.startswith(theirs), name
        assert not {"user", "user_id", "upn", "name", "suite"} & set(one.labels), name
        assert ("tenant_id" in one.labels) == name.startswith("relay.tenant."), name


def test_metrics_have_the_names_in_prometheus_that_the_reference_lists():
    instruments = Instruments()
    made = {name: metric(name, one.kind, unit=one.unit) for name, one in described().items()}
    gauges = []
    for one in made.values():
        if one.kind is MetricKind.HISTOGRAM:
            Histogram(one, instruments)
        else:
            gauges.append(Gauge(one, sum, instruments))
    with Telemetry(TelemetrySettings(), instruments) as telemetry:
        for instrument in instruments:
            if isinstance(instrument, Histogram):
                instrument.record(1)
        for gauge in gauges:
            gauge._readers.append(lambda: 1)
        exported = {name for name, _ in samples(telemetry.exposition())}
    for one in made.values():
        end = "_count" if one.kind is MetricKind.HISTOGRAM else ""
        assert f"{one.prometheus_name}{end}" in exported


async def test_the_loops_of_telemetry_measure_how_late_the_event_loop_is():
    with Telemetry(TelemetrySettings()) as telemetry:
        tasks = [asyncio.create_task(loop()) for loop in telemetry.loops.values()]

        def has_measured() -> bool:
            telemetry._text_until = 0.0
            return b"relay_event_loop_lag_seconds_count" in telemetry.exposition()

        await eventually(has_measured)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
