"""Alerts on causes: what will hurt suites soon, or hurts them where no objective counts it.

Each release is judged by itself: releases are told apart by the label `namespace`, which Prometheus sets in Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAGE: Final = "page"
"""Somebody acts now."""
TICKET: Final = "ticket"
"""Somebody acts within a working day."""


@dataclass(frozen=True)
class Alert:
    """One alert. Its runbook has its name, see `rules.runbook`.

    Attributes:
        name: of the alert.
        runbook: name of the runbook's file.
        expr: the expression of Prometheus; a result is a fault.
        lasting: how long it must last.
        severity: PAGE or TICKET.
        summary: what is wrong.
        description: a sentence with what was measured, in Prometheus' templates.
    """

    name: str
    runbook: str
    expr: str
    lasting: str
    severity: str
    summary: str
    description: str


_OWNED: Final = (
    "(sum by (namespace) (relay_worker_partitions)"
    " or 0 * count by (namespace) (relay_store_ready)"
    " or (vector(0) unless on () count(relay_store_ready)))"
)
"""Partitions that have a worker: 0 where a release has none, and 0 when Prometheus knows of no release at all."""

ALERTS: Final = (
    Alert(
        name="PresenceRelayContactLost",
        runbook="contact-lost",
        expr="max by (namespace) (relay_worker_contact_age_seconds) > 60",
        lasting="2m",
        severity=PAGE,
        summary="Microsoft has not confirmed the presence of a tenant for over a minute",
        description="The longest time without a confirmation is {{ $value | humanizeDuration }}.",
    ),
    Alert(
        name="PresenceRelayPartitionsUnowned",
        runbook="partitions-unowned",
        expr=_OWNED + " < 64",
        lasting="2m",
        severity=PAGE,
        summary="No worker reads some of the 64 partitions",
        description="{{ $value }} of 64 partitions have a worker.",
    ),
    Alert(
        name="PresenceRelayRedisAway",
        runbook="redis-away",
        expr="min by (namespace, role, instance) (relay_store_ready) == 0",
        lasting="1m",
        severity=PAGE,
        summary="A process cannot use Redis",
        description="{{ $labels.instance }}, with the role {{ $labels.role }}, cannot use it.",
    ),
    Alert(
        name="PresenceRelayHistoryLost",
        runbook="history-lost",
        expr="sum by (namespace) (increase(relay_worker_histories_lost_total[15m])) > 0",
        lasting="0m",
        severity=TICKET,
        summary="Redis lost the history of partitions, and suites were sent everything anew",
        description="About {{ $value | humanize }} partitions in 15 minutes.",
    ),
    Alert(
        name="PresenceRelayLeasesLost",
        runbook="leases-lost",
        expr="sum by (namespace) (increase(relay_worker_leases_lost_total[1h])) > 64",
        lasting="0m",
        severity=TICKET,
        summary="Workers lose their leases again and again",
        description="About {{ $value | humanize }} leases in an hour.",
    ),
    Alert(
        name="PresenceRelayThrottled",
        runbook="throttled",
        expr="sum by (namespace) (relay_worker_tenants_blocked) > 0",
        lasting="15m",
        severity=TICKET,
        summary="Microsoft Graph asks the relay to wait",
        description="{{ $value }} tenants wait at this moment.",
    ),
    Alert(
        name="PresenceRelaySubscriptionsSilent",
        runbook="subscriptions-silent",
        expr='sum by (namespace) (relay_worker_subscriptions{condition=~"silent|refused"}) / sum by (namespace) (relay_worker_subscriptions) > 0.1',
        lasting="30m",
        severity=TICKET,
        summary="Change notifications do not arrive, so presence is up to a polling interval old",
        description="{{ $value | humanizePercentage }} of all subscriptions announce nothing, or were refused.",
    ),
    Alert(
        name="PresenceRelayGrantsUnrefreshed",
        runbook="grants-unrefreshed",
        expr="max by (namespace) (relay_worker_grants_unrefreshed_seconds) > 7 * 86400",
        lasting="1h",
        severity=TICKET,
        summary="A consent that works was not refreshed for a week, and ends after 90 days without",
        description="Its last refresh was {{ $value | humanizeDuration }} ago.",
    ),
    Alert(
        name="PresenceRelayCredentialExpires",
        runbook="credential-expires",
        expr="min by (namespace, credential) (relay_credential_expires_in_seconds) < 14 * 86400",
        lasting="1h",
        severity=TICKET,
        summary="A credential or certificate of the relay expires within 14 days",
        description="{{ $labels.credential }} expires in {{ $value | humanizeDuration }}.",
    ),
    Alert(
        name="PresenceRelayProcessBusy",
        runbook="process-busy",
        expr="histogram_quantile(0.99, sum by (namespace, role, le) (rate(relay_event_loop_lag_seconds_bucket[5m]))) > 0.5",
        lasting="10m",
        severity=TICKET,
        summary="A process has too little CPU to answer in time",
        description="One task in a hundred begins {{ $value | humanizeDuration }} late, in a process with the role {{ $labels.role }}.",
    ),
    Alert(
        name="PresenceRelayFilesNearLimit",
        runbook="files-near-limit",
        expr="max by (namespace, role, instance) (process_unix_file_descriptor_count / relay_process_file_descriptor_limit) > 0.8",
        lasting="10m",
        severity=TICKET,
        summary="A process has nearly as many connections open as it may",
        description="{{ $labels.instance }}, with the role {{ $labels.role }}, has {{ $value | humanizePercentage }} of what it may have.",
    ),
    Alert(
        name="PresenceRelayAdministratorsNotTold",
        runbook="administrators-not-told",
        expr='sum by (namespace, channel) (increase(relay_alerts_total{outcome="given_up"}[1h])) > 0',
        lasting="0m",
        severity=TICKET,
        summary="An administrator was not told that a consent has ended",
        description="About {{ $value | humanize }} messages by {{ $labels.channel }} were given up in an hour.",
    ),
)
