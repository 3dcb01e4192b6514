"""`presence-relay tenants`: onboard, show, suspend and remove the organisations that use the relay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

from relay.commands import managers as looking_after
from relay.commands.naming import TenantArgument, find_tenant
from relay.commands.runner import EXIT_FAILURE, EXIT_USAGE, fail, with_store
from relay.core import names
from relay.core.audit import events as audit
from relay.core.watching.limits import HIGHEST
from relay.settings import roles

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer(no_args_is_help=True, help="Manage the organisations that use this relay.")
commands.add_typer(looking_after.commands, name="manager")

TENANTS_ON_A_PAGE: Final = 100

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@commands.command("list")
def list_tenants(
    *,
    page: Annotated[int, typer.Option(help="Page to print.", min=1)] = 1,
    page_size: Annotated[
        int | None,
        typer.Option(help="Tenants on a page. Default: 100, and all of them with --json.", min=1),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the tenants and their state: those that wait for approval first, then those that need consent."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.diagnosis.standing import as_data, in_order, lines, standings

        tenants = await in_order(store)
        size = page_size or (max(len(tenants), 1) if as_json else TENANTS_ON_A_PAGE)
        first = (page - 1) * size
        found = await standings(store, settings.key_ring(), tenants[first : first + size])
        if as_json:
            typer.echo(json.dumps([as_data(one) for one in found], indent=2, ensure_ascii=False))
        elif found:
            typer.echo("\n".join(lines(found)))
        elif not tenants:
            typer.echo("No tenants yet: presence-relay tenants onboard", err=True)
        if len(found) < len(tenants):
            more = f" Next: --page {page + 1}" if first + size < len(tenants) else ""
            shown = f"Tenants {first + 1:,} to {first + len(found):,}" if found else "No tenants on this page,"
            typer.echo(f"{shown} of {len(tenants):,}.{more}", err=True)

    with_store(work, "vault.key_ring")


@commands.command("show")
def show_tenant(tenant: TenantArgument, *, as_json: JsonOption = False) -> None:
    """Show one tenant: its state and the reason, its managers, grants, suite keys and settings."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.diagnosis.standing import as_data, details, standings

        [one] = await standings(store, settings.key_ring(), [await find_tenant(store, tenant)])
        typer.echo(json.dumps(as_data(one), indent=2, ensure_ascii=False) if as_json else "\n".join(details(one)))

    with_store(work, "vault.key_ring")


