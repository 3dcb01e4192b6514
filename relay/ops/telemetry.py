"""OpenTelemetry: metrics on the ops port, metrics and traces to a collector when one is set."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import metadata
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client import CollectorRegistry, generate_latest

from relay.ops.instruments import EXPORTED
from relay.ops.metric_export import CollectorExport
from relay.ops.process_metrics import EVENT_LOOP_LAG, PROCESS
from relay.ops.span import tracing
from relay.ops.span_export import SpanExport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType
    from typing import Any, Self

    from opentelemetry.sdk.metrics.export import MetricReader

    from relay.ops.instruments import Instruments

SCOPE: Final = "relay"
_SHUTDOWN_MS: Final = 3000  # an unreachable collector must not delay the end of the process
_LIMITS: Final = SpanLimits(max_span_attributes=24, max_events=8, max_links=16, max_span_attribute_length=200)
_FRESH_S: Final = 0.5
"""A scrape within this time of another gets the same text, which bounds the cost of frequent scrapes."""
_LAG_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """The destination of metrics and traces, with the process' attributes."""

    otlp_endpoint: str | None = None
    """A collector's gRPC address, `http://…` or `https://…`; None disables sending."""
    interval: timedelta = timedelta(seconds=60)
    """Interval between two readings that are sent to the collector."""
    roles: frozenset[str] = frozenset()
    """The roles of the process."""
    trace_share: float = 0.0
    """Share of the units of work that begin a trace, from 0 to 1."""
    tenants: frozenset[str] = frozenset()
    """Tenants with series of their own, which spans may also name."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Attributes that distinguish this process from its siblings."""


class Telemetry:
    """The metrics and spans of this process, as a context manager. Run `loops` meanwhile, on the event loop that changes the metrics.

    On exit it sends the last metrics and spans, for at most some seconds.
    """

    def __init__(self, settings: TelemetrySettings, instruments: Instruments = EXPORTED) -> None:
        self._instruments = instruments
        self._settings = settings
        self._registry = CollectorRegistry()
        self._text = b""
        self._text_until = 0.0
        self._stack = ExitStack()
        described = {"service.name": "presence-relay", "service.version": _version(), **settings.attributes}
        if settings.roles:
            described["relay.roles"] = " ".join(sorted(settings.roles))
        readers: list[MetricReader] = [PrometheusMetricReader(registry=self._registry, scope_info_enabled=False)]
        self._pushed: MetricReader | None = None
        if settings.otlp_endpoint is not None:
            self._pushed = _pushed(settings.otlp_endpoint)
            readers.append(self._pushed)
        resource = Resource.create(described)
        self.meters = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._spans: SpanExport | None = None
        if settings.otlp_endpoint is not None and settings.trace_share > 0:
            self._spans = _span_export(settings.otlp_endpoint)
            self._tracers = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=_LIMITS)
            self._tracers.add_span_processor(self._spans)

    def __enter__(self) -> Self:
        self._stack.enter_context(self._instruments.exporting(self.meters.get_meter(SCOPE), self._settings.roles))
        for gauge, read in PROCESS.items():
            self._stack.enter_context(gauge.reading(read))
        self._instruments.tenants = self._settings.tenants
        if self._spans is not None:
            tracer = self._tracers.get_tracer(SCOPE)
            self._stack.enter_context(tracing(tracer, self._settings.trace_share, self._settings.tenants))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        until = time.monotonic() + _SHUTDOWN_MS / 1000
        if self._spans is not None:
            self._spans.finish()
        if self._pushed is not None:
            self._pushed.collect()
        self.meters.shutdown(_SHUTDOWN_MS)
        if self._spans is not None:
            self._spans.shutdown(until - time.monotonic())
        self._instruments.tenants = frozenset()
        self._stack.close()

    @property
    def loops(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """Name -> a function to run until it is cancelled."""
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {"telemetry-lag": self._measure_lag}
        if self._pushed is not None:
            loops["telemetry-push"] = self._push
        return loops

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text form, at most half a second old."""
        now = time.monotonic()
        if now >= self._text_until:
            self._text = generate_latest(self._registry)
            self._text_until = time.monotonic() + _FRESH_S
        return self._text

    async def _push(self) -> None:
        assert self._pushed is not None
        while True:
            await asyncio.sleep(self._settings.interval.total_seconds())
            self._pushed.collect()

    async def _measure_lag(self) -> None:
        """Measure the delay of the event loop."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            EVENT_LOOP_LAG.record(max(0.0, loop.time() - due))


def _pushed(endpoint: str) -> MetricReader:
    # Imported here because it loads gRPC and protobuf, which a process without a collector does not need at start.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    # Infinite: the event loop reads the metrics, and not a thread of the library.
    exporter = CollectorExport(OTLPMetricExporter(endpoint=endpoint), endpoint)
    return PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)


def _span_export(endpoint: str) -> SpanExport:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return SpanExport(OTLPSpanExporter(endpoint=endpoint), endpoint)


def _version() -> str:
    try:
        return metadata.version("presence-relay")
    except metadata.PackageNotFoundError:
        return "unknown"
