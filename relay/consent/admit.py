"""Keeps a proven grant, by three rules. Each is one durable step of the store.

    by_operator   the operator's command, or `dev`: the tenant comes in, whatever the sign-up rule says
    by_applicant  the wizard: the sign-up rule decides; an account that a connected tenant does not know must ask
    by_manager    the tenant's page: another account, the same one again, one in another's place, or one that asked

Only a `ProvenGrant` is kept. The same account twice renews its grant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.core.consent.tenant import TenantEvent
from relay.errors import Bug
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.sign_ups import waits_no_more
from relay.store.custody.tenants import Tenants
from relay.store.custody.turned_away import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.consent.prove import ProvenGrant
    from relay.core.audit.events import Actor
    from relay.core.presence import UserId
    from relay.store.custody.access_requests import AccessRequest
    from relay.store.custody.admissions import Admitted, ReplacedGrant
    from relay.store.custody.tenants import Tenant
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


async def by_operator(store: Store, ring: KeyRing, grant: ProvenGrant) -> Tenant:
    """Take a tenant in, or add or renew one of its grants; durable when it returns.

    Raises:
        Retryable: Redis did not answer; repeating is safe.
        NotSaved: the grant is not known to be on disk: do not tell anybody that it is kept.
    """
    await Admissions(store, ring).admit(
        AdmissionRequest(
            tenant_id=grant.tenant_id,
            account_id=grant.account_id,
            upn=grant.upn,
            token_cache=grant.token_cache,
            domain=grant.upn.rpartition("@")[2].lower(),
            word_ms=now_ms(),  # it is the operator who runs this
        )
    )
    await waits_no_more(store, grant.tenant_id)
    tenant = await Tenants(store).load(grant.tenant_id)
    if tenant is None:
        raise Bug("A tenant that was just admitted is not there")
    return tenant


async def by_applicant(
    admissions: Admissions,
    grant: ProvenGrant,
    *,
    event: TenantEvent,
    name: str,
    domain: str,
    settings: Mapping[str, str],
    word_ms: int,
) -> Admitted:
    """Take in the tenant of somebody who came by the wizard.

    Args:
        admissions: the store's.
        grant: the account's.
        event: CONSENTED, or APPLIED when the operator must approve first.
        name: the organisation's, as it was typed.
        domain: the organisation's.
        settings: those of a tenant that has none, such as its contact.
        word_ms: when the operator invited the tenant, in ms since 1970; 0: never.

    Raises:
        MustAsk: the tenant is connected and does not know the account; nothing was written.
        TurnedAwayError, NotSaved, StoreUnavailable: see `Admissions.admit`.
    """
    return await admissions.admit(
        AdmissionRequest(
            tenant_id=grant.tenant_id,
            account_id=grant.account_id,
            upn=grant.upn,
            token_cache=grant.token_cache,
            name=name,
            domain=domain,
            settings=settings,
            event=event,
            word_ms=word_ms,
            by_wizard=True,
        )
    )


async def by_manager(
    admissions: Admissions,
    grant: ProvenGrant,
    *,
    by: Actor,
    right_of: UserId | None,
    replaces: ReplacedGrant | None = None,
    asked: AccessRequest | None = None,
) -> Admitted:
    """Add or renew a grant of a connected tenant, on the word of somebody who manages the tenant.

    A tenant that waits for approval goes on waiting, and one that was removed meanwhile does not come back.

    Args:
        admissions: the store's.
        grant: the account's.
        by: the person who does it, for the audit log.
        right_of: the manager whose right must still be in force; None: the right rests on something else.
        replaces: the account whose grant is withdrawn in the same step.
        asked: the account's own request, which must still wait.

    Raises:
        RequestGone, RightEnded, TenantRemoved: nothing was written.
        TurnedAwayError, NotSaved, StoreUnavailable: see `Admissions.admit`.
    """
    return await admissions.admit(
        AdmissionRequest(
            tenant_id=grant.tenant_id,
            account_id=grant.account_id,
            upn=grant.upn,
            token_cache=grant.token_cache,
            by=by,
            right_of=right_of,
            replaces=replaces,
            asked=asked,
            event=TenantEvent.APPLIED,
            is_new=False,
        )
    )
