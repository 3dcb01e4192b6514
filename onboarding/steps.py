"""What the steps of an onboarding do. Views show what came of them; nothing of HTTP is here."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import structlog
from opentelemetry import metrics

from onboarding import flow as flow_module
from onboarding import sessions
from onboarding.admission import Admission
from onboarding.consent import SignIns, is_personal
from onboarding.flow import Consented, Flow, Step, Trouble
from relay.graph.client import GraphClient
from relay.graph.consent import Consent
from relay.store.admissions import Admissions
from relay.store.flows import Flows
from relay.store.suite_keys import SuiteKeys
from relay.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import Self

    from onboarding.flow import Applicant
    from relay.graph.settings import GraphSettings
    from relay.store.connection import Store
    from relay.store.flows import KeptFlow
    from relay.store.keyring import KeyRing

log = structlog.get_logger(__name__)

_meter = metrics.get_meter("onboarding")
_outcomes = _meter.create_counter(
    "onboarding.steps", description="Steps of onboardings that ended, by step and by what came of it"
)


@dataclass(frozen=True, slots=True)
class Held:
    """A flow as its browser may see it."""

    flow: Flow
    kept: KeptFlow = field(repr=False)


class Steps:
    """The steps. Each raises `StoreUnavailable`, `NotSaved` or what Microsoft's side raises, and may then be repeated."""

    def __init__(self, flows: Flows, sign_ins: SignIns, admission: Admission) -> None:
        self._flows = flows
        self._sign_ins = sign_ins
        self._admission = admission

    @classmethod
    @asynccontextmanager
    async def open(cls, store: Store, ring: KeyRing, graph: GraphSettings, redirect_uri: str) -> AsyncIterator[Self]:
        """The steps with everything they need, while the context lasts."""
        flows = Flows(store, ring)
        async with GraphClient(graph) as client, Consent(client) as consent:
            admission = Admission(client, flows, Admissions(store, ring), SuiteKeys(store), Vault(store, ring))
            yield cls(flows, SignIns(flows, client, consent, redirect_uri), admission)

    async def start(self, applicant: Applicant) -> tuple[Flow, str] | str:
        """Begin an onboarding; returns it and its browser's secret, or the problem with the domain."""
        tenant_id = await self._sign_ins.tenant_of(applicant.domain)
        if tenant_id is None:
            return "domain_unknown"
        if is_personal(tenant_id):
            return "domain_personal"
        secret = sessions.new_secret()
        flow = Flow(
            flow_id=flow_module.new_flow_id(),
            browser=sessions.fingerprint(secret),
            returning=sessions.fingerprint(sessions.return_secret(secret)),
            applicant=applicant,
            tenant_id=tenant_id,
        )
        await self._flows.put(_name(flow.flow_id), flow_module.encode(flow))
        _count("start", "done")
        return flow, secret

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

    async def returned(self, answer: Mapping[str, str], is_returning: Callable[[Flow], bool]) -> str | None:
        """Take Microsoft's answer; returns the flow that it belongs to, or None when it belongs to none of this browser.

        Args:
            answer: the fields that were posted.
            is_returning: whether the answer came through the browser of a flow.
        """
        sign_in = await self._sign_ins.take(answer.get("state", ""))
        held = None if sign_in is None else await self.load(sign_in.flow_id)
        if sign_in is None or held is None or not is_returning(held.flow):
            log.info("sign_in_unknown", known=sign_in is not None)
            _count("consent", "unknown")
            return None
        if held.flow.step is Step.STARTED:
            outcome = await self._sign_ins.finish(sign_in, held.flow, answer)
            await self._keep(held, outcome)
        return held.flow.flow_id

    async def complete(self, held: Held) -> None:
        """COMPLETE REQUEST; once done, repeating it changes nothing."""
        if held.flow.step is Step.AUTHORIZED:
            await self._admission.complete(held.flow, held.kept)
            _count("complete", "done")

    async def another_key(self, held: Held) -> None:
        """Make another suite key in place of the one that was shown; the former stops working."""
        if held.flow.admitted is not None and not held.flow.admitted.key:
            await self._admission.another_key(held.flow, held.kept)
            _count("key", "done")

    async def shown(self, held: Held) -> bool:
        """The suite key is about to be shown: forget it. False when it was shown meanwhile."""
        return await self._admission.shown(held.flow, held.kept)

    async def _keep(self, held: Held, outcome: Consented | Trouble) -> None:
        flow = held.flow
        if isinstance(outcome, Consented):
            changed = msgspec.structs.replace(flow, consented=outcome, trouble=None)
            _count("consent", "done")
        else:
            changed = msgspec.structs.replace(flow, trouble=outcome)
            _count("consent", outcome.problem)
            log.info("consent_failed", reference=flow.reference, tenant_id=flow.tenant_id, problem=outcome.problem)
        # Two sign-ins of one flow that end at once: whoever is second finds the flow changed, and what the first brought
        # is as good.
        await self._flows.replace(held.kept, flow_module.encode(changed))


def _count(step: str, outcome: str) -> None:
    _outcomes.add(1, {"step": step, "outcome": outcome})


def _name(flow_id: str) -> str:
    return f"flow:{flow_id}"
