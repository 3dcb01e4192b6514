"""The way to Microsoft and back: each sign-in is kept under its `state`, taken once, and bound to its browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from onboarding.flow import Consented, Trouble
from onboarding.problems import OF_CONSENT
from relay.errors import ConsentRequired
from relay.graph.consent import PERSONAL_ACCOUNTS, ConsentFailed, ConsentProblem
from relay.graph.organisation import tenant_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onboarding.flow import Flow
    from relay.core.presence import TenantId
    from relay.graph.client import GraphClient
    from relay.graph.consent import Consent
    from relay.store.flows import Flows

MAX_STATE_CHARS: Final = 200
MAX_DETAIL_CHARS: Final = 300


class SignIn(msgspec.Struct, frozen=True):
    """A sign-in under way at Microsoft. `kept` holds the PKCE verifier and the nonce."""

    flow_id: str
    kept: dict[str, Any]

    def __repr__(self) -> str:
        return f"SignIn({self.flow_id})"


class SignIns:
    """The sign-ins under way."""

    def __init__(self, flows: Flows, client: GraphClient, consent: Consent, redirect_uri: str) -> None:
        self._flows = flows
        self._client = client
        self._consent = consent
        self._redirect_uri = redirect_uri

    async def tenant_of(self, domain: str) -> TenantId | None:
        """The tenant of a domain; None when Microsoft knows none."""
        return await tenant_of(self._client, domain)

    async def begin(self, flow: Flow) -> str:
        """Begin a sign-in; returns Microsoft's address for the browser.

        Any work account may sign in: with a tenant in the address Microsoft would keep strangers on a page of its own,
        and let guests in as guests. Who it was is looked at afterwards.
        """
        begun = await self._consent.begin(self._redirect_uri, prompt="select_account")
        sign_in = SignIn(flow.flow_id, begun.kept)
        await self._flows.put(_name(begun.state), msgspec.json.encode(sign_in).decode())
        return begun.authorize_url

    async def take(self, state: str) -> SignIn | None:
        """The sign-in of a state, which cannot be taken again; None when there is none."""
        if not 0 < len(state) <= MAX_STATE_CHARS:
            return None
        taken = await self._flows.take(_name(state))
        try:
            return None if taken is None else msgspec.json.decode(taken, type=SignIn)
        except msgspec.DecodeError:
            return None

    async def finish(self, sign_in: SignIn, flow: Flow, answer: Mapping[str, str]) -> Consented | Trouble:
        """What came of a sign-in.

        Raises:
            Retryable: Microsoft did not answer.
            CredentialRejected: the relay's registration is at fault.
        """
        try:
            grant = await self._consent.complete(sign_in.kept, answer)
        except ConsentFailed as failed:
            return _trouble(failed)
        except ConsentRequired as refused:
            return Trouble("refused", str(refused)[:MAX_DETAIL_CHARS])
        if grant.tenant_id != flow.tenant_id:
            return Trouble("other_tenant", f"{grant.upn} is no member of {flow.applicant.domain}."[:MAX_DETAIL_CHARS])
        return Consented(grant.tenant_id, grant.account_id, grant.upn, grant.token_cache)


def is_personal(tenant_id: TenantId) -> bool:
    """Whether a tenant is Microsoft's own for personal accounts."""
    return tenant_id == PERSONAL_ACCOUNTS


def _trouble(failed: ConsentFailed) -> Trouble:
    detail = failed.sentence
    if failed.problem is ConsentProblem.PERMISSIONS_MISSING:
        detail = f"Missing: {failed.code}"
    return Trouble(OF_CONSENT[failed.problem], detail[:MAX_DETAIL_CHARS])


def _name(state: str) -> str:
    return f"sign-in:{state}"
