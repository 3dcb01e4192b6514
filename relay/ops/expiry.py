"""Reports certificates and credentials that expire: a daily warning from a month before, a metric, and a line of /readyz.

A certificate that will expire only causes a warning: a process stays ready while one of its certificates or credentials
works. A part is not ready when all of them have expired, because then no client can connect to it, or it cannot read any user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from cryptography import x509

from relay.ops.clock import SYSTEM
from relay.ops.instruments import Gauge
from relay.ops.metric import EVERY, Metric, MetricKind

if TYPE_CHECKING:
    from relay.ops.clock import Clock
    from relay.ops.health import Health

log = structlog.get_logger(__name__)

SOON: Final = timedelta(days=30)
"""Longer than a holiday of the person who may register a certificate."""
CHECK_EVERY: Final = timedelta(minutes=1)
WARN_EVERY: Final = timedelta(days=1)

EXPIRES_IN: Final = Gauge(
    Metric(
        name="relay.credential.expires_in",
        kind=MetricKind.GAUGE,
        unit="s",
        meaning="Time until a credential or certificate of the relay's own expires; negative when it has",
        question="Which credential must be renewed, and by when?",
        roles=EVERY,
        labels={"credential": "settings that name it, such as `RELAY_EDGE_TLS_CERT`"},
    ),
    min,
)


@dataclass(frozen=True, slots=True)
class Expiring:
    """A certificate or credential with its end.

    Attributes:
        name: the setting that provides it.
        ends: the instant.
        part: the part of the process that needs this one or another one with the same part; empty if no part depends on it.
    """

    name: str
    ends: datetime
    part: str = ""


def of_certificate(name: str, pem: str, part: str = "") -> Expiring:
    """Return when a certificate (the first of a chain) expires."""
    return Expiring(name, x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc, part)


def words(expiring: Expiring, now: datetime) -> str:
    """Return a text with the time of expiry."""
    if expiring.ends <= now:
        return f"expired on {expiring.ends:%Y-%m-%d %H:%M} UTC"
    return f"expires on {expiring.ends:%Y-%m-%d}, in {(expiring.ends - now).days} days"


class Expiry:
    """Watches everything that expires. `find` is called again each time: files may be replaced while the relay runs."""

    def __init__(self, find: Callable[[], Sequence[Expiring]], health: Health, clock: Clock = SYSTEM) -> None:
        self._find = find
        self._health = health
        self._clock = clock
        self._warned: dict[str, datetime] = {}
        self._found: Sequence[Expiring] = ()

    def check(self) -> None:
        """Check everything once, and warn at most once a day for each."""
        now = self._clock.wall()
        self._found = found = self._find()
        soon = [expiring for expiring in found if expiring.ends - now < SOON]
        for expiring in found:
            self._health.remark(expiring.name, words(expiring, now) if expiring in soon else "")
        for expiring in soon:
            if now - self._warned.get(expiring.name, datetime.min.replace(tzinfo=UTC)) >= WARN_EVERY:
                self._warned[expiring.name] = now
                log.warning(
                    "credential_expires_soon", credential=expiring.name, ends=str(expiring.ends),
                    hint=f"{expiring.name} {words(expiring, now)}: renew it",
                )  # fmt: skip

    def trouble(self, part: str) -> str:
        """Return why a part cannot work: everything that it may use has expired. Empty while it can work."""
        now = self._clock.wall()
        used = [expiring for expiring in self._found if expiring.part == part]
        if not used or any(expiring.ends > now for expiring in used):
            return ""
        return "; ".join(f"{expiring.name} {words(expiring, now)}" for expiring in used)

    async def run(self) -> None:
        """Check at intervals, until cancelled."""
        with EXPIRES_IN.reading(self._left):
            while True:
                self.check()
                await self._clock.sleep(CHECK_EVERY.total_seconds())

    def _left(self) -> dict[tuple[str, ...], float]:
        now = self._clock.wall()
        return {(expiring.name,): (expiring.ends - now).total_seconds() for expiring in self._found}
