"""The trouble of one tenant at present, for the log and for diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import support_fields, with_marks

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.errors import RelayError

log = structlog.get_logger(__name__)

_MOST_CHARS: Final = 300


class TroubleLog:
    """Logs once when something goes wrong, and once when it is well again."""

    def __init__(self, tenant_id: TenantId) -> None:
        self._tenant_id = tenant_id
        self._trouble = ""
        self._refusal = ""  # Graph's or Entra's last one, until they answer again

    def note(self, error: RelayError) -> None:
        """Note that a unit of work failed."""
        self._log(str(error), **support_fields(error))

    def note_refusal(self, error: RelayError) -> None:
        """Note Graph's or Entra's answer; it is not logged here."""
        self._refusal = with_marks(error)

    def clear(self) -> None:
        """Note that Graph answers."""
        self._log("")
        self._refusal = ""

    @property
    def text(self) -> str:
        """The trouble in words; empty when there is none."""
        return (self._refusal or self._trouble)[:_MOST_CHARS]

    def _log(self, trouble: str, **fields: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("tenant_failing", tenant_id=self._tenant_id, error=trouble, **fields)
            else:
                log.info("tenant_recovered", tenant_id=self._tenant_id)
