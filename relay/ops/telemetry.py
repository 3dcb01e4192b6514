"""OpenTelemetry: metrics on the ops port, and to a collector when one is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from opentelemetry.sdk.metrics.export import MetricReader

SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.15,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    6.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
"""Bounds of every histogram in seconds; OpenTelemetry's own are meant for milliseconds. 0.15 and 6 are promises."""

_SHUTDOWN_MS: Final = 3000  # a collector that is away must not hold up the end of the process


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """The destination of metrics, with the process' attributes."""

    otlp_endpoint: str | None = None
    """A collector's gRPC address, `http://…` or `https://…`; None sends nothing."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Attributes that distinguish this process from its siblings, such as its roles."""


class Telemetry:
    """The metrics of this process, as a context manager; one in a process, because OpenTelemetry's API is global.

    On leaving, the last metrics are sent, for at most some seconds.
    """

    def __init__(self, settings: TelemetrySettings) -> None:
        self._registry = CollectorRegistry()
        resource = Resource.create(
            {"service.name": "presence-relay", "service.version": _version(), **settings.attributes}
        )
        readers: list[MetricReader] = [PrometheusMetricReader(registry=self._registry)]
        if settings.otlp_endpoint is not None:
            readers.append(_metric_export(settings.otlp_endpoint))
        self.meters = MeterProvider(readers, resource, shutdown_on_exit=False, views=[_SECONDS_VIEW])

    def __enter__(self) -> Self:
        metrics.set_meter_provider(self.meters)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.meters.shutdown(_SHUTDOWN_MS)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text form."""
        return generate_latest(self._registry)


_SECONDS_VIEW: Final = View(
    instrument_type=Histogram, instrument_unit="s", aggregation=ExplicitBucketHistogramAggregation(SECONDS)
)


def _metric_export(endpoint: str) -> MetricReader:
    # Imported here because it loads gRPC and protobuf, which a process without a collector has no use for at start.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint))


def _version() -> str:
    try:
        return metadata.version("presence-relay")
    except metadata.PackageNotFoundError:
        return "unknown"
