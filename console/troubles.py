"""Finds the problems of a tenant and their remedies in the data of `tenants show`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.core.consent.refusals import classify
from relay.core.consent.tenant import TenantState
from relay.core.presence import Status
from relay.diagnosis.tenant_list import is_silent
from relay.locale.languages import Sentence, english

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relay.diagnosis.standing import TenantReport


@dataclass(frozen=True, slots=True)
class Trouble:
    """One problem of a tenant.

    Attributes:
        text: the problem.
        remedy: what to do.
        kind: style of the notice: `warn`, or empty if the problem stops presence.
        sentence: the meaning of Microsoft's refusal; empty if there was none.
    """

    text: str | Sentence
    remedy: str
    kind: str = ""
    sentence: str = ""


def troubles(report: TenantReport) -> list[Trouble]:
    """Return the problems of a tenant, most severe first; empty if there are none."""
    state = report.tenant.state
    if state is TenantState.PENDING:
        return [_PENDING]
    if state is TenantState.SUSPENDED:
        return [_SUSPENDED]
    if state is TenantState.CONSENT_REQUIRED:
        return [_consent(report)]
    return [*_of_reading(report), *_of_grants(report)]


def _consent(report: TenantReport) -> Trouble:
    trouble = report.tenant.trouble
    if trouble is not None:
        error, _, suberror = trouble.code.partition("/")
        sentence = classify(error, suberror, [trouble.said.number]).sentence
        return Trouble(
            english("No account works any more: Microsoft has ended the consent."), _RENEW, sentence=sentence
        )
    if any(grant.sealed_shut for grant in report.grants):
        return Trouble(english("The consent cannot be decrypted: its key is missing from the key ring."), _RING)
    return Trouble(english("No account has consented."), _RENEW)


def _of_reading(report: TenantReport) -> Iterator[Trouble]:
    contact = report.contact
    if contact is None:
        yield Trouble(english("No worker has read this tenant yet."), _WORKERS, "warn")
    elif is_silent(contact, int(report.now.timestamp() * 1000)):
        yield Trouble(english("No worker reads this tenant: the last report is too old."), _WORKERS)
    elif contact.status is not Status.NONE:
        text, remedy = _STATUSES.get(contact.status, _OTHER)
        yield Trouble(text, remedy)


def _of_grants(report: TenantReport) -> Iterator[Trouble]:
    dead = len(report.grants) - report.working_grants
    if dead and report.working_grants:
        text = english("%(dead)s of %(grants)s accounts do not work. Reading continues with the others.")
        yield Trouble(Sentence(text, {"dead": dead, "grants": len(report.grants)}), _RENEW, "warn")


_RENEW: Final = english("Ask a manager of the organisation to renew the consent on its page.")
_RING: Final = english("Put the key back into the key ring, or ask the organisation to renew the consent.")
_WORKERS: Final = english(
    "Check the workers. One of them must own the tenant’s partition. Look for the reason in the workers’ logs."
)
_PENDING: Final = Trouble(
    english("The tenant waits for your approval. Nothing is read until then."),
    english("Approve it here, or refuse it with the command presence-relay tenants refuse."),
    "warn",
)
_SUSPENDED: Final = Trouble(
    english("The tenant is suspended, so the relay does not read it."),
    english("Resume it when the reason no longer applies."),
    "warn",
)
_STATUSES: Final[Mapping[Status, tuple[str, str]]] = {
    Status.THROTTLED: (
        english("Microsoft asks the relay to slow down for this tenant."),
        english(
            "Nothing. The relay reads less often and recovers automatically. If the problem continues, look for other programs that read Graph for this tenant."
        ),
    ),
    Status.SOURCE_UNREACHABLE: (
        english("Microsoft does not answer for this tenant."),
        english(
            "Check whether other tenants are affected. If they are, check the network and the relay’s credential. If not, wait."
        ),
    ),
    Status.ACCESS_DENIED: (
        english("Microsoft does not let any account of this tenant read presence."),
        english("Ask a manager of the organisation to add another account: a full member, not a guest."),
    ),
    Status.STALE: (
        english("Microsoft has not confirmed presence for three intervals."),
        english(
            "Check whether other tenants are affected. If they are, check the network and the relay’s credential. If not, wait."
        ),
    ),
    Status.CONSENT_REQUIRED: (english("No account has a valid consent."), _RENEW),
    Status.SUSPENDED: (
        english("The tenant is suspended, so the relay does not read it."),
        english("Resume it when the reason no longer applies."),
    ),
}
_OTHER: Final = (
    english("The worker reports a problem with this tenant."),
    english("Search the worker’s log for the tenant’s id."),
)
