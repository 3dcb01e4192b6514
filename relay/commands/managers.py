"""`presence-relay tenants manager`: list, add and remove the managers of a tenant, for when no manager can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.naming import TenantArgument, find_tenant
from relay.commands.runner import EXIT_FAILURE, EXIT_USAGE, fail, with_store
from relay.core import names
from relay.core.audit.events import OPERATOR

if TYPE_CHECKING:
    from relay.core.presence import TenantId, UserId
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer(
    no_args_is_help=True, help="List, add and remove the managers of a tenant: the people who may use its page."
)

_NAMES = ("vault.key_ring", "cloud.client_id", "cloud.client_secret")


@commands.command("list")
def list_managers(
    tenant: TenantArgument, *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False
) -> None:
    """List the managers of a tenant."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.managers import Managers

        found = await Managers(store).list((await find_tenant(store, tenant)).tenant_id)
        if as_json:
            data = [
                {
                    "account_id": one.account_id,
                    "upn": one.upn,
                    "since": one.since.isoformat(),
                    "origin": one.origin,
                    "added_by": one.added_by,
                }
                for one in found
            ]
            typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        elif found:
            typer.echo("\n".join(f"{one.account_id}  {one.since:%Y-%m-%d}  {one.origin:9}  {one.upn}" for one in found))
        else:
            typer.echo("It has no manager: presence-relay tenants manager add", err=True)

    with_store(work)


@commands.command("add")
def add_manager(
    tenant: TenantArgument,
    account: Annotated[str, typer.Argument(help="User name (UPN) or object id of the account.")],
    *,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked", help="Accept an object id without looking it up, when no account of the organisation can."
        ),
    ] = False,
) -> None:
    """Make an account of the organisation a manager. The tenant's audit log names the operator."""
    object_id = names.user_id(account)
    if unchecked and object_id is None:
        fail("--unchecked takes an object id (a GUID), not a name: a name can be given to another person.", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.managers import AddOutcome, Managers

        tenant_id = (await find_tenant(store, tenant)).tenant_id
        if unchecked and object_id is not None:
            user_id, upn = object_id, str(object_id)
        else:
            user_id, upn = await _look_up(store, settings, tenant_id, account)
        added = await Managers(store).add(tenant_id, user_id, upn, OPERATOR)
        if added is AddOutcome.FULL:
            fail("The tenant has the maximum number of managers: remove one first.", EXIT_FAILURE)
        typer.echo(f"{upn} is {'already' if added is AddOutcome.THERE else 'now'} a manager of {tenant_id}.")

    with_store(work, *(() if unchecked else _NAMES))


@commands.command("remove")
def remove_manager(
    tenant: TenantArgument, account: Annotated[str, typer.Argument(help="User name as listed, or object id.")]
) -> None:
    """Remove a manager, but never the last one. The tenant's audit log names the operator."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.managers import Managers, RemoveOutcome

        managers, tenant_id = Managers(store), (await find_tenant(store, tenant)).tenant_id
        wanted = names.folded(account.strip())
        found = [one for one in await managers.list(tenant_id) if wanted in (one.account_id, names.folded(one.upn))]
        if len(found) != 1:
            fail(f"{len(found)} managers are called {account!r}: give an object id.", EXIT_USAGE)
        removed = await managers.remove(tenant_id, found[0], OPERATOR)
        if removed is RemoveOutcome.LAST:
            fail("This is the last manager, and a tenant needs one: add another first.", EXIT_FAILURE)
        typer.echo(f"{found[0].upn} is no longer a manager of {tenant_id}.")

    with_store(work)


async def _look_up(store: Store, settings: Settings, tenant_id: TenantId, account: str) -> tuple[UserId, str]:
    from relay.consent.account_names import NotFound, find_account
    from relay.graph.client import GraphClient
    from relay.store.custody.vault import Vault

    grants = await Vault(store, settings.key_ring()).list(tenant_id)
    async with GraphClient(settings.graph_settings()) as client:
        found = await find_account(client, grants, account)
    if isinstance(found, NotFound):
        messages = {
            NotFound.UNKNOWN: "Microsoft finds no user of this name in the organisation.",
            NotFound.GUEST: "This is a guest. Guests cannot open the organisation's page.",
            NotFound.NO_GRANT: "No account reads for the organisation, so the relay cannot look the name up. "
            "Ask them for their object id and give that with --unchecked.",
            NotFound.NO_ANSWER: "Microsoft did not answer. Try again, or give an object id with --unchecked.",
        }
        fail(messages[found], EXIT_FAILURE)
    return found.user_id, found.upn
