"""What is written once a grant is proven, in which order, and why each order of interruption is harmless.

    0  proof          Microsoft is asked; nothing is written but how far it is
    1  tenant, grant  one script, on disk. Before it: nothing but the flow. After it: a tenant that is read
    2  suite key      on disk. Cut short here, it is a key whose text nobody has; 4 ends it
    3  flow: done     compare and set, on disk; of two at once one gets here, the other takes its key back
    4  other keys of this flow are revoked: those of tries that were cut short, or a key that was lost on the way

Each step can be repeated, so trying again goes on from wherever it stopped. The key's text is in the sealed flow from 3 until
its page is shown, then nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from onboarding import flow as flows_of
from onboarding.flow import Admitted, Check, Mark
from onboarding.languages import english
from relay.core.audit import RELAY, key_made, key_revoked
from relay.core.tenant import TenantState

if TYPE_CHECKING:
    from onboarding.entry import Entry
    from onboarding.flow import Consented, Flow
    from onboarding.proof import Proof
    from relay.core.presence import TenantId
    from relay.store.admissions import Admissions
    from relay.store.flows import Flows, KeptFlow
    from relay.store.suite_keys import SuiteKeys
    from relay.store.vault import Vault

log = structlog.get_logger(__name__)


class Admission:
    """Takes tenants in. Raises whatever the store raises; repeating is safe."""

    def __init__(self, flows: Flows, entry: Entry, admissions: Admissions, suite_keys: SuiteKeys, vault: Vault) -> None:
        self.entry = entry
        self._flows = flows
        self._admissions = admissions
        self._suite_keys = suite_keys
        self._vault = vault

    async def admit(self, flow: Flow, kept: KeptFlow, consented: Consented, proof: Proof) -> None:
        """Keep a proven grant and its tenant, make a suite key unless the operator must approve first, and have the flow DONE.

        Raises:
            NotInvited, SignUpsFull, TurnedAwayError: the tenant may not come in; nothing was kept.
        """
        applicant, tenant_id = flow.applicant, consented.tenant_id
        event = await self.entry.event(flow)
        taken = await self._admissions.admit(
            tenant_id,
            consented.account_id,
            upn=consented.upn,
            token_cache=proof.token_cache,
            name=applicant.organisation,
            domain=applicant.domain,
            settings={"contact_name": applicant.contact, "contact_email": applicant.email},
            event=event,
            word_ms=flow.word_ms,
        )
        await self.entry.came(tenant_id, taken.state)
        log.info("tenant_admitted", tenant_id=tenant_id, reference=flow.reference, state=taken.state)
        grants = len(await self._vault.list(tenant_id))
        if flow.trial is not None:
            said = english("Kept. The relay reads from now on.")
            if taken.state is TenantState.PENDING:
                said = english("Kept, encrypted. Nothing is read before it is approved.")
            kept_check = Check("kept", Mark.GOOD, said)
            flow = msgspec.structs.replace(flow, trial=flow.trial.marked(kept_check))
        if taken.state is TenantState.PENDING:
            await self._without_key(flow, kept, Admitted(tenant_id, consented.upn, "", "", grants, is_pending=True))
            return
        suspended = taken.state is TenantState.SUSPENDED
        await self._with_key(flow, kept, Admitted(tenant_id, consented.upn, "", "", grants, is_suspended=suspended))

    async def another_key(self, flow: Flow, kept: KeptFlow) -> None:
        """Replace the suite key of a flow that is done; the former stops working."""
        assert flow.admitted is not None
        await self._with_key(flow, kept, flow.admitted)

    async def shown(self, flow: Flow, kept: KeptFlow) -> bool:
        """Forget the key's text, because it is shown now; False when somebody else was faster."""
        assert flow.admitted is not None
        done = msgspec.structs.replace(flow, admitted=msgspec.structs.replace(flow.admitted, key=""))
        return await self._flows.replace(kept, flows_of.encode(done)) is not None

    async def _without_key(self, flow: Flow, kept: KeptFlow, admitted: Admitted) -> None:
        """Have a flow DONE whose tenant waits for approval."""
        done = msgspec.structs.replace(flow, consented=None, admitted=admitted, trouble=None)
        if await self._flows.replace(kept, flows_of.encode(done)) is not None:
            log.info("tenant_waits", tenant_id=admitted.tenant_id, reference=flow.reference)

    async def _with_key(self, flow: Flow, kept: KeptFlow, admitted: Admitted) -> None:
        """Make a key and put it into the flow; whoever comes second takes its own back."""
        label = f"Onboarding {flow.reference}"
        key = await self._suite_keys.issue(admitted.tenant_id, label, key_made(RELAY, label))
        admitted = msgspec.structs.replace(admitted, key_id=key.key_id, key=key.text)
        done = msgspec.structs.replace(flow, consented=None, admitted=admitted, trouble=None)
        if await self._flows.replace(kept, flows_of.encode(done)) is None:
            await self._revoke(key.key_id, label)
            return
        log.info("suite_key_issued", tenant_id=admitted.tenant_id, reference=flow.reference, key_id=key.key_id)
        await self._revoke_others(admitted.tenant_id, label, key.key_id)

    async def _revoke_others(self, tenant_id: TenantId, label: str, key_id: str) -> None:
        for record in await self._suite_keys.list(tenant_id):
            if record.label == label and record.key_id != key_id and record.revoked is None:
                await self._revoke(record.key_id, label)

    async def _revoke(self, key_id: str, label: str) -> None:
        await self._suite_keys.revoke(key_id, key_revoked(RELAY, key_id, label))
