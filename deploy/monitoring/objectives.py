"""The service level objectives. Each is a share of events that went wrong for a reason which the operator or Microsoft must cure.

Each release is judged by itself: releases are told apart by the label `namespace`, which Prometheus sets in Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_WINDOW: Final = "WINDOW"


@dataclass(frozen=True)
class Objective:
    """One objective over 30 days.

    Attributes:
        name: of its rules and its runbook.
        alert: name of its alerts.
        target: share of events that must go well.
        events: the rate of all events, with `WINDOW` in the place of a window.
        errors: the rate of those that went wrong, likewise.
        summary: what is wrong when the alert fires.
    """

    name: str
    alert: str
    target: float
    events: str
    errors: str
    summary: str

    def error_ratio(self, window: str) -> str:
        """Return the expression of the share of errors over a window such as `5m`; no result without events."""
        errors, events = (each.replace(_WINDOW, window) for each in (self.errors, self.events))
        return f"({errors}) / ({events} > 0)"


def _rate(metric: str, labels: str = "") -> str:
    selector = f"{{{labels}}}" if labels else ""
    return f"sum by (namespace) (rate({metric}{selector}[{_WINDOW}]))"


def _or_none(expr: str, events: str) -> str:
    """Return the expression, with 0 where there are events, and none of these."""
    return f"({expr} or 0 * {events})"


_AGE: Final = "relay_edge_answer_age_seconds"
_READS: Final = "relay_worker_reads_total"
_CALLS: Final = "rpc_server_call_duration_seconds_count"
_POSTS: Final = "http_server_request_duration_seconds"
_TO_WEBHOOK: Final = 'http_route="/notifications/{route_id}"'
_TOKENS: Final = "relay_entra_tokens_total"
_WRITES: Final = "relay_store_durable_writes_total"

OBJECTIVES: Final = (
    Objective(
        name="freshness",
        alert="PresenceRelayChangesLate",
        target=0.99,
        events=_rate(_AGE + "_count"),
        errors=_rate(_AGE + "_count") + " - " + _rate(_AGE + "_bucket", 'le="6.0"'),
        summary="Suites see changes of presence later than 6 seconds after Microsoft told them",
    ),
    Objective(
        name="answered",
        alert="PresenceRelayReadsFail",
        target=0.995,
        events=_rate(_READS),
        errors=_or_none(_rate(_READS, 'outcome=~"throttled|source_unreachable|malformed"'), _rate(_READS)),
        summary="Reads of presence at Microsoft Graph fail",
    ),
    Objective(
        name="connected",
        alert="PresenceRelaySuitesRefused",
        target=0.999,
        events=_rate(_CALLS),
        errors=_or_none(_rate(_CALLS, 'error_type=~"ERROR_REASON_(STORE_UNAVAILABLE|BUG|BUSY)"'), _rate(_CALLS)),
        summary="Edges end or refuse the streams of suites",
    ),
    Objective(
        name="webhook-answer",
        alert="PresenceRelayWebhookSlow",
        target=0.999,
        events=_rate(_POSTS + "_count", _TO_WEBHOOK),
        errors=_rate(_POSTS + "_count", _TO_WEBHOOK)
        + " - "
        + _or_none(
            _rate(_POSTS + "_bucket", _TO_WEBHOOK + ',le="2.5",error_type=""'), _rate(_POSTS + "_count", _TO_WEBHOOK)
        ),
        summary="The webhook answers Microsoft's notifications late or with errors",
    ),
    Objective(
        name="consent",
        alert="PresenceRelayTokensRefused",
        target=0.995,
        events=_rate(_TOKENS),
        errors=_or_none(_rate(_TOKENS, 'outcome=~"credential_rejected|throttled|unreachable"'), _rate(_TOKENS)),
        summary="Microsoft Entra gives no access tokens, for a reason that no tenant can cure",
    ),
    Objective(
        name="custody",
        alert="PresenceRelayWritesNotConfirmed",
        target=0.999,
        events=_rate(_WRITES),
        errors=_or_none(_rate(_WRITES, 'outcome="not_confirmed"'), _rate(_WRITES)),
        summary="Redis does not confirm that grants, suite keys and tenants are on disk",
    ),
)
