"""`presence-relay tenants limit`: show or change how many distinct users one tenant may watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.administration.changes import log_act
from relay.commands.runner import EXIT_USAGE, fail
from relay.core.audit.events import OPERATOR
from relay.core.watching.limits import NAMES_SETTING, most_names
from relay.store.custody.operator_log import ActKind
from relay.store.custody.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.store.custody.tenants import Tenant
    from relay.store.server.connection import Store


def line(tenant: Tenant, settings: Mapping[str, str], default: int) -> str:
    """Return the line that shows the limit of a tenant with these settings."""
    whose = "its own limit" if settings.get(NAMES_SETTING) else "the default limit"
    return f"{tenant.domain or tenant.tenant_id} may watch {most_names(settings, default)} users: {whose}."


async def limit(store: Store, tenant: Tenant, users: int | None, default: int) -> str:
    """Set a tenant's own limit, or with None the default. Return the line that shows it."""
    values = {NAMES_SETTING: "" if users is None else str(users)}
    settings = await Tenants(store).change_settings(tenant.tenant_id, values, OPERATOR, shown=values.keys())
    if settings is None:
        fail(f"{tenant.tenant_id} has left.", EXIT_USAGE)
    await log_act(store, tenant, ActKind.LIMITED, OPERATOR)
    return f"{line(tenant, settings, default)} Edges know within 10 seconds."
