"""Finds a tenant by its id, domain or name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Final

import typer

from relay.commands.runner import EXIT_USAGE, fail
from relay.core import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relay.core.presence import TenantId
    from relay.store.custody.tenants import Tenant
    from relay.store.server.connection import Store

TenantArgument = Annotated[
    str, typer.Argument(metavar="TENANT", help="Tenant id (a GUID), the tenant's domain, or its name.")
]

_MOST_SUGGESTIONS: Final = 5


async def find_tenant(store: Store, text: str) -> Tenant:
    """Return the tenant with this id, domain or name. Ends the command, with suggestions, when none or several match.

    An id has precedence over a domain and a domain over a name, so that a name cannot hide another tenant's domain.
    """
    from relay.store.custody.tenants import Tenants

    tenant_id = names.tenant_id(text)
    if tenant_id is not None and (tenant := await Tenants(store).load(tenant_id)) is not None:
        return tenant
    known = await Tenants(store).list()
    wanted = text.strip().casefold()
    for found in (
        [tenant for tenant in known if wanted and tenant.domain.casefold() == wanted],
        [tenant for tenant in known if wanted and tenant.name.casefold() == wanted],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            fail(f"Several tenants are called {text[:100]}; give the id of one:\n{_lines(found)}", EXIT_USAGE)
    typer.echo(_not_found(text, _near(wanted, known)), err=True)
    raise typer.Exit(EXIT_USAGE)


async def find_tenant_id(store: Store, text: str) -> TenantId:
    """Return the tenant's id; see `find_tenant`."""
    return (await find_tenant(store, text)).tenant_id


async def only_tenant_id(store: Store) -> TenantId:
    """Return the id of the only tenant. Ends the command when there is none, or more than one."""
    from relay.store.custody.tenants import Tenants

    known = await Tenants(store).list()
    if len(known) != 1:
        message = (
            "There is no tenant yet: presence-relay tenants onboard"
            if not known
            else "There are several tenants: name one with --tenant"
        )
        fail(message, EXIT_USAGE)
    return known[0].tenant_id


def _not_found(text: str, near: Sequence[Tenant]) -> str:
    hint = f". Did you mean one of these?\n{_lines(near)}" if near else ": presence-relay tenants list"
    return f"There is no tenant {text[:100]}{hint}"


def _near(wanted: str, known: Sequence[Tenant]) -> list[Tenant]:
    """Return tenants whose id, domain or name contains `wanted` or is similar to it, the best match first."""
    if not wanted:
        return []
    spellings = {
        tenant.tenant_id: [tenant.tenant_id, tenant.domain.casefold(), tenant.name.casefold()] for tenant in known
    }
    parts = [tenant for tenant in known if any(wanted in spelling for spelling in spellings[tenant.tenant_id])]
    alike = [
        tenant for tenant in known
        if tenant not in parts and difflib.get_close_matches(wanted, spellings[tenant.tenant_id], n=1)
    ]  # fmt: skip
    return [*parts, *alike][:_MOST_SUGGESTIONS]


def _lines(tenants: Iterable[Tenant]) -> str:
    return "\n".join(f"  {tenant.tenant_id}  {tenant.domain or '-'}  {tenant.name or '-'}" for tenant in tenants)
