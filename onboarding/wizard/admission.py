"""Writes the tenant, its grant and its suite key once the grant is proven; an interruption at any point is harmless.

    0  proof          requests to Microsoft; only the progress is written
    1  tenant, grant  one script, on disk. Before it only the flow exists; after it the tenant exists and is read
    2  suite key      on disk. Interrupted here, the key's text is lost; 4 ends the key
    3  flow: done     compare and set, on disk; of two concurrent runs one gets here, the other revokes its key
    4  other keys of this flow are revoked: those of interrupted attempts, or a key that was never shown

This is the order for the account that connects the organisation, and for its managers. Any other consent creates no key: an account
that already reads for the organisation renews its own grant; for any other account it creates a request, which a manager decides
(`relay.store.custody.access_requests`).

Each step can be repeated, so a retry continues where the last attempt stopped. The key's text is in the sealed flow from 3 until
its page is shown, then nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from onboarding.wizard import flow as flows_of
from onboarding.wizard.flow import AdmittedTenant, Answered, Check, CheckState
from relay.consent import admit
from relay.core.audit.events import Actor, key_made, key_revoked
from relay.core.consent.tenant import TenantState
from relay.errors import RelayError
from relay.locale.languages import english
from relay.store.custody.access_requests import AskOutcome
from relay.store.custody.admissions import MustAsk
from relay.store.custody.notices import NoticeKind

if TYPE_CHECKING:
    from onboarding.wizard.eligibility import Eligibility
    from onboarding.wizard.flow import Flow
    from relay.consent.prove import ProvenGrant
    from relay.core.presence import TenantId
    from relay.store.custody.access_requests import AccessRequests
    from relay.store.custody.admissions import Admissions
    from relay.store.custody.emails import Letters
    from relay.store.custody.managers import Managers
    from relay.store.custody.suite_keys import SuiteKeys
    from relay.store.custody.vault import Vault
    from relay.store.sealing.short_lived import Flows, KeptFlow

log = structlog.get_logger(__name__)


class RequestsFull(RelayError):
    """Too many requests to read for the organisation are waiting: nothing was kept."""

    def __init__(self) -> None:
        super().__init__("Too many requests wait for the managers of this organisation")


class Admission:
    """Admits tenants. Raises the store's errors; repeating is safe."""

    def __init__(
        self,
        flows: Flows,
        eligibility: Eligibility,
        admissions: Admissions,
        suite_keys: SuiteKeys,
        vault: Vault,
        managers: Managers,
        requests: AccessRequests,
        letters: Letters,
    ) -> None:
        self.eligibility = eligibility
        self._letters = letters
        self._flows = flows
        self._admissions = admissions
        self._suite_keys = suite_keys
        self._vault = vault
        self._managers = managers
        self._requests = requests

    async def admit(self, flow: Flow, kept: KeptFlow, grant: ProvenGrant) -> None:
        """Store a proven grant or a request for one, and set the flow to DONE.

        The first account gets a suite key, unless the operator must approve the tenant first.

        Raises:
            NotInvited, SignUpsFull, TurnedAwayError: the tenant may not connect; nothing was stored.
            RequestsFull: see the class.
        """
        try:
            state = await self._admitted(flow, grant)
        except MustAsk:
            await self._ask(flow, kept, grant)
            return
        tenant_id = grant.tenant_id
        is_pending = state is TenantState.PENDING
        said = english("Saved. The relay now reads presence.")
        if is_pending:
            said = english("Stored encrypted. The relay reads nothing until your organisation is approved.")
        flow = _checked(flow, Check("kept", CheckState.PASSED, said))
        # A manager may make keys, so a run that was interrupted after step 1 continues.
        is_manager = await self._managers.is_manager(tenant_id, grant.account_id)
        is_full = not is_pending and await self._suite_keys.is_full(tenant_id, besides=_label(flow))
        if not is_manager or is_full:
            await self._answer(flow, kept, grant, is_asked=False)
            return
        admitted = AdmittedTenant(
            tenant_id,
            grant.upn,
            "",
            "",
            len(await self._vault.list(tenant_id)),
            is_suspended=state is TenantState.SUSPENDED,
            is_pending=is_pending,
            account_id=grant.account_id,
        )
        await (self._without_key if is_pending else self._with_key)(flow, kept, admitted)

    async def _admitted(self, flow: Flow, grant: ProvenGrant) -> TenantState:
        """Store the grant; return the tenant's state afterwards."""
        applicant, tenant_id = flow.applicant, grant.tenant_id
        event = await self.eligibility.admission_event(flow)
        taken = await admit.by_applicant(
            self._admissions,
            grant,
            event=event,
            name=applicant.organisation,
            domain=applicant.domain,
            settings={"contact_name": applicant.contact, "contact_email": applicant.email},
            word_ms=flow.word_ms,
        )
        await self.eligibility.release_place(tenant_id, taken.state)
        log.info(
            "tenant_admitted",
            tenant_id=tenant_id,
            reference=flow.reference,
            state=taken.state,
            is_first=taken.is_first,
        )
        if taken.is_first and taken.state is TenantState.PENDING:
            await self._tell_operator(grant)
        return taken.state

    async def _ask(self, flow: Flow, kept: KeptFlow, grant: ProvenGrant) -> None:
        """Store the consent of an account that the connected organisation does not know, as a request."""
        tenant_id, account_id = grant.tenant_id, grant.account_id
        asked = await self._requests.ask(tenant_id, account_id, upn=grant.upn, token_cache=grant.token_cache)
        log.info("tenant_access_requested", tenant_id=tenant_id, account_id=account_id, outcome=asked.name)
        if asked in (AskOutcome.FULL, AskOutcome.NO_TENANT):
            raise RequestsFull
        if asked is AskOutcome.ASKED:
            await self._tell_managers(grant)
        check = Check("kept", CheckState.OPTIONAL, english("Waiting for a manager of your organisation."))
        await self._answer(flows_of.waiting(_checked(flow, check)), kept, grant, is_asked=True)

    async def _tell_operator(self, grant: ProvenGrant) -> None:
        tenant = await self.eligibility.tenant(grant.tenant_id)
        if tenant is not None:
            await self._letters.to_operator(tenant, NoticeKind.TENANT_WAITS, _account(grant))

    async def _tell_managers(self, grant: ProvenGrant) -> None:
        tenant = await self.eligibility.tenant(grant.tenant_id)
        if tenant is not None:
            await self._letters.to_managers(tenant, NoticeKind.ACCESS_REQUESTED, _account(grant))

    async def _answer(self, flow: Flow, kept: KeptFlow, grant: ProvenGrant, *, is_asked: bool) -> None:
        answered = Answered(grant.tenant_id, grant.account_id, grant.upn, is_asked)
        done = msgspec.structs.replace(flow, consented=None, answered=answered, failure=None)
        await self._flows.replace(kept, flows_of.encode(done), done.lifetime)

    async def another_key(self, flow: Flow, kept: KeptFlow) -> bool:
        """Replace the suite key of a flow that is done; the former key stops working.

        Return False if the tenant has too many keys, or the account is no longer a manager, which can change during a flow.
        """
        admitted = flow.admitted
        assert admitted is not None
        if not await self._may_have_keys(admitted):
            return False
        if await self._suite_keys.is_full(admitted.tenant_id, besides=_label(flow)):
            return False
        await self._with_key(flow, kept, admitted)
        return True

    async def _may_have_keys(self, admitted: AdmittedTenant) -> bool:
        may = await self._managers.is_manager(admitted.tenant_id, admitted.account_id)
        if not may:
            log.warning("suite_key_withheld", tenant_id=admitted.tenant_id, account_id=admitted.account_id)
        return may

    async def forget_key(self, flow: Flow, kept: KeptFlow) -> bool:
        """Delete the key's text from the flow, just before the page shows it.

        Return False if another request was faster, or the account is no longer a manager: then the page must not show it.
        """
        admitted = flow.admitted
        assert admitted is not None
        done = msgspec.structs.replace(flow, admitted=msgspec.structs.replace(admitted, key=""))
        is_first = await self._flows.replace(kept, flows_of.encode(done)) is not None
        return is_first and await self._may_have_keys(admitted)

    async def _without_key(self, flow: Flow, kept: KeptFlow, admitted: AdmittedTenant) -> None:
        """Set a flow to DONE whose tenant waits for approval."""
        done = msgspec.structs.replace(flow, consented=None, admitted=admitted, failure=None)
        if await self._flows.replace(kept, flows_of.encode(done)) is not None:
            log.info("tenant_waits_for_approval", tenant_id=admitted.tenant_id, reference=flow.reference)

    async def _with_key(self, flow: Flow, kept: KeptFlow, admitted: AdmittedTenant) -> None:
        """Make a key and put it into the flow; of two concurrent runs, the second revokes its own key."""
        label, by = _label(flow), Actor.account(admitted.upn, admitted.account_id)
        key = await self._suite_keys.issue(admitted.tenant_id, label, key_made(by, label))
        admitted = msgspec.structs.replace(admitted, key_id=key.key_id, key=key.text)
        done = msgspec.structs.replace(flow, consented=None, admitted=admitted, failure=None)
        if await self._flows.replace(kept, flows_of.encode(done)) is None:
            await self._revoke(key.key_id, label, by)
            return
        log.info("suite_key_issued", tenant_id=admitted.tenant_id, reference=flow.reference, key_id=key.key_id)
        await self._revoke_others(admitted.tenant_id, label, key.key_id, by)

    async def _revoke_others(self, tenant_id: TenantId, label: str, key_id: str, by: Actor) -> None:
        for record in await self._suite_keys.list(tenant_id):
            if record.label == label and record.key_id != key_id and record.revoked is None:
                await self._revoke(record.key_id, label, by)

    async def _revoke(self, key_id: str, label: str, by: Actor) -> None:
        await self._suite_keys.revoke(key_id, key_revoked(by, key_id, label))


def _label(flow: Flow) -> str:
    return f"Onboarding {flow.reference}"


def _checked(flow: Flow, check: Check) -> Flow:
    return (
        flow
        if flow.verification is None
        else msgspec.structs.replace(flow, verification=flow.verification.with_check(check))
    )


def _account(grant: ProvenGrant) -> Actor:
    return Actor.account(grant.upn, grant.account_id)
