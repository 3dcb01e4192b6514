"""The metric of the pages; how long they take is in `relay.http.metrics`."""

from __future__ import annotations

from typing import Final

from relay.ops.instruments import Counter
from relay.ops.metric import WEB, Metric, MetricKind

STEPS: Final = Counter(
    Metric(
        name="relay.onboarding.steps",
        kind=MetricKind.COUNTER,
        unit="{step}",
        meaning="Steps of onboardings that ended, by outcome",
        question="Where do people get stuck while they connect their organisation?",
        roles=(WEB,),
        labels={
            "step": ("start", "invite", "consent", "confirm", "admin_consent", "key"),
            "outcome": "`done`, or the problem that the page showed",
        },
    )
)
