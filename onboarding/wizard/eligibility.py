"""Decides which organisations may connect: the operator's policy, limits on sign-ups, and organisations that were turned away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from onboarding.wizard.flow import FlowFailure
from relay.core.audit.events import RELAY
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.errors import RelayError
from relay.locale.languages import english
from relay.store.custody.notices import NoticeKind
from relay.store.custody.sign_ups import SignUpsFull
from relay.store.custody.tenants import Tenant

if TYPE_CHECKING:
    from onboarding.wizard.flow import Flow
    from relay.core.consent.tenant import SignUp
    from relay.core.presence import TenantId
    from relay.store.custody.emails import Letters
    from relay.store.custody.sign_ups import SignUps
    from relay.store.custody.tenants import Tenants
    from relay.store.custody.turned_away import TurnedAway, TurnedAwayMark

log = structlog.get_logger(__name__)

SWEEP_EVERY: Final = timedelta(minutes=10)
"""Interval of the sweep that deletes overdue tenants. Any process may run it, and several do no harm."""


class NotInvited(RelayError):
    """This relay connects organisations by invitation, and this one has none."""


class Eligibility:
    """Decides whether an organisation may connect through the wizard. Raises the store's errors."""

    def __init__(
        self, sign_up: SignUp, sign_ups: SignUps, tenants: Tenants, turned_away: TurnedAway, letters: Letters
    ) -> None:
        self._sign_up = sign_up
        self._sign_ups = sign_ups
        self._tenants = tenants
        self._turned_away = turned_away
        self._letters = letters

    async def admission_event(self, flow: Flow) -> TenantEvent:
        """Return the tenant event for the flow's consent, and reserve a place for a new tenant.

        Raises:
            NotInvited: the tenant has no invitation and needs one.
            SignUpsFull: too many tenants have signed up, or wait for approval.
        """
        state = await self.tenant_state(flow.tenant_id)
        event = self._sign_up.event(has_word=bool(flow.word_ms))
        if state not in (None, TenantState.REMOVED):
            return event or TenantEvent.APPLIED
        if event is None:
            raise NotInvited("This relay accepts tenants by invitation")
        if not flow.word_ms:
            try:
                await self._sign_ups.take(flow.tenant_id, waits=event is TenantEvent.APPLIED)
            except SignUpsFull as full:
                await self._warn_operator(flow, full)
                raise
        return event

    async def _warn_operator(self, flow: Flow, full: SignUpsFull) -> None:
        """Warn the operator, in the log and by e-mail, that an organisation could not sign up."""
        log.warning(
            "sign_up_limit_reached", why=full.why, tenant_id=flow.tenant_id, remedy="presence-relay tenants list"
        )
        if await self._sign_ups.is_to_be_told(full):
            who = flow.applicant
            tenant = Tenant(
                tenant_id=flow.tenant_id, name=who.organisation, domain=who.domain, created=datetime.now(UTC)
            )
            await self._letters.to_operator(tenant, NoticeKind.SIGN_UPS_FULL, RELAY, about=full.setting)

    async def release_place(self, tenant_id: TenantId, state: TenantState) -> None:
        """Release the place of an admitted tenant among the waiting ones, unless it waits for approval."""
        if state is not TenantState.PENDING:
            await self._sign_ups.waits_no_more(tenant_id)

    async def tenant(self, tenant_id: TenantId) -> Tenant | None:
        """Return a tenant's record; None when it is not connected."""
        return await self._tenants.load(tenant_id)

    async def tenant_state(self, tenant_id: TenantId) -> TenantState | None:
        """Return the state of a tenant; None when it is not connected."""
        tenant = await self.tenant(tenant_id)
        return None if tenant is None else tenant.state

    async def failure_of(self, flow: Flow) -> FlowFailure | None:
        """Return the failure of a flow whose tenant the operator turned away; None otherwise.

        Call it only after the visitor has signed in: outsiders must not learn it.
        """
        mark = await self._turned_away.load(flow.tenant_id)
        return None if mark is None or mark.is_lifted_by(flow.word_ms) else turned_away_failure(mark)

    async def sweep(self) -> None:
        """Delete tenants that were not approved in time; runs until cancelled."""
        while True:
            try:
                for tenant_id in await self._sign_ups.overdue():
                    if await self._tenants.expire(tenant_id):
                        log.warning("sign_up_expired", tenant_id=tenant_id)
                    await self._sign_ups.waits_no_more(tenant_id)
            except RelayError as error:
                log.warning("sign_up_sweep_postponed", error=str(error))
            await asyncio.sleep(SWEEP_EVERY.total_seconds())


def turned_away_failure(mark: TurnedAwayMark) -> FlowFailure:
    """Return the failure that a tenant's people see when it was turned away."""
    if not mark.reason:
        return FlowFailure("turned_away")
    return FlowFailure("turned_away", english("Reason: %(reason)s"), {"reason": mark.reason})
