"""Admission of a tenant: what happens between a consent and the first poll.

A new grant is tried before it is kept: one real read of presence. Then the tenant's record and the grant are kept in one step.
The same account twice renews its grant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.consent.prove import tried
from relay.errors import AccessDenied, Bug, RequestRefused
from relay.graph.auth.consent import ConsentFailed, ConsentProblem
from relay.graph.client import GraphClient
from relay.store.custody.admissions import Admissions
from relay.store.custody.sign_ups import waits_no_more
from relay.store.custody.tenants import Tenants
from relay.store.custody.turned_away import now_ms

if TYPE_CHECKING:
    from relay.graph.auth.consent import NewGrant
    from relay.graph.settings import GraphSettings
    from relay.store.custody.tenants import Tenant
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


async def admit(store: Store, ring: KeyRing, settings: GraphSettings, consent: NewGrant) -> Tenant:
    """Take a tenant in, or add or renew one of its grants; durable when it returns.

    Raises:
        ConsentFailed: the new grant cannot read presence; nothing was kept.
        Retryable: Microsoft or Redis did not answer; repeating is safe.
        NotSaved: the grant is not known to be on disk: do not tell anybody that it is kept.
    """
    token_cache = await _tried(settings, consent)
    await Admissions(store, ring).admit(
        consent.tenant_id,
        consent.account_id,
        upn=consent.upn,
        token_cache=token_cache,
        name="",
        domain=consent.upn.rpartition("@")[2].lower(),
        settings={},
        word_ms=now_ms(),  # it is the operator who runs this
    )
    await waits_no_more(store, consent.tenant_id)
    tenant = await Tenants(store).load(consent.tenant_id)
    if tenant is None:
        raise Bug("A tenant that was just admitted is not there")
    return tenant


async def _tried(settings: GraphSettings, consent: NewGrant) -> str:
    """The grant's token cache after one read with it."""
    async with GraphClient(settings) as client:
        try:
            return await tried(client, consent.tenant_id, consent.account_id, consent.token_cache)
        except (AccessDenied, RequestRefused) as error:
            sentence = f"Microsoft gave the consent but refuses to let this account read presence: {error}"
            raise ConsentFailed(ConsentProblem.PERMISSIONS_MISSING, "presence_refused", sentence) from error
