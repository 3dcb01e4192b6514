"""Stores a proven grant, by one of three rules. Each is one durable step of the store.

    by_operator   the operator's command, or `dev`: the tenant is admitted regardless of the sign-up rule
    by_applicant  the wizard: the sign-up rule decides; an account that is new to a connected tenant must request access
    by_manager    the tenant's page: another account, a renewal, a replacement, or an account that requested access

Only a `ProvenGrant` is stored. A second consent of the same account renews its grant.
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
    """Admit a tenant, or add or renew one of its grants; durable on return.

    Raises:
        Retryable: Redis did not answer; repeating is safe.
        NotSaved: the grant may not be on disk: do not report success.
    """
    await Admissions(store, ring).admit(
        AdmissionRequest(
            tenant_id=grant.tenant_id,
            account_id=grant.account_id,
            upn=grant.upn,
            token_cache=grant.token_cache,
            domain=grant.upn.rpartition("@")[2].lower(),
            word_ms=now_ms(),  # the operator runs this command
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
    """Admit the tenant of a person who used the wizard.

    Args:
        admissions: the store's.
        grant: the account's.
        event: CONSENTED, or APPLIED when the operator must approve first.
        name: the organisation's name, as entered.
        domain: the organisation's domain.
        settings: the initial settings of a new tenant, such as its contact.
        word_ms: when the operator invited the tenant, in ms since 1970; 0: never.

    Raises:
        MustAsk: the tenant is connected and the account is new to it; nothing was written.
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
    """Add or renew a grant of a connected tenant, for one of its managers.

    A tenant that waits for approval keeps waiting, and a removed tenant stays removed.

    Args:
        admissions: the store's.
        grant: the account's.
        by: the acting person, for the audit log.
        right_of: the manager whose right must still be valid; None: the right has another basis.
        replaces: the account whose grant is removed in the same step.
        asked: the account's own request, which must still be open.

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