@commands.command()
def onboard(
    *,
    tenant: Annotated[str, typer.Option(help="Accept only the tenant with this id.")] = "",
    port: Annotated[int, typer.Option(help="Port on localhost that the browser returns to.")] = 8400,
    wait: Annotated[int, typer.Option(help="Minutes to wait for the sign-in.", min=1, max=60)] = 10,
) -> None:
    """Onboard a tenant: a user signs in and consents, in a browser on this machine."""
    if tenant and names.tenant_id(tenant) is None:
        fail(f"{tenant!r} is not a tenant id (a GUID).", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.consent.by_hand import onboard_by_hand

        issued = await onboard_by_hand(store, settings, typer.echo, tenant=tenant.lower(), port=port, wait_s=60 * wait)
        typer.echo("The suite key, shown only once. Save it in a file that only the suite can read:", err=True)
        typer.echo(issued.text)

    with_store(work, *roles.ONBOARDING)


@commands.command()
def invite(
    domain: Annotated[str, typer.Argument(help="A domain of the organisation's Microsoft 365 accounts.")],
    *,
    organisation: Annotated[str, typer.Option(help="Name of the organisation.")] = "",
    contact: Annotated[str, typer.Option(help="Name of the contact there.")] = "",
    email: Annotated[str, typer.Option(help="The contact's e-mail address.")] = "",
    days: Annotated[int, typer.Option(help="Days until the link expires.", min=1, max=90)] = 14,
) -> None:
    """Print a link with which a user of an organisation can begin the onboarding. It works once, for a limited number of days."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.administration.invitations import InvitationForm
        from relay.commands.invitations import make_invitation

        form = InvitationForm(domain=domain, organisation=organisation, contact=contact, email=email, days=days)
        link = await make_invitation(store, settings, form)
        typer.echo(
            f"The link works once, for {days} days. Anyone with the link may begin; the sign-in decides who may consent.",
            err=True,
        )
        typer.echo(link)

    with_store(work, "vault.key_ring", "cloud.client_id", "web.public_url")


@commands.command("map")
def map_statuses(
    tenant: TenantArgument,
    row: Annotated[str, typer.Argument(help='A row of the mapping, such as "BusyIdle" or "Away + OOF".')] = "",
    status: Annotated[str, typer.Argument(help="The console status for this row.")] = "",
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Restore the row's default status.")] = False,
) -> None:
    """Show or change the console statuses that a tenant's suites show for Microsoft's values."""
    if remove and (not row or status):
        fail("--remove takes a row, and no status.", EXIT_USAGE)
    if row and not (remove or status):
        fail("Give the console status too, or --remove.", EXIT_USAGE)

    async def work(store: Store, _: Settings) -> None:
        from relay.commands.mapping import change, lines

        found = await find_tenant(store, tenant)
        typer.echo("\n".join(await change(store, found, row, status) if row else lines(found.settings)))

    with_store(work)


@commands.command("limit")
def limit_users(
    tenant: TenantArgument,
    users: Annotated[
        int | None, typer.Argument(help="Number of users that its suites may watch together.", min=1, max=HIGHEST)
    ] = None,
    *,
    usual: Annotated[bool, typer.Option("--usual", help="Restore the tenant's default limit.")] = False,
) -> None:
    """Show or change how many distinct users a tenant may watch on all its streams."""
    if usual and users is not None:
        fail("Give a number or --usual, not both.", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.commands.user_limit import limit, line

        found, default = await find_tenant(store, tenant), settings.watch.tenant_names
        changes = usual or users is not None
        typer.echo(await limit(store, found, users, default) if changes else line(found, found.settings, default))

    with_store(work)


@commands.command()
def approve(tenant: TenantArgument) -> None:
    """Approve a waiting tenant. The relay then reads it, and its managers may make suite keys."""

    async def work(store: Store, _: Settings) -> None:
        from relay.administration import changes

        found = await find_tenant(store, tenant)
        try:
            await changes.approve(store, found, audit.OPERATOR)
        except changes.NotPossible:
            fail(f"{found.tenant_id} does not wait for approval: it is {found.state}.", EXIT_USAGE)
        typer.echo(f"{found.tenant_id} is approved. Its administrator makes a suite key on the organisation's page.")

    with_store(work)


@commands.command()
def refuse(
    tenant: TenantArgument,
    *,
    reason: Annotated[str, typer.Option(help="Reason, which is shown to the people of the organisation.")] = "",
) -> None:
    """Refuse a waiting tenant. Its consent is deleted, and only you can let it return."""

    async def work(store: Store, _: Settings) -> None:
        from relay.administration.changes import log_act
        from relay.core.audit.events import OPERATOR
        from relay.store.custody.emails import Letters
        from relay.store.custody.managers import Managers
        from relay.store.custody.notices import NoticeKind
        from relay.store.custody.operator_log import ActKind
        from relay.store.custody.tenants import Tenants

        _check_reason(reason)
        found = await find_tenant(store, tenant)
        managers = await Managers(store).list(found.tenant_id)
        if not await Tenants(store).refuse(found.tenant_id, reason):
            fail(
                f"{found.tenant_id} does not wait for approval: it is {found.state}. To end it: presence-relay tenants remove",
                EXIT_USAGE,
            )
        await Letters(store).to_managers(found, NoticeKind.TENANT_REFUSED, OPERATOR, about=reason, managers=managers)
        await log_act(store, found, ActKind.REFUSED, OPERATOR)
        typer.echo(
            f"{found.tenant_id} is refused; its consent is deleted. To undo the refusal: {_lift_command(found.tenant_id)}"
        )

    with_store(work)


@commands.command()
def lift(
    tenant: Annotated[str, typer.Argument(help="Tenant id. Without one, the command lists them.")] = "",
) -> None:
    """Let a refused or removed tenant return, or list such tenants."""
    tenant_id = names.tenant_id(tenant)
    if tenant and tenant_id is None:
        fail(f"{tenant!r} is not a tenant id (a GUID). presence-relay tenants lift lists them.", EXIT_USAGE)

    async def work(store: Store, _: Settings) -> None:
        from relay.core.audit.events import OPERATOR
        from relay.store.custody.operator_log import ActKind, OperatorAct, OperatorLog
        from relay.store.custody.turned_away import TurnedAway

        marks = TurnedAway(store)
        if tenant_id is None:
            for one, mark in await marks.list():
                typer.echo(f"{one}  {mark.kind} {mark.at:%Y-%m-%d}  {mark.reason or '-'}")
        elif await marks.lift(tenant_id):
            await OperatorLog(store).record(OperatorAct.of(ActKind.LIFTED, OPERATOR, tenant_id=tenant_id))
            typer.echo(f"{tenant_id} may return.")
        else:
            fail(f"{tenant_id} was not turned away.", EXIT_USAGE)

    with_store(work)


@commands.command()
def suspend(tenant: TenantArgument) -> None:
    """Suspend a tenant: stop reading it until it is resumed. Suites show every user as unknown; nothing is deleted."""

    async def work(store: Store, _: Settings) -> None:
        from relay.administration import changes

        found = await find_tenant(store, tenant)
        try:
            await changes.suspend(store, found, audit.OPERATOR)
        except changes.NotPossible as error:
            if error.obstacle is changes.Obstacle.ALREADY_SUSPENDED:
                typer.echo(f"{found.tenant_id} is suspended already.")
                return
            waits = error.obstacle is changes.Obstacle.WAITS_FOR_APPROVAL
            why = "it waits for approval" if waits else "it has left"
            fail(f"{found.tenant_id} cannot be suspended: {why}.", EXIT_FAILURE)
        typer.echo(f"{found.tenant_id} is suspended: presence-relay tenants resume {found.tenant_id}")

    with_store(work)


@commands.command()
def resume(tenant: TenantArgument) -> None:
    """Resume a suspended tenant. It needs a new consent if none of its grants works."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.administration import changes
        from relay.core.consent.tenant import TenantState

        found = await find_tenant(store, tenant)
        try:
            state = await changes.resume(store, settings.key_ring(), found, audit.OPERATOR)
        except changes.NotPossible as error:
            if error.obstacle is changes.Obstacle.HAS_LEFT:
                fail(f"{found.tenant_id} has left.", EXIT_FAILURE)
            fail(f"{found.tenant_id} is not suspended: it is {found.state}.", EXIT_USAGE)
        needs = state is TenantState.CONSENT_REQUIRED
        typer.echo(
            f"{found.tenant_id} is {state}."
            + (" None of its grants works: an account must consent again." if needs else "")
        )

    with_store(work, "vault.key_ring")


@commands.command("remove")
def remove_tenant(
    tenant: TenantArgument,
    *,
    reason: Annotated[str, typer.Option(help="Reason, which is shown to the people of the organisation.")] = "",
    yes: YesOption = False,
) -> None:
    """Remove a tenant: delete its grants, its suite keys and all data of its users. Only you can let it return."""

    async def work(store: Store, _: Settings) -> None:
        from relay.administration.changes import log_act
        from relay.store.custody.operator_log import ActKind
        from relay.store.custody.tenants import Tenants

        _check_reason(reason)
        found = await find_tenant(store, tenant)
        if not yes:
            typer.echo(
                f"This deletes {found.name or found.tenant_id}, its grants and its suite keys. It cannot be undone."
            )
            expected = found.domain or found.tenant_id
            if typer.prompt(f"Type {expected} to go on", default="", show_default=False).strip().lower() != expected:
                fail("Nothing was deleted.", EXIT_FAILURE)
        await Tenants(store).remove(found.tenant_id, reason=reason)
        await log_act(store, found, ActKind.REMOVED, audit.OPERATOR)
        typer.echo(f"{found.tenant_id} is deleted. In Entra, its administrator may also remove the application.")
        typer.echo(f"To let it return: {_lift_command(found.tenant_id)}, or an invitation.")

    with_store(work)


def _lift_command(tenant_id: str) -> str:
    return f"presence-relay tenants lift {tenant_id}"


def _check_reason(reason: str) -> None:
    from relay.store.custody.turned_away import MAX_REASON_CHARS

    if len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        fail(f"--reason has at most {MAX_REASON_CHARS} visible characters.", EXIT_USAGE)
