"""Spans: when there are any, what they go on with, and what a collector gets of them."""

from __future__ import annotations

import asyncio
import io
import json
import logging as stdlib
import threading
import time
from collections.abc import Iterator
from contextvars import copy_context

import grpc
import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from relay.ops import logging, span_export
from relay.ops import telemetry as telemetry_module
from relay.ops.metric import EDGE
from relay.ops.span import carried, ids
from relay.ops.span_metrics import SPANS
from relay.ops.telemetry import Telemetry, TelemetrySettings
from tests.support.otlp import STEP, Collector, collecting
from tests.support.waiting import eventually_in_thread


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


def telemetry(collector: Collector, share: float = 1.0, tenants: frozenset[str] = frozenset()) -> Telemetry:
    return Telemetry(
        TelemetrySettings(
            otlp_endpoint=collector.url, trace_share=share, roles=frozenset({EDGE}), tenants=tenants
        )
    )  # fmt: skip


def names(collector: Collector) -> list[str]:
    return sorted(span.name for span in collector.spans)


# When there is a span


def test_without_a_collector_or_a_share_nothing_is_traced(collector: Collector):
    for settings in (TelemetrySettings(trace_share=1), TelemetrySettings(otlp_endpoint=collector.url)):
        with Telemetry(settings), STEP.begins(always=True) as span:
            assert not span
            assert carried() == span.carried == b""
            assert ids() is None


def test_so_many_units_of_work_begin_a_trace_as_the_share_says(collector: Collector):
    with telemetry(collector, share=0.25):
        begun = sum(bool(STEP.begins()) for _ in range(4000))
        assert all(STEP.begins(always=True) for _ in range(100))
    assert 800 < begun < 1200  # seven standard deviations


def test_work_is_part_of_a_trace_only_inside_of_traced_work_that_is_not_over(collector: Collector):
    with telemetry(collector):
        assert not STEP.within()
        with STEP.begins() as outer:
            with STEP.within("inner") as inner:
                assert inner
            later = copy_context()
        assert not STEP.within()
        assert not later.run(STEP.within), "a task that outlives its span makes no part of it"
        assert later.run(carried) == b""
    [one] = [span for span in collector.spans if span.name == "inner"]
    [two] = [span for span in collector.spans if span.name == "tests.step"]
    assert (one.trace_id, one.parent_id, two.parent_id) == (two.trace_id, two.span_id, "")
    assert two.carried == outer.carried


async def test_a_task_that_is_begun_inside_of_traced_work_belongs_to_it_and_leaves_nothing_behind(collector: Collector):
    async def work() -> bytes:
        with STEP.within("part") as span:
            await asyncio.sleep(0)
            return span.carried

    with telemetry(collector):
        with STEP.begins() as span:
            found = await asyncio.gather(*(asyncio.create_task(work()) for _ in range(3)))
        assert {each[:16] for each in found} == {span.carried[:16]}
        assert len({each[16:] for each in found}) == 3
        assert ids() is None


def test_what_begins_untraced_inside_of_traced_work_is_no_part_of_it(collector: Collector):
    with telemetry(collector, share=0.0001), STEP.begins(always=True):
        for begin in (STEP.begins, lambda: STEP.follows(b"")):
            for _ in range(5):
                with begin() as inner:
                    if not inner:
                        assert not STEP.within()
                        assert ids() is None
        assert STEP.within()


# From process to process


def test_another_process_goes_on_with_24_bytes_and_links_what_else_belongs_to_it(collector: Collector):
    with telemetry(collector):
        with STEP.begins("first") as first:
            pass
        with STEP.begins("second") as second:
            pass
        with STEP.follows(first.carried, [second.carried, b"nonsense"], "third"):
            pass
    by_name = {span.name: span for span in collector.spans}
    third = by_name["third"]
    assert len(first.carried) == 24
    assert (third.trace_id, third.parent_id) == (by_name["first"].trace_id, by_name["first"].span_id)
    assert third.links == [(by_name["second"].trace_id, by_name["second"].span_id)]


@pytest.mark.parametrize(
    "wrong", [b"", b"\x01", bytes(24), b"\x01" * 23, b"\x01" * 25, b"x" * 10_000, b"\x01" * 16 + bytes(8)]
)
def test_anything_else_is_no_trace(collector: Collector, wrong: bytes):
    with telemetry(collector):
        assert not STEP.follows(wrong)
    assert collector.spans == []


def test_links_are_bounded(collector: Collector):
    with telemetry(collector):
        others = [STEP.begins().carried for _ in range(100)]
        with STEP.follows(others[0], others, "linked"):
            pass
    [linked] = collector.named("linked")
    assert len(linked.links) == 16


# What is in a span


def test_a_failure_is_the_class_of_its_error_and_never_its_text(collector: Collector):
    with telemetry(collector), pytest.raises(ValueError, match="Busy"), STEP.begins():
        raise ValueError("ada@contoso.example is Busy")
    [span] = collector.spans
    assert span.is_failed
    assert span.attributes == {"error.type": "ValueError"}
    assert not [request for request in collector.requests if b"ada@" in request]


