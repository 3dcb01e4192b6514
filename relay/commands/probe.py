"""`presence-relay probe`: ask a real tenant about behaviour that Microsoft does not document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.naming import find_tenant_id, only_tenant_id
from relay.commands.runner import EXIT_USAGE, fail, with_store
from relay.settings import roles

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer()


@commands.command()
def probe(
    *,
    tenant: Annotated[str, typer.Option(help="Tenant id or domain. Not needed when there is only one tenant.")] = "",
    output: Annotated[Path, typer.Option(help="File for the profile. An existing file is never overwritten.")] = Path(
        "probe.toml"
    ),
    cloud: Annotated[
        str,
        typer.Option(
            help="microsoft: one of Microsoft's clouds, as RELAY_CLOUD names it. configured: RELAY_CLOUD may be custom."
        ),
    ] = "microsoft",
    guest: Annotated[str, typer.Option(help="UPN or object id of a guest of the tenant.")] = "",
    unlicensed: Annotated[str, typer.Option(help="UPN or object id of a user without Teams.")] = "",
    deleted: Annotated[str, typer.Option(help="Object id of a deleted account.")] = "",
    without_count: Annotated[
        bool, typer.Option("--without-count", help="Do not ask whether Graph counts users or requests.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Ask a real test tenant about behaviour that Microsoft does not document. Writes a profile for the local cloud."""
    from relay.probe.questions import Options

    options = Options(guest=guest, unlicensed=unlicensed, deleted=deleted, without_count=without_count)
    for fault in options.faults():
        fail(fault, EXIT_USAGE)
    if cloud not in ("microsoft", "configured"):
        fail(f"--cloud is microsoft or configured, not {cloud!r}.", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.probe.run import plan, probe_into

        if cloud == "microsoft" and settings.cloud.name == "custom":
            fail(
                "RELAY_CLOUD is custom, which is not Microsoft's: use --cloud configured to probe it anyway.",
                EXIT_USAGE,
            )
        tenant_id = await (find_tenant_id(store, tenant) if tenant else only_tenant_id(store))
        typer.echo(f"Tenant {tenant_id}, with its stored consent. " + "\n".join(plan(options)))
        if not yes and not typer.confirm("Ask now?"):
            raise typer.Exit
        profile = await probe_into(output, store, settings, tenant_id, options)
        typer.echo(
            f"{output}: written. {len(profile.switches)} switches learned, {len(profile.unanswered)} questions open."
        )

    with_store(work, *roles.ONBOARDING)
