"""Counts refused requests by reason, and logs them once a minute, without the client's data."""

from __future__ import annotations

import logging
import time
from collections import Counter as Tally
from typing import Final

import structlog

from relay.ops.instruments import Counter
from relay.ops.metric import WEB, WEBHOOK, Metric, MetricKind

log = structlog.get_logger(__name__)

_SAY_EVERY_S: Final = 60.0

REFUSED: Final = Counter(
    Metric(
        name="relay.http.refused",
        kind=MetricKind.COUNTER,
        unit="{refusal}",
        meaning="Connections and requests that a server refused or ended, by reason",
        question="Is a public server being flooded, or are its limits too low?",
        roles=(WEB, WEBHOOK),
        labels={
            "server": (WEB, WEBHOOK),
            "reason": (
                "busy",
                "crowded",
                "crowded_address",
                "head_too_long",
                "head_too_slow",
                "malformed",
                "no_descriptors",
                "no_tls",
                "pipelined",
                "reader_too_slow",
                "upgrade",
            ),
        },
    )
)


class RefusalCounter:
    """Counts for one server. The relay defines the few reasons, so a flood causes one line a minute for each."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._unsaid: Tally[str] = Tally()
        self._said: dict[str, float] = {}

    def __call__(self, reason: str) -> None:
        """Count one refusal of an unauthenticated client."""
        REFUSED.add(1, self._server, reason)
        self._unsaid[reason] += 1
        now = time.monotonic()
        if now - self._said.get(reason, -_SAY_EVERY_S) >= _SAY_EVERY_S:
            self._said[reason] = now
            self._say(reason)

    def close(self) -> None:
        """Log the counts that were not logged yet."""
        for reason in list(self._unsaid):
            self._say(reason)

    def _say(self, reason: str) -> None:
        count = self._unsaid.pop(reason, 0)
        level = logging.INFO if reason in _ORDINARY else logging.WARNING
        log.log(level, "http_refused", server=self._server, reason=reason, count=count, hint=_ADVICE.get(reason, ""))


_ORDINARY: Final = frozenset({"head_too_slow", "no_tls", "upgrade"})
"""Refusals that browsers with preconnect, load balancer probes and Java's HTTP client cause every day."""
_ADVICE: Final = {
    "crowded": "all connections are taken: see RELAY_HTTP_CONNECTIONS and the descriptors that the process may open",
    "crowded_address": "one address holds all its connections: see RELAY_HTTP_CONNECTIONS_PER_ADDRESS; for a proxy, "
    "RELAY_WEB_TRUSTED_PROXIES and RELAY_WEBHOOK_TRUSTED_PROXIES",
    "no_descriptors": "the process may open too few files: ulimit -n",
    "busy": "more requests at once than RELAY_HTTP_REQUESTS",
}
