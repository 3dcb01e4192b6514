"""The steps of the wizard, which read and write the flow. Views call them and render the result; no HTTP here."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from onboarding import spans
from onboarding.metrics import STEPS
from onboarding.wizard import flow as flow_module
from onboarding.wizard.admission import Admission
from onboarding.wizard.eligibility import Eligibility
from onboarding.wizard.flow import WAITS, Flow, FlowFailure, Stage
from onboarding.wizard.sign_ins import WizardSignIns, is_personal
from onboarding.wizard.verification import VerificationRunner
from pages.browser_secrets import fingerprint, new_secret, return_secret
from relay.core.consent.tenant import SignUp
from relay.core.consent.values import NewGrant
from relay.graph.auth.consent import Consent
from relay.graph.client import GraphClient
from relay.store.custody.access_requests import AccessRequests
from relay.store.custody.admissions import Admissions
from relay.store.custody.emails import Letters
from relay.store.custody.managers import Managers
from relay.store.custody.sign_ups import SignUps
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.turned_away import TurnedAway
from relay.store.custody.vault import Vault
from relay.store.sealing.invitations import Invitation, Invitations
from relay.store.sealing.marks import RingMarks
from relay.store.sealing.short_lived import Flows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Self

    from onboarding.settings import WebSettings
    from onboarding.wizard.flow import Applicant
    from relay.core.consent.tenant import TenantState
    from relay.core.presence import TenantId
    from relay.graph.settings import GraphSettings
    from relay.store.custody.access_requests import AccessRequest
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.short_lived import KeptFlow
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedFlow:
    """A flow that was loaded, and its stored form for compare-and-set."""

    flow: Flow
    kept: KeptFlow = field(repr=False)


class WizardSteps:
    """The steps of the wizard. Each raises `StoreUnavailable`, `NotSaved` or Graph's errors, and may then be repeated."""

    def __init__(
        self,
        flows: Flows,
        sign_ins: WizardSignIns,
        admission: Admission,
        verifications: VerificationRunner,
        invitations: Invitations,
        settings: WebSettings,
        requests: AccessRequests,
    ) -> None:
        self._settings = settings
        self._quotas = settings.quotas
        self._flows = flows
        self._sign_ins = sign_ins
        self._admission = admission
        self._verifications = verifications
        self._invitations = invitations
        self._requests = requests

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, ring: KeyRing, graph: GraphSettings, settings: WebSettings
    ) -> AsyncIterator[Self]:
        """Yield the steps and their resources."""
        flows = Flows(store, ring)
        letters = Letters(store)
        eligibility = Eligibility(
            settings.sign_up, SignUps(store, settings.sign_up_limits), Tenants(store), TurnedAway(store), letters
        )
        requests = AccessRequests(store, ring)
        admission = Admission(
            flows,
            eligibility,
            Admissions(store, ring),
            SuiteKeys(store, RingMarks(ring)),
            Vault(store, ring),
            Managers(store),
            requests,
            letters,
        )
        async with (
            GraphClient(graph) as client,
            Consent(client) as consent,
            VerificationRunner(client, flows, admission, settings.push, settings.heartbeat_timeout) as verifications,
        ):
            sign_ins = WizardSignIns(flows, client, consent, settings.redirect_uri, settings.quotas.wizard_sign_ins)
            yield cls(flows, sign_ins, admission, verifications, Invitations(store, ring), settings, requests)

    async def start(self, applicant: Applicant, link: str = "") -> tuple[Flow, str] | str:
        """Begin an onboarding; return it and its browser's secret, or the problem with the domain or the link.

        Args:
            applicant: the typed fields.
            link: the token of the invitation link, which is used up; empty if there was none.
        """
        with spans.first_step() as span:
            begun = await self._start(applicant, link, span.carried)
            span.note("relay.outcome", begun if isinstance(begun, str) else "done")
            return begun

    async def _start(self, applicant: Applicant, link: str, trace: bytes) -> tuple[Flow, str] | str:
        invitation = await self._invitations.load(link) if link else None
        if link and invitation is None:
            return "link_gone"
        word_ms = 0 if invitation is None else invitation.word_ms
        if self._settings.sign_up is SignUp.INVITED and not word_ms:
            return "not_invited"
        if invitation is not None and invitation.domain == applicant.domain:
            tenant_id: TenantId | None = invitation.tenant_id  # looked up when the link was made
        else:
            tenant_id = await self._sign_ins.tenant_of(applicant.domain)
        if tenant_id is None:
            return "domain_unknown"
        if is_personal(tenant_id):
            return "domain_personal"
        if invitation is not None and invitation.tenant_id != tenant_id:
            return "link_gone"
        secret = new_secret()
        flow = Flow(
            flow_id=flow_module.new_flow_id(),
            browser=fingerprint(secret),
            returning=fingerprint(return_secret(secret)),
            applicant=applicant,
            tenant_id=tenant_id,
            word_ms=word_ms,
            trace=trace,
        )
        quota = self._quotas.begun
        if link:
            flow, quota = flow_module.waiting(flow), self._quotas.waiting
        # The flow first: after an interruption between the two writes, the link is still valid and the flow's secret unknown.
        await self._flows.put(_name(flow.flow_id), flow_module.encode(flow), flow.lifetime, quota)
        if link and not await self._invitations.use(link):
            await self._flows.drop(_name(flow.flow_id))
            return "link_gone"
        _count("start", "link" if link else "done")
        return flow, secret

    async def invitation(self, link: str) -> Invitation | None:
        """Return the invitation behind a link; None when it was used, has expired, or never existed."""
        return await self._invitations.load(link)

    async def invite(self, held: LoadedFlow, link: Callable[[int], str]) -> None:
        """Make a link to this onboarding for another person; it replaces the previous link.

        Args:
            held: the flow, which is stored for days from now on.
            link: returns the token of the n-th link.
        """
        flow = held.flow
        if flow.stage is not Stage.STARTED:
            return
        number = flow.links + 1
        invitation = Invitation(
            domain=flow.applicant.domain,
            tenant_id=flow.tenant_id,
            organisation=flow.applicant.organisation,
            contact=flow.applicant.contact,
            email=flow.applicant.email,
            expires=datetime.fromtimestamp(int(datetime.now(UTC).timestamp()), UTC) + WAITS,
            word_ms=flow.word_ms,
        )
        await self._invitations.put(link(number), invitation, self._quotas.links)
        if flow.links:
            await self._invitations.use(link(flow.links))
        changed = flow_module.waiting(msgspec.structs.replace(flow, links=number))
        if await self._replace(held, changed):
            _count("invite", "done")

    async def load(self, flow_id: str) -> LoadedFlow | None:
        """Return a flow; None if it does not exist or has expired. The caller checks that it belongs to the browser."""
        if not flow_module.is_flow_id(flow_id):
            return None
        kept = await self._flows.load(_name(flow_id))
        flow = None if kept is None else flow_module.decode(kept.content)
        return None if kept is None or flow is None else LoadedFlow(flow, kept)

    async def authorize(self, held: LoadedFlow) -> str:
        """Begin a sign-in; return Microsoft's address."""
        with spans.step(held.flow.trace, "sign_in"):
            return await self._sign_ins.begin(held.flow)

    async def ask_admin(self, held: LoadedFlow) -> str:
        """Begin a request for an administrator's consent for all users; return Microsoft's address."""
        with spans.step(held.flow.trace, "admin_consent"):
            return await self._sign_ins.begin_admin_consent(held.flow)

    async def returned(self, answer: Mapping[str, str], is_returning: Callable[[Flow], bool]) -> str | None:
        """Process Microsoft's answer; return the id of its flow, or None if it belongs to no flow of this browser.

        Args:
            answer: the fields that were posted, or came in the address.
            is_returning: returns whether the answer came through the browser of a flow.
        """
        sign_in = await self._sign_ins.take(answer.get("state", ""))
        held = None if sign_in is None else await self.load(sign_in.flow_id)
        if sign_in is None or held is None or not is_returning(held.flow):
            log.info("sign_in_unknown", known=sign_in is not None)
            _count("consent", "unknown")
            return None
        if held.flow.stage is Stage.DONE:
            return held.flow.flow_id
        with spans.step(held.flow.trace, "answer") as span:
            if sign_in.is_admin_consent:
                failure = self._sign_ins.approved(answer)
                await self._keep_approval(held, failure)
            else:
                outcome = await self._sign_ins.finish(sign_in, held.flow, answer)
                await self._keep_outcome(held, outcome)
                failure = outcome if isinstance(outcome, FlowFailure) else None
            spans.note_outcome(span, failure)
        return held.flow.flow_id

    async def confirm(self, held: LoadedFlow) -> None:
        """Begin the verification of the confirmed account, or begin it again if it failed or was interrupted."""
        flow = held.flow
        if flow.consented is None or flow.stage is Stage.DONE:
            return
        if flow.stage is Stage.PROVING and await self._verifications.is_alive(flow):
            return
        await self._verifications.begin(flow, held.kept)
        _count("confirm", "done")

    async def is_alive(self, held: LoadedFlow) -> bool:
        """Return whether the verification is running."""
        return await self._verifications.is_alive(held.flow)

    async def another_key(self, held: LoadedFlow) -> bool:
        """Make a suite key that replaces the one that was shown, which stops working. Return False if no key may be made."""
        admitted = held.flow.admitted
        if admitted is not None and not admitted.key and not admitted.is_pending:
            is_made = await self._admission.another_key(held.flow, held.kept)
            _count("key", "done" if is_made else "refused")
            return is_made
        return True

    async def request_of(self, held: LoadedFlow) -> AccessRequest | None:
        """Return the access request that the flow ended in; None if it ended otherwise, or the request no longer exists."""
        answered = held.flow.answered
        if answered is None or not answered.is_asked:
            return None
        return await self._requests.load(answered.tenant_id, answered.account_id)

    async def tenant_state(self, held: LoadedFlow) -> TenantState | None:
        """Return the current state of the tenant of a finished flow; None if it is not connected."""
        return await self._admission.eligibility.tenant_state(held.flow.tenant_id)

    async def sweep(self) -> None:
        """Delete tenants that were not approved in time; runs until cancelled."""
        await self._admission.eligibility.sweep()

    async def forget_key(self, held: LoadedFlow) -> bool:
        """Delete the suite key's text, which is about to be shown. Return False if another request has shown it."""
        return await self._admission.forget_key(held.flow, held.kept)

    async def _keep_outcome(self, held: LoadedFlow, outcome: NewGrant | FlowFailure) -> None:
        flow = msgspec.structs.replace(held.flow, verification=None)
        if isinstance(outcome, NewGrant) and (away := await self._admission.eligibility.failure_of(flow)) is not None:
            outcome = away
        if isinstance(outcome, NewGrant):
            changed = msgspec.structs.replace(flow, consented=outcome, failure=None)
            _count("consent", "done")
        else:
            changed = self._with_failure(msgspec.structs.replace(flow, consented=None), outcome)
        # If two sign-ins of one flow end at once, the second finds the flow changed; the result of the first is
        # equivalent.
        await self._replace(held, changed)

    async def _keep_approval(self, held: LoadedFlow, failure: FlowFailure | None) -> None:
        if failure is None:
            changed = msgspec.structs.replace(held.flow, is_approved=True, failure=None)
            changed = flow_module.waiting(changed)
            _count("admin_consent", "done")
        else:
            changed = self._with_failure(held.flow, failure)
        await self._replace(held, changed)

    async def _replace(self, held: LoadedFlow, changed: Flow) -> bool:
        """Store a changed flow, and count it among those of its stage. Return False when another request changed it first."""
        if await self._flows.replace(held.kept, flow_module.encode(changed), changed.lifetime) is None:
            return False
        is_under_way = changed.stage is not Stage.STARTED
        waits = self._quotas.waiting if changed.lifetime is not None else self._quotas.begun
        quota = self._quotas.under_way if is_under_way else waits
        await self._flows.move(held.kept.name, quota, self._quotas.of_flows, changed.lifetime)
        return True

    def _with_failure(self, flow: Flow, failure: FlowFailure) -> Flow:
        _count("consent", failure.problem)
        log.info("consent_failed", reference=flow.reference, tenant_id=flow.tenant_id, problem=failure.problem)
        changed = msgspec.structs.replace(flow, failure=failure)
        return flow_module.waiting(changed) if failure.problem in _WAITING else changed


_WAITING = frozenset({"admin_needed", "approval_asked"})
"""Failures that only an administrator can resolve, perhaps days later."""


def _count(step: str, outcome: str) -> None:
    STEPS.add(1, step, outcome)


def _name(flow_id: str) -> str:
    return f"flow:{flow_id}"