def test_a_tenant_is_in_a_span_only_if_the_settings_name_it(collector: Collector):
    with telemetry(collector, tenants=frozenset({"t1"})):
        for tenant in ("t1", "t2"):
            with STEP.begins() as span:
                span.note_tenant(tenant)
                span.note("tests.number", 7)
    one, two = collector.spans
    assert one.attributes == {"relay.tenant_id": "t1", "tests.number": 7}
    assert two.attributes == {"tests.number": 7}
    assert one.roles == EDGE


def test_lines_of_the_log_have_the_ids_of_the_span_in_which_they_are_written(collector: Collector):
    root = stdlib.getLogger()
    before, stream = (root.handlers[:], root.level), io.StringIO()
    stdlib.getLogger("uvicorn.error").setLevel(
        stdlib.NOTSET
    )  # a server of another test in this process may have raised it
    logging.configure("json", "info", stream)
    try:
        with telemetry(collector):
            log = structlog.get_logger("relay.tests")
            log.info("outside")
            with STEP.begins():
                log.info("inside")
                stdlib.getLogger("uvicorn.error").warning("a library's")
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    outside, inside, library = [json.loads(line) for line in stream.getvalue().splitlines()]
    [span] = collector.spans
    assert not {"trace_id", "span_id"} & outside.keys()
    assert (inside["trace_id"], inside["span_id"]) == (span.trace_id, span.span_id)
    assert (library["trace_id"], library["span_id"]) == (span.trace_id, span.span_id)


# A collector in trouble


@pytest.mark.long
@pytest.mark.parametrize("trouble", ["away", "refuses", "slow"])
def test_a_collector_in_trouble_holds_up_nothing_and_is_told_once(
    trouble: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(telemetry_module, "_SHUTDOWN_MS", 300)
    monkeypatch.setattr(span_export, "_GATHER_S", 0.01)
    answer = grpc.StatusCode.PERMISSION_DENIED if trouble == "refuses" else grpc.StatusCode.OK
    dropped, many = SPANS.counts.get(("dropped",), 0), 3 * span_export.MOST_WAITING
    with structlog.testing.capture_logs() as lines, collecting(answer, 60.0 if trouble == "slow" else 0) as collector:
        if trouble == "away":
            collector.port = unused_tcp_port
        with telemetry(collector) as running:
            begun = time.thread_time()
            for _ in range(many):
                with STEP.begins():
                    pass
            took_s = time.thread_time() - begun
            assert running._spans is not None
            assert len(running._spans._waiting) <= span_export.MOST_WAITING
            if trouble == "refuses":
                eventually_in_thread(lambda: not running._spans._waiting)  # type: ignore[union-attr]
                with STEP.begins():
                    pass
                eventually_in_thread(lambda: not running._spans._waiting)  # type: ignore[union-attr]
    assert took_s / many < 0.001  # some 30 us; what waits for a collector takes seconds
    told = [line for line in lines if line["event"] == "spans_not_sent"]
    assert len(told) <= 1
    if trouble == "refuses":
        assert told[0]["collector"] == collector.url
        assert len(collector.requests) > 1
    else:
        assert SPANS.counts[("dropped",)] > dropped
    assert threading.active_count() < 30


def test_a_collector_that_works_again_is_told_once_and_gets_what_comes_then(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(span_export, "_GATHER_S", 0.01)
    with (
        structlog.testing.capture_logs() as lines,
        collecting(grpc.StatusCode.PERMISSION_DENIED) as collector,
        telemetry(collector),
    ):
        STEP.begins("lost").end()
        eventually_in_thread(lambda: lines)
        collector.answer = grpc.StatusCode.OK
        asked = len(collector.requests)
        for number in (1, 2):
            STEP.begins("kept").end()
            eventually_in_thread(lambda n=number: len(collector.requests) >= asked + n)  # type: ignore[misc]
    assert [line["event"] for line in lines] == ["spans_not_sent", "spans_sent_again"]
    assert len(collector.named("kept")) == 2


def test_what_waits_is_sent_on_leaving(collector: Collector):
    with telemetry(collector):
        for _ in range(1200):
            with STEP.begins():
                pass
    assert len(collector.spans) == 1200


class _Stuck(SpanExporter):
    """An exporter that never comes back while the test lasts."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.is_called = threading.Event()

    def export(self, spans: object) -> SpanExportResult:
        self.is_called.set()
        self.let_go.wait()
        return SpanExportResult.FAILURE


def test_leaving_waits_for_a_stuck_collector_no_longer_than_it_was_told():
    stuck = _Stuck()
    export = span_export.SpanExport(stuck, "http://127.0.0.1:4317")
    tracers = TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
    tracers.add_span_processor(export)
    tracers.get_tracer("tests").start_span("one").end()
    export.finish()
    assert stuck.is_called.wait(30)
    export.shutdown(0.05)  # hangs for ever when it waits for the exporter
    stuck.let_go.set()
