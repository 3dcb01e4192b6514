"""`presence-relay tenants map`: show or change the console statuses of one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.administration.changes import NotPossible
from relay.administration.mapping import change_row, row_name
from relay.commands.runner import EXIT_USAGE, fail
from relay.core.audit.events import OPERATOR
from relay.core.presence import ConsoleStatus
from relay.core.showing import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relay.store.custody.tenants import Tenant
    from relay.store.server.connection import Store


def lines(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the mapping in force for a tenant, a line for each row. The tenant's own statuses are marked."""
    own = mapping.overrides(settings)
    for row in mapping.TABLE:
        for usual, out in ((row.console_status, False), (row.when_out, True)):
            if out and row.when_out is row.console_status:
                continue
            key = mapping.RowKey(row.availability, row.activity, out)
            chosen = own.get(key)
            was = "" if chosen is None else f"  (own; usually {usual.name})"
            yield f"{row_name(key):<42}  {(chosen or usual).name}{was}"


async def change(store: Store, tenant: Tenant, row: str, status: str) -> list[str]:
    """Set a row's status for a tenant, or with an empty one its default status. Return lines that show it."""
    try:
        key = mapping.row_key(row)
    except ValueError:
        fail(f"The mapping has no row {row[:100]!r}: presence-relay tenants map {tenant.tenant_id}", EXIT_USAGE)
    wanted = status.strip().replace("-", "_").upper()
    if wanted and wanted not in ConsoleStatus.__members__:
        statuses = ", ".join(one.name for one in ConsoleStatus)
        fail(f"{status[:100]!r} is not a console status. Use one of: {statuses}.", EXIT_USAGE)
    try:
        await change_row(store, tenant, key, ConsoleStatus[wanted] if wanted else None, OPERATOR)
    except NotPossible:
        fail(f"{tenant.tenant_id} has left.", EXIT_USAGE)
    return [f"{row_name(key)} is {wanted or 'the default'} for {tenant.domain or tenant.tenant_id} now."]
