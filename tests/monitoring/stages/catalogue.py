"""Alert -> the fault that makes it fire, and what the first command of its runbook must show then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.monitoring.stages import faults
from tests.monitoring.stages.faults import Staging


@dataclass(frozen=True)
class Stage:
    """One alert in one fault.

    Attributes:
        alert: its name.
        staged_by: the fault, in words.
        fault: the fault.
        shows: what the runbook's first command must print while it lasts, a regular expression.
    """

    alert: str
    staged_by: str
    fault: Staging
    shows: str


STAGES: Final = (
    Stage(
        "PresenceRelayChangesLate",
        "the clock of the edge's node is 10 s ahead",
        faults.clock_ahead,
        r"source=\w+ ([7-9]|\d\d)",
    ),
    Stage(
        "PresenceRelayReadsFail",
        "Graph answers all reads of presence with 503",
        faults.graph_fails(path=faults.READS, status=503),
        r"class=failed operation=read_presences (0\.\d*)?[1-9]",
    ),
    Stage(
        "PresenceRelaySuitesRefused",
        "the edge does not reach Redis, and suites connect to it",
        faults.suites_come_to_a_cut_edge,
        r"error_type=ERROR_REASON_STORE_UNAVAILABLE (0\.\d*)?[1-9]",
    ),
    Stage(
        "PresenceRelayWebhookSlow",
        "the webhook does not reach Redis",
        faults.cut_line("webhook"),
        r"notifications_postponed",
    ),
    Stage(
        "PresenceRelayTokensRefused",
        "Entra rejects the relay's client secret",
        faults.secret_refused,
        r"outcome=credential_rejected (0\.\d*)?[1-9]",
    ),
    Stage(
        "PresenceRelayWritesNotConfirmed",
        "Redis' append-only file is switched off",
        faults.redis_without_its_file,
        r"(?i)WRONG.*(appendonly|append-only|on disk)",
    ),
    Stage(
        "PresenceRelayContactLost",
        "Graph answers the reads of one tenant with 503",
        faults.one_tenant_not_read,
        r" ago +\S+ +(stale|source.unreachable)",
    ),
    Stage(
        "PresenceRelayThrottled",
        "Graph answers reads with 429 and `Retry-After: 2`",
        faults.graph_fails(path=faults.READS, status=429, headers={"Retry-After": "2"}),
        r"operation=read_presences (0\.\d*)?[1-9]",
    ),
    Stage(
        "PresenceRelaySubscriptionsSilent",
        "Microsoft does not reach the webhook",
        faults.cut_line("hook"),
        r"outcome=(webhook_unreachable|silent) [1-9]",
    ),
    Stage(
        "PresenceRelayGrantsUnrefreshed",
        "a tenant comes from a backup of eight days ago, and Entra answers 503 for it",
        faults.old_grant,
        r"outcome=unreachable [1-9]",
    ),
    Stage(
        "PresenceRelayCredentialExpires",
        "the pages' certificate ends in three days",
        faults.certificate_near_its_end,
        r"credential=RELAY_WEB_TLS_CERT.* [23](\.\d+)?$",
    ),
    Stage(
        "PresenceRelayAdministratorsNotTold",
        "the mail server is unavailable, and a message has waited for a day",
        faults.mail_server_away,
        r"alert_not_sent",
    ),
    Stage(
        "PresenceRelayFilesNearLimit",
        "a client opens 55 idle connections to an edge that may have 60 more files",
        faults.idle_connections,
        r"instance=edge role=edge 0\.[89]",
    ),
    Stage(
        "PresenceRelayProcessBusy",
        "the webhook is stopped for 0.85 s of each 1.2 s",
        faults.stopped_again_and_again("webhook", 0.85, 0.35),
        r"instance=webhook role=webhook (0\.[5-9]|[1-9])",
    ),
    Stage(
        "PresenceRelayPartitionsUnowned",
        "both workers are killed",
        faults.workers_killed,
        r"worker-1 0/1 Error",
    ),
    Stage(
        "PresenceRelayLeasesLost",
        "both workers are stopped for 15 s again and again",
        faults.stopped_again_and_again("worker", 15.0, 8.0),
        r"leases_renewed_too_late|leases_not_renewed",
    ),
    Stage(
        "PresenceRelayRedisAway",
        "Redis is killed",
        faults.redis_killed,
        r"(?i)WRONG.*Redis",
    ),
    Stage(
        "PresenceRelayHistoryLost",
        "Redis writes to no file for 5 s, and is killed and started",
        faults.redis_loses_writes,
        r"store_reconnected|redis_primary_changed|inbox_gap",
    ),
)  # fmt: skip
