"""The metrics of the webhook. The duration of its requests is in `relay.http.metrics`."""

from __future__ import annotations

from typing import Final

from relay.ops.instruments import Counter
from relay.ops.metric import WEBHOOK, Metric, MetricKind

_WEBHOOK: Final = (WEBHOOK,)

PASSED: Final = Counter(
    Metric(
        name="relay.webhook.notifications.passed",
        kind=MetricKind.COUNTER,
        unit="{notification}",
        meaning="Notifications put into the inbox",
        question="Do notifications arrive, and how many?",
        roles=_WEBHOOK,
    )
)
DROPPED: Final = Counter(
    Metric(
        name="relay.webhook.notifications.dropped",
        kind=MetricKind.COUNTER,
        unit="{notification}",
        meaning="Notifications dropped, by reason",
        question="Why are notifications dropped: unauthenticated clients, another application, a wrong clock?",
        roles=_WEBHOOK,
        labels={
            "reason": (
                "client_state",
                "route",
                "subscription",
                "token_audience",
                "token_form",
                "token_issuer",
                "token_missing",
                "token_publisher",
                "token_signature",
                "token_signer",
                "token_time",
                "unreadable",
            )
        },
    )
)
HANDSHAKES: Final = Counter(
    Metric(
        name="relay.webhook.handshakes",
        kind=MetricKind.COUNTER,
        unit="{request}",
        meaning="Handshakes answered",
        question="Does Microsoft reach the webhook when a subscription is created?",
        roles=_WEBHOOK,
    )
)
