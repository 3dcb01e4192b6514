"""Series that make each alert fire, and then end it. (Pure.)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BAD_MIN: Final = 90
"""Minutes of fault."""
GOOD_MIN: Final = 480
"""Minutes after it: longer than the longest of the short windows."""


@dataclass(frozen=True)
class Staged:
    """One series: `bad` and then `good`, each as growth a minute (counters) or as a value (gauges)."""

    series: str
    bad: int
    good: int
    is_counter: bool = True

    def values(self) -> str:
        """Return the values in promtool's notation, one a minute."""
        if not self.is_counter:
            return f"{self.bad}x{BAD_MIN - 1} {self.good}x{GOOD_MIN}"
        return f"0+{self.bad}x{BAD_MIN - 1} {self.bad * BAD_MIN}+{self.good}x{GOOD_MIN}"


def _gauge(series: str, bad: int, good: int) -> Staged:
    return Staged(series, bad, good, is_counter=False)


_ROUTE: Final = 'http_route="/notifications/{route_id}"'

STAGED: Final = {
    "PresenceRelayChangesLate": (
        Staged("relay_edge_answer_age_seconds_count", 60, 60),
        Staged('relay_edge_answer_age_seconds_bucket{le="6.0"}', 50, 60),
    ),
    "PresenceRelayReadsFail": (
        Staged('relay_worker_reads_total{outcome="answered"}', 50, 60),
        Staged('relay_worker_reads_total{outcome="throttled"}', 10, 0),
    ),
    "PresenceRelaySuitesRefused": (
        Staged('rpc_server_call_duration_seconds_count{error_type=""}', 60, 60),
        Staged('rpc_server_call_duration_seconds_count{error_type="ERROR_REASON_STORE_UNAVAILABLE"}', 10, 0),
    ),
    "PresenceRelayWebhookSlow": (
        Staged(f"http_server_request_duration_seconds_count{{{_ROUTE}}}", 60, 60),
        Staged(f'http_server_request_duration_seconds_bucket{{{_ROUTE},le="2.5"}}', 50, 60),
    ),
    "PresenceRelayTokensRefused": (
        Staged('relay_entra_tokens_total{outcome="given"}', 50, 60),
        Staged('relay_entra_tokens_total{outcome="unreachable"}', 10, 0),
    ),
    "PresenceRelayWritesNotConfirmed": (
        Staged('relay_store_durable_writes_total{outcome="confirmed"}', 50, 60),
        Staged('relay_store_durable_writes_total{outcome="not_confirmed"}', 10, 0),
    ),
    "PresenceRelayContactLost": (_gauge("relay_worker_contact_age_seconds", 90, 5),),
    "PresenceRelayPartitionsUnowned": (_gauge("relay_worker_partitions", 32, 64),),
    "PresenceRelayRedisAway": (_gauge('relay_store_ready{role="edge"}', 0, 1),),
    "PresenceRelayHistoryLost": (Staged("relay_worker_histories_lost_total", 1, 0),),
    "PresenceRelayLeasesLost": (Staged("relay_worker_leases_lost_total", 64, 0),),
    "PresenceRelayThrottled": (_gauge("relay_worker_tenants_blocked", 1, 0),),
    "PresenceRelaySubscriptionsSilent": (
        _gauge('relay_worker_subscriptions{condition="healthy"}', 1, 2),
        _gauge('relay_worker_subscriptions{condition="silent"}', 1, 0),
    ),
    "PresenceRelayGrantsUnrefreshed": (_gauge("relay_worker_grants_unrefreshed_seconds", 800_000, 60),),
    "PresenceRelayCredentialExpires": (
        _gauge('relay_credential_expires_in_seconds{credential="RELAY_EDGE_TLS_CERT"}', 86_400, 7_776_000),
    ),
    "PresenceRelayProcessBusy": (
        Staged('relay_event_loop_lag_seconds_bucket{role="worker",le="0.5"}', 10, 240),
        Staged('relay_event_loop_lag_seconds_bucket{role="worker",le="1.0"}', 240, 240),
        Staged('relay_event_loop_lag_seconds_bucket{role="worker",le="+Inf"}', 240, 240),
    ),
    "PresenceRelayFilesNearLimit": (
        _gauge('process_unix_file_descriptor_count{role="edge"}', 900, 100),
        _gauge('relay_process_file_descriptor_limit{role="edge"}', 1_000, 1_000),
    ),
    "PresenceRelayAdministratorsNotTold": (Staged('relay_alerts_total{channel="mail",outcome="given_up"}', 1, 0),),
}
"""Alert -> its series."""
