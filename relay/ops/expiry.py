"""What expires while the relay runs: told a month before, once a day in the log, always in a metric and on /readyz.

Nothing is less ready for it: a credential works to its last second, and a process that is taken out of service because
its certificate will expire helps nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from cryptography import x509
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

if TYPE_CHECKING:
    from relay.ops.health import Health

log = structlog.get_logger(__name__)

SOON: Final = timedelta(days=30)
"""Long enough for whoever may register a certificate to be on holiday."""
LOOK_EVERY: Final = timedelta(minutes=1)
TELL_EVERY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Expiring:
    """Something that ends at an instant; the name is how settings call it."""

    name: str
    ends: datetime


def of_certificate(name: str, pem: str) -> Expiring:
    """When a certificate (the first of a chain) expires."""
    return Expiring(name, x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc)


def words(expiring: Expiring, now: datetime) -> str:
    """How it stands with something that expires soon, or did."""
    if expiring.ends <= now:
        return f"expired on {expiring.ends:%Y-%m-%d %H:%M} UTC"
    return f"expires on {expiring.ends:%Y-%m-%d}, in {(expiring.ends - now).days} days"


class Expiry:
    """Watches what expires. `look` gives all of it, as it is at present: files may be replaced while the relay runs."""

    def __init__(self, look: Callable[[], Sequence[Expiring]], health: Health) -> None:
        self._look = look
        self._health = health
        self._told: dict[str, datetime] = {}
        metrics.get_meter(__name__).create_observable_gauge(
            "relay.credential.expires_in",
            callbacks=[self._observed],
            unit="s",
            description="Seconds until a credential or certificate of the relay's own expires; negative when it has",
        )

    def step(self, now: datetime) -> None:
        """Look once, and tell what was not told for a day."""
        found = self._look()
        soon = [expiring for expiring in found if expiring.ends - now < SOON]
        for expiring in found:
            self._health.remark(expiring.name, words(expiring, now) if expiring in soon else "")
        for expiring in soon:
            if now - self._told.get(expiring.name, datetime.min.replace(tzinfo=UTC)) >= TELL_EVERY:
                self._told[expiring.name] = now
                log.warning(
                    "credential_expires_soon", credential=expiring.name, ends=str(expiring.ends),
                    hint=f"{expiring.name} {words(expiring, now)}: renew it",
                )  # fmt: skip

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self.step(datetime.now(UTC))
            await asyncio.sleep(LOOK_EVERY.total_seconds())

    def _observed(self, _: CallbackOptions) -> Iterable[Observation]:
        now = datetime.now(UTC)
        for expiring in self._look():
            yield Observation((expiring.ends - now).total_seconds(), {"credential": expiring.name})
