"""The metrics of alerts."""

from __future__ import annotations

from typing import Final

from relay.ops.instruments import Counter, Gauge
from relay.ops.metric import WORKER, Metric, MetricKind

_CHANNELS: Final = ("mail", "hook")

ALERTS: Final = Counter(
    Metric(
        name="relay.alerts",
        kind=MetricKind.COUNTER,
        unit="{alert}",
        meaning="Attempts to send e-mails and hooks to administrators, by outcome: `postponed` is tried again, `given_up` is not",
        question="Do administrators learn that their consent has ended?",
        roles=(WORKER,),
        labels={"channel": _CHANNELS, "outcome": ("sent", "postponed", "given_up")},
    )
)
WAITING: Final = Gauge(
    Metric(
        name="relay.alerts.waiting",
        kind=MetricKind.UP_DOWN,
        unit="{alert}",
        meaning="E-mails and hooks that failed and are tried again later",
        question="Is the mail server, or a customer's address, not taking alerts?",
        roles=(WORKER,),
        labels={"channel": _CHANNELS},
    )
)
