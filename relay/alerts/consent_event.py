"""The event that a consent ended or works again, and the body of the signed POST."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from relay.core.consent.microsoft_error import RefusalRecord
from relay.core.consent.refusals import Refusal, classify


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    """A tenant's consent ended or works again; for every channel.

    Attributes:
        kind: `consent.required` or `consent.restored`.
        at: when it happened.
        tenant_id: the tenant.
        organisation: the tenant's name; may be empty.
        domain: the tenant's domain; may be empty.
        trouble: Microsoft's refusal.
        page: the page to renew the consent; empty when its address is not set.
        operator: the name of the relay's operator.
    """

    kind: str
    at: datetime
    tenant_id: str
    organisation: str
    domain: str
    trouble: RefusalRecord | None
    page: str
    operator: str

    @property
    def refusal(self) -> Refusal | None:
        """The classified refusal of Microsoft; None without one."""
        if self.trouble is None:
            return None
        error, _, suberror = self.trouble.code.partition("/")
        return classify(error, suberror, [self.trouble.said.number])


def body(event: ConsentEvent) -> bytes:
    """Return the JSON to post: an event in the form that the Standard Webhooks specification recommends. Fields may be added."""
    trouble, refusal = event.trouble, event.refusal
    reason = None
    if trouble is not None and refusal is not None:
        reason = {
            "code": trouble.code,
            "number": trouble.said.number or None,
            "sentence": refusal.sentence,
            "microsoft": trouble.said.words,
            "trace_id": trouble.said.trace_id,
            "correlation_id": trouble.said.correlation_id,
            "timestamp": trouble.said.time,
        }
    data = {
        "tenant_id": event.tenant_id,
        "organisation": event.organisation,
        "domain": event.domain,
        "reason": reason,
        "page": event.page or None,
    }
    posted = {"type": event.kind, "timestamp": event.at.isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(posted, ensure_ascii=False, separators=(",", ":")).encode()
