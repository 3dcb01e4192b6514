"""Sign-ins of the wizard at Microsoft. Each is stored under its `state`, usable once, and bound to its browser.

sign-in         code, PKCE, nonce; posted back. The identity is verified
admin consent   an administrator consents for all users. The answer comes in the address and proves nothing: a sign-in follows
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from onboarding.wizard.domains import Domains
from onboarding.wizard.flow import FlowFailure
from pages.pending_sign_ins import MAX_DETAIL_CHARS, PendingSignIns
from pages.problems import OF_CONSENT
from relay.core.consent.microsoft_error import NO_ERROR
from relay.errors import ConsentRequired
from relay.graph.auth import consent as graph_consent
from relay.graph.auth.consent import PERSONAL_ACCOUNTS, ConsentFailed, ConsentProblem
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onboarding.wizard.flow import Flow
    from relay.core.consent.values import NewGrant
    from relay.core.presence import TenantId
    from relay.errors import RelayError
    from relay.graph.auth.consent import Consent
    from relay.graph.client import GraphClient
    from relay.store.sealing.quotas import Quota
    from relay.store.sealing.short_lived import Flows


class WizardSignIn(msgspec.Struct, frozen=True):
    """A sign-in that Microsoft has not answered yet. `kept` holds the PKCE verifier and the nonce; it is empty for admin consent."""

    flow_id: str
    kept: dict[str, Any]

    def __repr__(self) -> str:
        return f"WizardSignIn({self.flow_id})"

    @property
    def is_admin_consent(self) -> bool:
        """True if it requests an administrator's consent and signs no user in."""
        return not self.kept


class WizardSignIns:
    """Begins sign-ins for the wizard and processes Microsoft's answers."""

    def __init__(self, flows: Flows, client: GraphClient, consent: Consent, redirect_uri: str, quota: Quota) -> None:
        self._pending = PendingSignIns(flows, quota, WizardSignIn, "sign-in")
        self._domains = Domains(client)
        self._consent = consent
        self._redirect_uri = redirect_uri

    async def tenant_of(self, domain: str) -> TenantId | None:
        """Return the tenant of a domain; None when Microsoft knows none. See `Domains.tenant_of`."""
        return await self._domains.tenant_of(domain)

    async def begin(self, flow: Flow) -> str:
        """Begin a sign-in; return Microsoft's address for the browser.

        Any work account may sign in; the identity is checked afterwards. With a tenant in the address, Microsoft would show
        accounts of other tenants its own error page, and sign guests in as guests.
        """
        begun = await self._consent.begin(self._redirect_uri, prompt="select_account")
        return await self._pending.begin(begun, WizardSignIn(flow.flow_id, begun.kept))

    async def begin_admin_consent(self, flow: Flow) -> str:
        """Begin a request for an administrator's consent for all users of the flow's tenant; return Microsoft's address."""
        state = secrets.token_urlsafe(32)
        await self._pending.keep(state, WizardSignIn(flow.flow_id, {}))
        return self._consent.admin_consent_url(self._redirect_uri, flow.tenant_id, state)

    async def take(self, state: str) -> WizardSignIn | None:
        """Return the sign-in of a state; None when there is none. It cannot be taken again."""
        return await self._pending.take(state)

    async def finish(self, sign_in: WizardSignIn, flow: Flow, answer: Mapping[str, str]) -> NewGrant | FlowFailure:
        """Return the verified consent of a sign-in, or the reason why there is none.

        Raises:
            Retryable: Microsoft did not answer.
            CredentialRejected: Microsoft rejected the relay's credential.
        """
        try:
            grant = await self._consent.complete(sign_in.kept, answer)
        except ConsentFailed as failed:
            return _trouble(failed)
        except ConsentRequired as error:
            return refused(error)
        if grant.tenant_id != flow.tenant_id:
            return FlowFailure(
                "other_tenant",
                english("%(upn)s is not a member of %(domain)s."),
                {"upn": grant.upn[:MAX_DETAIL_CHARS], "domain": flow.applicant.domain},
            )
        return grant

    def approved(self, answer: Mapping[str, str]) -> FlowFailure | None:
        """Return the failure in an answer to a request for admin consent; None if consent was given.

        Raises:
            Retryable, CredentialRejected: see `finish`.
        """
        # A failure contains `admin_consent=True` too.
        if "error" in answer:
            error = graph_consent.error_of(answer)
            if isinstance(error, ConsentFailed):
                return _trouble(error)
            raise error
        return None if answer.get("admin_consent", "").lower() == "true" else FlowFailure("sign_in_stale")


def is_personal(tenant_id: TenantId) -> bool:
    """Return whether a tenant is Microsoft's tenant for personal accounts."""
    return tenant_id == PERSONAL_ACCOUNTS


def refused(error: RelayError, problem: str = "refused") -> FlowFailure:
    """Return the failure for a refusal by Microsoft, with its meaning and Microsoft's error text."""
    refusal = getattr(error, "refusal", None)
    if refusal is None:
        return FlowFailure(problem, str(error)[:MAX_DETAIL_CHARS])
    return FlowFailure(problem, refusal.sentence, said=refusal.said)


def _trouble(failed: ConsentFailed) -> FlowFailure:
    if failed.problem is ConsentProblem.PERMISSIONS_MISSING:
        missing = failed.code[:MAX_DETAIL_CHARS]
        return FlowFailure("permissions_missing", english("Missing: %(permissions)s"), {"permissions": missing})
    detail = failed.sentence if failed.problem is ConsentProblem.REFUSED else ""
    return FlowFailure(OF_CONSENT[failed.problem], detail, said=failed.said or NO_ERROR)
