"""E-mails about events of a tenant. A failure to write one never prevents the event's deed.

    deed, on disk ──► Letters ──► a notice for each recipient ──► the partition's worker sends it

A failed letter is logged. The deed stays in force, and the tenant's audit log has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from relay.core.audit.events import ActorKind
from relay.core.names import folded
from relay.errors import RelayError
from relay.store.custody.managers import Managers
from relay.store.custody.notices import OPERATOR, Notices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.core.audit.events import Actor
    from relay.store.custody.managers import Manager
    from relay.store.custody.notices import NoticeKind
    from relay.store.custody.tenants import Tenant
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)


class Letters:
    """Writes e-mails as notices. Logs the store's errors and does not raise them."""

    def __init__(self, store: Store) -> None:
        self._notices = Notices(store)
        self._managers = Managers(store)

    async def to_managers(
        self, tenant: Tenant, kind: NoticeKind, by: Actor, *, about: str = "", managers: Iterable[Manager] | None = None
    ) -> None:
        """Write to all managers of a tenant and to its contact, except to the actor.

        Args:
            tenant: the tenant; for a removed tenant its last record.
            kind: the event.
            by: the actor.
            about: the person or thing that it is about.
            managers: its managers; None: read them from the store, which is not possible for a removed tenant.
        """
        try:
            found = await self._managers.list(tenant.tenant_id) if managers is None else managers
            await self._write(tenant, kind, recipients(tenant, found, by), by, about)
        except RelayError as error:
            _not_written(tenant, kind, error)

    async def to_operator(self, tenant: Tenant, kind: NoticeKind, by: Actor, *, about: str = "") -> None:
        """Write to the operator; see `to_managers`. The tenant need not exist in the store."""
        try:
            await self._write(tenant, kind, [OPERATOR], by, about)
        except RelayError as error:
            _not_written(tenant, kind, error)

    async def _write(self, tenant: Tenant, kind: NoticeKind, to: list[str], by: Actor, about: str) -> None:
        who = by.name if by.kind is ActorKind.ACCOUNT else ""
        written = await self._notices.write(tenant, kind, to, who=who, about=about)
        if written < len(to):
            log.warning("letters_dropped", tenant_id=tenant.tenant_id, kind=kind, count=len(to) - written)


def recipients(tenant: Tenant, managers: Iterable[Manager], but: Actor) -> list[str]:
    """Return the addresses of a tenant's managers and contact, sorted, unique, and without the actor's."""
    found = {folded(manager.upn.strip()) for manager in managers if manager.account_id != but.id}
    found.add(folded(tenant.settings.get("contact_email", "").strip()))
    own = folded(but.name.strip()) if but.kind is ActorKind.ACCOUNT else ""
    return sorted(found - {"", own})


def _not_written(tenant: Tenant, kind: NoticeKind, error: RelayError) -> None:
    log.error("letters_not_written", tenant_id=tenant.tenant_id, kind=kind, error=str(error))
