"""Suspends, resumes and approves tenants: each with its entry in the tenant's audit log and in the operators' log."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from relay.core.audit.events import EventKind
from relay.core.audit.events import tenant as tenant_event
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.diagnosis.standing import resumption
from relay.errors import Rejected
from relay.store.custody.emails import Letters
from relay.store.custody.notices import NoticeKind
from relay.store.custody.operator_log import ActKind, OperatorAct, OperatorLog
from relay.store.custody.tenants import Tenants

if TYPE_CHECKING:
    from relay.core.audit.events import Actor
    from relay.store.custody.tenants import Tenant
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


class Obstacle(enum.Enum):
    """A reason why an action on a tenant is not possible."""

    ALREADY_SUSPENDED = enum.auto()
    WAITS_FOR_APPROVAL = enum.auto()
    HAS_LEFT = enum.auto()
    NOT_SUSPENDED = enum.auto()
    DOES_NOT_WAIT = enum.auto()


class NotPossible(Rejected):
    """The action is not possible; nothing was changed.

    Attributes:
        obstacle: the reason.
    """

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.name.lower().replace("_", " "))
        self.obstacle = obstacle


async def suspend(store: Store, tenant: Tenant, by: Actor) -> None:
    """Stop reading a tenant until it is resumed.

    Raises:
        NotPossible: it is suspended already, waits for approval, or has left.
        NotSaved: it is not known to be on disk.
    """
    if tenant.state is TenantState.SUSPENDED:
        raise NotPossible(Obstacle.ALREADY_SUSPENDED)
    entry = tenant_event(EventKind.TENANT_SUSPENDED, by)
    state = await Tenants(store).happened(tenant.tenant_id, TenantEvent.SUSPENDED, entry)
    if state is not TenantState.SUSPENDED:
        raise NotPossible(Obstacle.WAITS_FOR_APPROVAL if state is TenantState.PENDING else Obstacle.HAS_LEFT)
    await log_act(store, tenant, ActKind.SUSPENDED, by)


async def resume(store: Store, ring: KeyRing, tenant: Tenant, by: Actor) -> TenantState:
    """Read a suspended tenant again; return its state, which is CONSENT_REQUIRED when none of its grants works.

    Raises:
        NotPossible: it is not suspended, or has left.
        NotSaved: it is not known to be on disk.
    """
    if tenant.state is not TenantState.SUSPENDED:
        raise NotPossible(Obstacle.NOT_SUSPENDED)
    event, trouble = await resumption(store, ring, tenant.tenant_id)
    entry = tenant_event(EventKind.TENANT_RESUMED, by)
    state = await Tenants(store).happened(tenant.tenant_id, event, entry, trouble=trouble)
    if state is None:
        raise NotPossible(Obstacle.HAS_LEFT)
    await log_act(store, tenant, ActKind.RESUMED, by)
    return state


async def approve(store: Store, tenant: Tenant, by: Actor) -> None:
    """Approve a waiting tenant, and notify its managers by e-mail.

    Raises:
        NotPossible: it does not wait for approval.
        NotSaved: it is not known to be on disk.
    """
    if not await Tenants(store).approve(tenant.tenant_id, by):
        raise NotPossible(Obstacle.DOES_NOT_WAIT)
    await Letters(store).to_managers(tenant, NoticeKind.TENANT_APPROVED, by)
    await log_act(store, tenant, ActKind.APPROVED, by)


async def log_act(store: Store, tenant: Tenant, kind: ActKind, by: Actor) -> None:
    """Add an action on a tenant to the operators' log; durable on return.

    Raises:
        NotSaved: it is not known to be on disk.
    """
    about = tenant.domain or tenant.name
    await OperatorLog(store).record(OperatorAct.of(kind, by, tenant_id=tenant.tenant_id, about=about))
