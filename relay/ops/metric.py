"""The description of a metric: name, unit, labels and the question that it answers. `docs/reference/metrics.md` is generated from these.

Names and units follow OpenTelemetry's semantic conventions where those cover the subject (`process.*`, `http.*`,
`rpc.*`, `db.*`); the others begin with `relay.`. A label is never a user, and a tenant only in metrics that begin with
`relay.tenant.`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final

EDGE: Final = "edge"
WEB: Final = "web"
WEBHOOK: Final = "webhook"
WORKER: Final = "worker"
EVERY: Final = (EDGE, WEB, WEBHOOK, WORKER)
"""The roles that export metrics of every process."""
TENANT_ID: Final = {"tenant_id": "tenants of RELAY_TELEMETRY_TENANTS"}

Labels = Mapping[str, tuple[str, ...] | str]
"""Label -> all its values, or a description where the relay does not define them."""

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
"""Bounds of a histogram in seconds; OpenTelemetry's defaults are meant for milliseconds. 0.15 and 6 are promises."""

_MOST_SEEDED: Final = 64
"""Largest number of series of a counter that begin with 0; with more, each series begins with its first count."""


class MetricKind(enum.StrEnum):
    """OpenTelemetry's kind of instrument."""

    COUNTER = "counter"
    UP_DOWN = "up-down counter"
    """A number of things, which can be summed over all processes."""
    GAUGE = "gauge"
    """A number whose sum over processes is meaningless."""
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: in OpenTelemetry's spelling.
        kind: of its instrument.
        unit: in UCUM (`s`, `By`, `1`, `{stream}`).
        meaning: description, one line.
        question: the operator's question that it answers.
        roles: the roles whose processes export it.
        labels: the labels of its series.
        bounds: of a histogram's buckets.
    """

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    question: str
    roles: tuple[str, ...]
    labels: Labels = field(default_factory=dict)
    bounds: tuple[float, ...] = SECONDS

    @property
    def prometheus_name(self) -> str:
        """Return the name under which Prometheus finds it; a histogram's has `_bucket`, `_sum` and `_count` behind it."""
        words = [_underscored(self.name), {"s": "seconds", "By": "bytes"}.get(self.unit, "")]
        if self.kind is MetricKind.COUNTER:
            words.append("total")
        return "_".join(filter(None, words))

    @property
    def prometheus_labels(self) -> Labels:
        """Return the labels as Prometheus spells them."""
        return {_underscored(label): values for label, values in self.labels.items()}

    def seeds(self) -> list[tuple[str, ...]]:
        """Return the values of the labels of each series that begins with 0, so that a first event is an increase."""
        values = list(self.labels.values())
        known = [each for each in values if isinstance(each, tuple)]
        if len(known) < len(values):
            return []
        series = list(product(*known))
        return series if len(series) <= _MOST_SEEDED else []


def _underscored(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "_", name)
