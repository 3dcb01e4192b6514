"""Alerts on causes: what will hurt suites soon, or hurts them where no objective counts it."""

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
    """

    name: str
    runbook: str
    expr: str
    lasting: str
    severity: str
    summary: str


ALERTS: Final = (
    Alert(
        name="PresenceRelayContactLost",
        runbook="contact-lost",
        expr="max(relay_worker_contact_age_seconds) > 60",
        lasting="2m",
        severity=PAGE,
        summary="Microsoft has not confirmed the presence of a tenant for over a minute",
    ),
    Alert(
        name="PresenceRelayPartitionsUnowned",
        runbook="partitions-unowned",
        expr="(sum(relay_worker_partitions) or vector(0)) < 64",
        lasting="2m",
        severity=PAGE,
        summary="No worker reads some of the 64 partitions",
    ),
    Alert(
        name="PresenceRelayRedisAway",
        runbook="redis-away",
        expr="min by (role) (relay_store_ready) == 0",
        lasting="1m",
        severity=PAGE,
        summary="A process cannot use Redis",
    ),
    Alert(
        name="PresenceRelayHistoryLost",
        runbook="history-lost",
        expr="sum(increase(relay_worker_histories_lost_total[15m])) > 0",
        lasting="0m",
        severity=TICKET,
        summary="Redis lost the history of partitions, and suites were sent everything anew",
    ),
    Alert(
        name="PresenceRelayLeasesLost",
        runbook="leases-lost",
        expr="sum(increase(relay_worker_leases_lost_total[1h])) > 64",
        lasting="0m",
        severity=TICKET,
        summary="Workers lose their leases again and again",
    ),
    Alert(
        name="PresenceRelayThrottled",
        runbook="throttled",
        expr="sum(relay_worker_tenants_blocked) > 0",
        lasting="15m",
        severity=TICKET,
        summary="Microsoft Graph asks the relay to wait",
    ),
    Alert(
        name="PresenceRelaySubscriptionsSilent",
        runbook="subscriptions-silent",
        expr='sum(relay_worker_subscriptions{condition=~"silent|refused"}) / sum(relay_worker_subscriptions) > 0.1',
        lasting="30m",
        severity=TICKET,
        summary="Change notifications do not arrive, so presence is up to a polling interval old",
    ),
    Alert(
        name="PresenceRelayGrantsUnrefreshed",
        runbook="grants-unrefreshed",
        expr="max(relay_worker_grants_unrefreshed_seconds) > 7 * 86400",
        lasting="1h",
        severity=TICKET,
        summary="A consent that works was not refreshed for a week, and ends after 90 days without",
    ),
    Alert(
        name="PresenceRelayCredentialExpires",
        runbook="credential-expires",
        expr="min by (credential) (relay_credential_expires_in_seconds) < 14 * 86400",
        lasting="1h",
        severity=TICKET,
        summary="A credential or certificate of the relay expires within 14 days",
    ),
    Alert(
        name="PresenceRelayProcessBusy",
        runbook="process-busy",
        expr="histogram_quantile(0.99, sum by (role, le) (rate(relay_event_loop_lag_seconds_bucket[5m]))) > 0.5",
        lasting="10m",
        severity=TICKET,
        summary="A process has too little CPU to answer in time",
    ),
    Alert(
        name="PresenceRelayFilesNearLimit",
        runbook="files-near-limit",
        expr="max by (role) (process_unix_file_descriptor_count / relay_process_file_descriptor_limit) > 0.8",
        lasting="10m",
        severity=TICKET,
        summary="A process has nearly as many connections open as it may",
    ),
    Alert(
        name="PresenceRelayAdministratorsNotTold",
        runbook="administrators-not-told",
        expr='sum by (channel) (increase(relay_alerts_total{outcome="given_up"}[1h])) > 0',
        lasting="0m",
        severity=TICKET,
        summary="An administrator was not told that a consent has ended",
    ),
)
