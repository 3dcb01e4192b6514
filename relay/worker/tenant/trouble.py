"""The trouble of one tenant at present, for the log and for diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from relay.core.bucket import TokenBucket
from relay.errors import support_fields, with_marks

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.errors import RelayError
    from relay.ops.clock import Clock

log = structlog.get_logger(__name__)

_MOST_CHARS: Final = 300
_LINES_A_MINUTE: Final = 10


class FailedCalls:
    """Logs failed calls of Graph and Entra, with the ids that Microsoft's support needs: a few a minute per worker.

    When Microsoft has a fault, all tenants have the same trouble, and a few examples are enough for a ticket.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bucket = TokenBucket(_LINES_A_MINUTE, _LINES_A_MINUTE / 60, clock.monotonic())

    def note(self, tenant_id: TenantId, error: RelayError) -> None:
        """Log a failed call, unless too many were logged recently."""
        now = self._clock.monotonic()
        if self._bucket.wait(now) == 0:
            self._bucket.pay(1, now)
            log.warning("microsoft_call_failed", tenant_id=tenant_id, error=str(error), **support_fields(error))


class TroubleLog:
    """Logs once when a tenant's work fails, and once when it has recovered."""

    def __init__(self, tenant_id: TenantId, failed_calls: FailedCalls) -> None:
        self._tenant_id = tenant_id
        self._failed_calls = failed_calls
        self._trouble = ""
        self._refusal = ""  # the last refusal of Graph or Entra, until they answer again

    def note(self, error: RelayError) -> None:
        """Note that a unit of work failed."""
        self._log(str(error), **support_fields(error))

    def note_refusal(self, error: RelayError) -> None:
        """Note why Graph or Entra refused a call, or did not answer."""
        self._refusal = with_marks(error)
        self._failed_calls.note(self._tenant_id, error)

    def clear(self) -> None:
        """Note that Graph answers."""
        self._log("")
        self._refusal = ""

    @property
    def text(self) -> str:
        """The trouble as text; empty without trouble."""
        return (self._refusal or self._trouble)[:_MOST_CHARS]

    def _log(self, trouble: str, **fields: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("tenant_failing", tenant_id=self._tenant_id, error=trouble, **fields)
            else:
                log.info("tenant_recovered", tenant_id=self._tenant_id)
