"""The organisations that use the relay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from relay import config
from relay.commands.frame import EXIT_USAGE, give_up, with_store
from relay.commands.naming import TenantArgument, meant_id
from relay.core import names

if TYPE_CHECKING:
    from relay.config import Settings
    from relay.store.connection import Store
    from relay.store.push import PushStatus

commands = typer.Typer(no_args_is_help=True, help="The organisations that use this relay.")


@commands.command("list")
def list_tenants() -> None:
    """List the tenants."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.tenants import Tenants

        found = await Tenants(store).list()
        for tenant in found:
            typer.echo(f"{tenant.tenant_id}  {tenant.state:<16}  {tenant.domain or '-'}")
        if not found:
            typer.echo("No tenants yet: presence-relay tenants onboard", err=True)

    with_store(work)


@commands.command("show")
def show_tenant(tenant: TenantArgument) -> None:
    """Show a tenant with its grants and suite keys."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.push import PushStatuses
        from relay.store.suite_keys import SuiteKeys
        from relay.store.tenants import Tenants
        from relay.store.vault import Vault

        tenant_id = await meant_id(store, tenant)
        record = await Tenants(store).load(tenant_id)
        assert record is not None
        typer.echo(f"tenant   {tenant_id}\ndomain   {record.domain or '-'}\nstate    {record.state}")
        typer.echo(f"since    {record.created:%Y-%m-%d %H:%M} UTC")
        typer.echo(f"push     {push_words(await PushStatuses(store).load(tenant_id))}")
        for grant in await Vault(store, settings.key_ring()).list(tenant_id):
            trouble = "its key is missing from the key ring" if grant.sealed_shut else grant.error
            typer.echo(f"grant    {grant.upn or grant.account_id}  {grant.state}{f' ({trouble})' if trouble else ''}")
        for key in await SuiteKeys(store).list(tenant_id):
            used = f"last used {key.last_used:%Y-%m-%d %H:00} UTC" if key.last_used else "never used"
            ended = f"revoked {key.revoked:%Y-%m-%d %H:%M} UTC" if key.revoked else used
            typer.echo(f"key      {key.key_id}  {key.label or '-'}  {ended}")

    with_store(work, "vault.key_ring")


@commands.command()
def onboard(
    *,
    tenant: Annotated[str, typer.Option(help="Tenant id to accept nobody else.")] = "",
    port: Annotated[int, typer.Option(help="Port on localhost that the browser comes back to.")] = 8400,
    wait: Annotated[int, typer.Option(help="Minutes to wait for the sign-in.", min=1, max=60)] = 10,
) -> None:
    """Take an organisation in: someone of it signs in and consents in a browser on this machine."""
    if tenant and names.tenant_id(tenant) is None:
        give_up(f"{tenant!r} is no tenant id (a GUID).", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.onboarding_by_hand import onboard_by_hand

        issued = await onboard_by_hand(store, settings, typer.echo, tenant=tenant.lower(), port=port, wait_s=60 * wait)
        typer.echo("The suite key, shown this once. Keep it in a file that only the suite can read:", err=True)
        typer.echo(issued.text)

    with_store(work, *config.ONBOARDING)


@commands.command("remove")
def remove_tenant(
    tenant: TenantArgument, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a tenant: its grants, its suite keys and all that is known of its users. Its streams end."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.tenants import Tenants

        tenant_id = await meant_id(store, tenant)
        if not yes and not typer.confirm(f"Delete {tenant_id}, its grants and its suite keys?"):
            raise typer.Exit
        await Tenants(store).remove(tenant_id)
        typer.echo(f"{tenant_id} is deleted. In Entra, its administrator may also remove the application.")

    with_store(work)


def push_words(status: PushStatus | None) -> str:
    """How a tenant's users are followed, as an operator reads it."""
    if status is None:
        return "not known yet: no worker has looked after this tenant"
    if status.is_off:
        return "off: RELAY_WEBHOOK_URL is not set, or this cloud has no change notifications"
    silent = f", {status.silent} of them because notifications fell silent" if status.silent else ""
    return f"{status.pushed} pushed, {status.polled} polled{silent}" + (f" ({status.reason})" if status.reason else "")
