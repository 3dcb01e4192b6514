"""What the steps of an onboarding do. Views show what came of them; nothing of HTTP is here."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog
from opentelemetry import metrics

from onboarding import cookies as sessions
from onboarding.wizard import flow as flow_module
from onboarding.wizard.admission import Admission
from onboarding.wizard.eligibility import Entry
from onboarding.wizard.flow import WAITS, Flow, Step, Trouble
from onboarding.wizard.sign_ins import SignIns, is_personal
from onboarding.wizard.verification import Trials
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

_meter = metrics.get_meter("onboarding")
_outcomes = _meter.create_counter(
    "onboarding.wizard.steps", description="Steps of onboardings that ended, by step and by what came of it"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A flow as its browser may see it."""

    flow: Flow
    kept: KeptFlow = field(repr=False)


class Steps:
    """The steps. Each raises `StoreUnavailable`, `NotSaved` or what Microsoft's side raises, and may then be repeated."""

    def __init__(
        self,
        flows: Flows,
        sign_ins: SignIns,
        admission: Admission,
        trials: Trials,
        invitations: Invitations,
        settings: WebSettings,
        requests: AccessRequests,
    ) -> None:
        self._settings = settings
        self._rooms = settings.rooms
        self._flows = flows
        self._sign_ins = sign_ins
        self._admission = admission
        self._trials = trials
        self._invitations = invitations
        self._requests = requests

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, ring: KeyRing, graph: GraphSettings, settings: WebSettings
    ) -> AsyncIterator[Self]:
        """The steps with everything they need, while the context lasts."""
        flows = Flows(store, ring)
        letters = Letters(store)
        entry = Entry(
            settings.sign_up, SignUps(store, settings.sign_up_limits), Tenants(store), TurnedAway(store), letters
        )
        requests = AccessRequests(store, ring)
        admission = Admission(
            flows,
            entry,
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
            Trials(client, flows, admission, settings.push, settings.trial_alive) as trials,
        ):
            sign_ins = SignIns(flows, client, consent, settings.redirect_uri, settings.rooms.trips)
            yield cls(flows, sign_ins, admission, trials, Invitations(store, ring), settings, requests)

    async def start(self, applicant: Applicant, link: str = "") -> tuple[Flow, str] | str:
        """Begin an onboarding; returns it and its browser's secret, or the problem with the domain or the link.

        Args:
            applicant: what was typed.
            link: the token of the link that this began with, which is used up with it.
        """
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
        secret = sessions.new_secret()
        flow = Flow(
            flow_id=flow_module.new_flow_id(),
            browser=sessions.fingerprint(secret),
            returning=sessions.fingerprint(sessions.return_secret(secret)),
            applicant=applicant,
            tenant_id=tenant_id,
            word_ms=word_ms,
        )
        room = self._rooms.begun
        if link:
            flow, room = flow_module.waiting(flow), self._rooms.waiting
        # The flow first: cut short between the two, the link is still good, and nobody has the flow's secret.
        await self._flows.put(_name(flow.flow_id), flow_module.encode(flow), flow.lifetime, room)
        if link and not await self._invitations.use(link):
            await self._flows.drop(_name(flow.flow_id))
            return "link_gone"
        _count("start", "link" if link else "done")
        return flow, secret

    async def invitation(self, link: str) -> Invitation | None:
        """What a link leads to; None when it was used, expired, or never was."""
        return await self._invitations.load(link)

    async def invite(self, held: Held, link: Callable[[int], str]) -> None:
        """Make a link to this onboarding for somebody else, in place of one that was made before.

        Args:
            held: the flow; it is kept for days from now on.
            link: the token of the link of a number.
        """
        flow = held.flow
        if flow.step is not Step.STARTED:
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
        await self._invitations.put(link(number), invitation, self._rooms.links)
        if flow.links:
            await self._invitations.use(link(flow.links))
        changed = flow_module.waiting(msgspec.structs.replace(flow, links=number))
        if await self._replace(held, changed):
            _count("invite", "done")

    async def load(self, flow_id: str) -> Held | None:
        """A flow; None when there is none (any more). Whose browser it is, is the caller's to check."""
        if not flow_module.is_flow_id(flow_id):
            return None
        kept = await self._flows.load(_name(flow_id))
        flow = None if kept is None else flow_module.decode(kept.content)
        return None if kept is None or flow is None else Held(flow, kept)

    async def authorize(self, held: Held) -> str:
        """Begin a sign-in; returns Microsoft's address."""
        return await self._sign_ins.begin(held.flow)

    async def ask_admin(self, held: Held) -> str:
        """Ask for an administrator's consent for everybody; returns Microsoft's address."""
        return await self._sign_ins.begin_admin_consent(held.flow)

    async def returned(self, answer: Mapping[str, str], is_returning: Callable[[Flow], bool]) -> str | None:
        """Take Microsoft's answer; returns the flow that it belongs to, or None when it belongs to none of this browser.

        Args:
            answer: the fields that were posted, or came in the address.
            is_returning: whether the answer came through the browser of a flow.
        """
        sign_in = await self._sign_ins.take(answer.get("state", ""))
        held = None if sign_in is None else await self.load(sign_in.flow_id)
        if sign_in is None or held is None or not is_returning(held.flow):
            log.info("sign_in_unknown", known=sign_in is not None)
            _count("consent", "unknown")
            return None
        if held.flow.step is Step.DONE:
            return held.flow.flow_id
        if sign_in.is_admin_consent:
            await self._keep_approval(held, self._sign_ins.approved(answer))
        else:
            await self._keep(held, await self._sign_ins.finish(sign_in, held.flow, answer))
        return held.flow.flow_id

    async def confirm(self, held: Held) -> None:
        """Begin the proof, for this is the account; or begin it anew if it failed or was interrupted."""
        flow = held.flow
        if flow.consented is None or flow.step is Step.DONE:
            return
        if flow.step is Step.PROVING and await self._trials.is_alive(flow):
            return
        await self._trials.begin(flow, held.kept)
        _count("confirm", "done")

    async def is_alive(self, held: Held) -> bool:
        """Whether the proof is being carried out."""
        return await self._trials.is_alive(held.flow)

    async def another_key(self, held: Held) -> bool:
        """Make another suite key in place of the one that was shown; the former stops working. False when none may be made."""
        admitted = held.flow.admitted
        if admitted is not None and not admitted.key and not admitted.is_pending:
            is_made = await self._admission.another_key(held.flow, held.kept)
            _count("key", "done" if is_made else "refused")
            return is_made
        return True

    async def request_of(self, held: Held) -> AccessRequest | None:
        """What became of the request that the flow ended in; None when it ended otherwise, or that was long ago."""
        answered = held.flow.answered
        if answered is None or not answered.is_asked:
            return None
        return await self._requests.load(answered.tenant_id, answered.account_id)

    async def standing(self, held: Held) -> TenantState | None:
        """Where the tenant of a flow that is done stands now; None: it is not here."""
        return await self._admission.entry.standing(held.flow.tenant_id)

    async def sweep(self) -> None:
        """Delete tenants that nobody approved in time, until cancelled."""
        await self._admission.entry.sweep()

    async def shown(self, held: Held) -> bool:
        """The suite key is about to be shown: forget it. False when it was shown meanwhile."""
        return await self._admission.shown(held.flow, held.kept)

    async def _keep(self, held: Held, outcome: NewGrant | Trouble) -> None:
        flow = msgspec.structs.replace(held.flow, trial=None)
        if isinstance(outcome, NewGrant) and (away := await self._admission.entry.turned_away(flow)) is not None:
            outcome = away
        if isinstance(outcome, NewGrant):
            changed = msgspec.structs.replace(flow, consented=outcome, trouble=None)
            _count("consent", "done")
        else:
            changed = self._troubled(msgspec.structs.replace(flow, consented=None), outcome)
        # Two sign-ins of one flow that end at once: whoever is second finds the flow changed, and what the first brought
        # is as good.
        await self._replace(held, changed)

    async def _keep_approval(self, held: Held, trouble: Trouble | None) -> None:
        if trouble is None:
            changed = msgspec.structs.replace(held.flow, is_approved=True, trouble=None)
            changed = flow_module.waiting(changed)
            _count("admin_consent", "done")
        else:
            changed = self._troubled(held.flow, trouble)
        await self._replace(held, changed)

    async def _replace(self, held: Held, changed: Flow) -> bool:
        """Keep a flow as it is now, and count it among those that are as far; False when somebody else was faster."""
        if await self._flows.replace(held.kept, flow_module.encode(changed), changed.lifetime) is None:
            return False
        is_under_way = changed.step is not Step.STARTED
        waits = self._rooms.waiting if changed.lifetime is not None else self._rooms.begun
        room = self._rooms.under_way if is_under_way else waits
        await self._flows.move(held.kept.name, room, self._rooms.of_flows, changed.lifetime)
        return True

    def _troubled(self, flow: Flow, trouble: Trouble) -> Flow:
        _count("consent", trouble.problem)
        log.info("consent_failed", reference=flow.reference, tenant_id=flow.tenant_id, problem=trouble.problem)
        changed = msgspec.structs.replace(flow, trouble=trouble)
        return flow_module.waiting(changed) if trouble.problem in _WAITING else changed


_WAITING = frozenset({"admin_needed", "approval_asked"})
"""Troubles that an administrator ends, perhaps in some days."""


def _count(step: str, outcome: str) -> None:
    _outcomes.add(1, {"step": step, "outcome": outcome})


def _name(flow_id: str) -> str:
    return f"flow:{flow_id}"
