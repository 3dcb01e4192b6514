"""A collector of OpenTelemetry's: a real OTLP server on this machine, which keeps the spans that it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from relay.ops.span import SpanType, tracing
from relay.ops.span_export import SpanExport

STEP: Final = SpanType(
    name="tests.step", meaning="A unit of work of a test", roles=(), attributes={"tests.number": "a number"}
)
EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedSpan:
    """One span as it came; ids in hex, an absent parent is empty, times in ns since 1970."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    begun_ns: int
    ended_ns: int
    attributes: Mapping[str, object]
    links: Sequence[tuple[str, str]]
    is_failed: bool
    roles: str

    @property
    def carried(self) -> bytes:
        """Return the bytes by which others go on with this span."""
        return bytes.fromhex(self.trace_id + self.span_id)


class Collector:
    """A collector and the requests that it received.

    Attributes:
        port: where it listens.
        requests: the bytes of each request for spans, accepted or not.
    """

    def __init__(self, answer: grpc.StatusCode, delay_s: float) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.gone = threading.Event()
        self.answer = answer
        self.delay_s = delay_s

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[CollectedSpan]:
        """All spans, in the order in which they came."""
        return [span for request in list(self.requests) for span in _spans(request)]

    def named(self, name: str) -> list[CollectedSpan]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]

    def trace_of(self, span: CollectedSpan) -> list[CollectedSpan]:
        """All spans of a span's trace."""
        return [each for each in self.spans if each.trace_id == span.trace_id]

    def export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.requests.append(request)
        self.gone.wait(self.delay_s)
        if self.answer is not grpc.StatusCode.OK:
            context.abort(self.answer, "no")
        return b""


@contextmanager
def collecting(answer: grpc.StatusCode = grpc.StatusCode.OK, delay_s: float = 0.0) -> Iterator[Collector]:
    """A collector that answers each request for spans like this, and takes metrics."""
    collector = Collector(answer, delay_s)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for path, export in ((EXPORT, collector.export), (METRICS, _taken)):
        service, _, method = path[1:].partition("/")
        handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(export)})
        server.add_generic_rpc_handlers((handler,))
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        collector.gone.set()
        server.stop(0).wait()


@contextmanager
def telling(collector: Collector, share: float = 1.0) -> Iterator[None]:
    """Send the spans of this process to a collector while the context lasts, and no metrics."""
    export = SpanExport(OTLPSpanExporter(endpoint=collector.url), collector.url)
    tracers = TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
    tracers.add_span_processor(export)
    try:
        with tracing(tracers.get_tracer("tests"), share):
            yield
    finally:
        export.shutdown(30)


def _taken(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def _spans(request: bytes) -> Iterator[CollectedSpan]:
    for resource in otlp.ExportTraceServiceRequest.FromString(request).resource_spans:
        roles = str(_values(resource.resource.attributes).get("relay.roles", ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, roles)


def _span(span: Span, roles: str) -> CollectedSpan:
    return CollectedSpan(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        begun_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        is_failed=span.status.code == Status.StatusCode.STATUS_CODE_ERROR,
        roles=roles,
    )


def _values(attributes: Sequence[KeyValue]) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in attributes}
