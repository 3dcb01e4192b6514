"""The ways to Microsoft and back: each is kept under its `state`, taken once, and bound to its browser.

sign-in         code, PKCE, nonce; posted back. What comes of it is verified
admin consent   an administrator agrees for everybody; comes back in the address, and proves nothing: a sign-in follows
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from onboarding.problems import OF_CONSENT
from onboarding.wizard.domains import Domains
from onboarding.wizard.flow import Trouble
from relay.core.consent.microsoft_error import NOTHING
from relay.core.consent.values import NewGrant
from relay.errors import ConsentRequired
from relay.graph.auth import consent as graph_consent
from relay.graph.auth.consent import PERSONAL_ACCOUNTS, ConsentFailed, ConsentProblem
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onboarding.wizard.flow import Flow
    from relay.core.presence import TenantId
    from relay.errors import RelayError
    from relay.graph.auth.consent import Consent
    from relay.graph.client import GraphClient
    from relay.store.sealing.rooms import Room
    from relay.store.sealing.short_lived import Flows

MAX_STATE_CHARS: Final = 200
MAX_DETAIL_CHARS: Final = 300


class SignIn(msgspec.Struct, frozen=True):
    """A way to Microsoft that is under way. `kept` holds the PKCE verifier and the nonce; it is empty for admin consent."""

    flow_id: str
    kept: dict[str, Any]

    def __repr__(self) -> str:
        return f"SignIn({self.flow_id})"

    @property
    def is_admin_consent(self) -> bool:
        """Whether it asks for an administrator's consent, and signs nobody in."""
        return not self.kept


class SignIns:
    """The ways under way."""

    def __init__(self, flows: Flows, client: GraphClient, consent: Consent, redirect_uri: str, room: Room) -> None:
        self._room = room
        self._flows = flows
        self._domains = Domains(client)
        self._consent = consent
        self._redirect_uri = redirect_uri

    async def tenant_of(self, domain: str) -> TenantId | None:
        """The tenant of a domain; None when Microsoft knows none. See `Domains.tenant_of`."""
        return await self._domains.tenant_of(domain)

    async def begin(self, flow: Flow) -> str:
        """Begin a sign-in; returns Microsoft's address for the browser.

        Any work account may sign in: with a tenant in the address Microsoft would keep strangers on a page of its own,
        and let guests in as guests. Who it was is looked at afterwards.
        """
        begun = await self._consent.begin(self._redirect_uri, prompt="select_account")
        await self._keep(begun.state, SignIn(flow.flow_id, begun.kept))
        return begun.authorize_url

    async def begin_admin_consent(self, flow: Flow) -> str:
        """Ask for an administrator's consent for everybody in the flow's tenant; returns Microsoft's address."""
        state = secrets.token_urlsafe(32)
        await self._keep(state, SignIn(flow.flow_id, {}))
        return self._consent.admin_consent_url(self._redirect_uri, flow.tenant_id, state)

    async def take(self, state: str) -> SignIn | None:
        """The way of a state, which cannot be taken again; None when there is none."""
        if not 0 < len(state) <= MAX_STATE_CHARS:
            return None
        taken = await self._flows.take(_name(state), self._room)
        try:
            return None if taken is None else msgspec.json.decode(taken, type=SignIn)
        except msgspec.DecodeError:
            return None

    async def finish(self, sign_in: SignIn, flow: Flow, answer: Mapping[str, str]) -> NewGrant | Trouble:
        """What came of a sign-in.

        Raises:
            Retryable: Microsoft did not answer.
            CredentialRejected: the relay's registration is at fault.
        """
        try:
            grant = await self._consent.complete(sign_in.kept, answer)
        except ConsentFailed as failed:
            return _trouble(failed)
        except ConsentRequired as error:
            return refused(error)
        if grant.tenant_id != flow.tenant_id:
            return Trouble(
                "other_tenant",
                english("%(upn)s is no member of %(domain)s."),
                {"upn": grant.upn[:MAX_DETAIL_CHARS], "domain": flow.applicant.domain},
            )
        return grant

    def approved(self, answer: Mapping[str, str]) -> Trouble | None:
        """What an answer to a request for admin consent says; None when it says that it was given, which proves nothing.

        Raises:
            Retryable, CredentialRejected: see `finish`.
        """
        # A failure says `admin_consent=True` as well.
        if "error" in answer:
            error = graph_consent.refused(answer)
            if isinstance(error, ConsentFailed):
                return _trouble(error)
            raise error
        return None if answer.get("admin_consent", "").lower() == "true" else Trouble("sign_in_stale")

    async def _keep(self, state: str, sign_in: SignIn) -> None:
        await self._flows.put(_name(state), msgspec.json.encode(sign_in).decode(), room=self._room)


def is_personal(tenant_id: TenantId) -> bool:
    """Whether a tenant is Microsoft's own for personal accounts."""
    return tenant_id == PERSONAL_ACCOUNTS


def refused(error: RelayError, problem: str = "refused") -> Trouble:
    """A refusal of Microsoft's as a trouble: its sentence, and its own words."""
    refusal = getattr(error, "refusal", None)
    if refusal is None:
        return Trouble(problem, str(error)[:MAX_DETAIL_CHARS])
    return Trouble(problem, refusal.sentence, said=refusal.said)


def _trouble(failed: ConsentFailed) -> Trouble:
    if failed.problem is ConsentProblem.PERMISSIONS_MISSING:
        missing = failed.code[:MAX_DETAIL_CHARS]
        return Trouble("permissions_missing", english("Missing: %(permissions)s"), {"permissions": missing})
    detail = failed.sentence if failed.problem is ConsentProblem.REFUSED else ""
    return Trouble(OF_CONSENT[failed.problem], detail, said=failed.said or NOTHING)


def _name(state: str) -> str:
    return f"sign-in:{state}"
