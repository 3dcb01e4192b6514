"""Running the relay and looking at its surroundings: serve, dev, check, probe, settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.commands.frame import EXIT_TROUBLE, EXIT_USAGE, give_up, read_settings, run, told, with_store
from relay.commands.naming import meant_id, only
from relay.commands.redis_acl import clients_named
from relay.ops import logging
from relay.settings import load as config
from relay.settings.load import Role

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.server.connection import Store

commands = typer.Typer()


@commands.command()
def serve(
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="edge, worker, webhook, web, or all.")],
) -> None:
    """Run roles until SIGTERM or Ctrl-C."""
    chosen = _roles(roles)
    with told():
        from relay import app as relay_app

        settings = read_settings(*config.needs_of(chosen))
        relay_app.until_signalled(lambda stop: relay_app.run(settings, chosen, stop))


@commands.command()
def dev(
    *,
    state: Annotated[Path, typer.Option(help="Folder that is kept between runs.")] = Path(".state/dev"),
    cloud: Annotated[
        str, typer.Option(help="local: a Microsoft cloud on this machine. microsoft: the real one.")
    ] = "local",
    client_id: Annotated[str, typer.Option(help="Application id of your app registration.")] = "",
    client_secret_file: Annotated[Path | None, typer.Option(help="File with its secret.")] = None,
    certificate_file: Annotated[
        Path | None, typer.Option(help="PEM file with its certificate and, here or in --private-key-file, the key.")
    ] = None,
    private_key_file: Annotated[Path | None, typer.Option(help="PEM file with the certificate's private key.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run a whole relay on this machine: Valkey, all roles, TLS, and an organisation to try."""
    with told():
        from relay import app as relay_app
        from relay.dev.run import DevOptions
        from relay.dev.run import dev as run_dev

        microsoft = _registration(cloud, client_id, client_secret_file, certificate_file, private_key_file)
        options = DevOptions(state=state, microsoft=microsoft, log_level=log_level)
        logging.configure("text", log_level)
        relay_app.until_signalled(lambda stop: run_dev(options, stop, typer.echo))


@commands.command()
def check(
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--role", help="Whose Redis user RELAY_REDIS_URL has: edge, worker, webhook, web, operator; or all."
        ),
    ] = None,
) -> None:
    """Look at everything that the relay needs, and say what to do."""
    with told():
        from relay.diagnosis.checks import checked

        # The pages may be left out; what is set for them is checked all the same.
        settings = read_settings(*config.needs_of([Role.EDGE, Role.WORKER]))
        findings = run(checked(settings, clients_named(roles) if roles else ()))
    for finding in findings:
        typer.echo(f"{'ok   ' if finding.is_good else 'WRONG'} {finding.text}")
    if not all(finding.is_good for finding in findings):
        raise typer.Exit(EXIT_TROUBLE)


@commands.command()
def probe(
    *,
    tenant: Annotated[str, typer.Option(help="Tenant id or domain; may be left out when there is one only.")] = "",
    output: Annotated[Path, typer.Option(help="Where the profile goes. An existing file is never overwritten.")] = Path(
        "probe.toml"
    ),
    cloud: Annotated[
        str,
        typer.Option(
            help="microsoft: a cloud of Microsoft's, as RELAY_CLOUD says. configured: RELAY_CLOUD may be custom."
        ),
    ] = "microsoft",
    guest: Annotated[str, typer.Option(help="UPN or id of a guest of the tenant, to ask about guests.")] = "",
    unlicensed: Annotated[str, typer.Option(help="UPN or id of somebody without Teams, to ask about such users.")] = "",
    deleted: Annotated[str, typer.Option(help="Object id of a deleted account, to ask about such users.")] = "",
    without_count: Annotated[
        bool, typer.Option("--without-count", help="Do not ask whether Graph counts users or requests.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Ask a real test tenant what Microsoft does not document, and write a profile that the local cloud can load."""
    from relay.probe.questions import Options

    options = Options(guest=guest, unlicensed=unlicensed, deleted=deleted, without_count=without_count)
    for fault in options.faults():
        give_up(fault, EXIT_USAGE)
    if cloud not in ("microsoft", "configured"):
        give_up(f"--cloud is microsoft or configured, not {cloud!r}.", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.probe.run import plan, probe_into

        if cloud == "microsoft" and settings.cloud.name == "custom":
            give_up(
                "RELAY_CLOUD is custom, which is not Microsoft's: --cloud configured asks it all the same.", EXIT_USAGE
            )
        tenant_id = await (meant_id(store, tenant) if tenant else only(store))
        typer.echo(f"About {tenant_id}, with the consent that is kept of it. " + "\n".join(plan(options)))
        if not yes and not typer.confirm("Ask now?"):
            raise typer.Exit
        profile = await probe_into(output, store, settings, tenant_id, options)
        typer.echo(
            f"{output}: written. {len(profile.switches)} switches learned, {len(profile.unanswered)} questions open."
        )

    with_store(work, *config.ONBOARDING)


@commands.command("settings")
def show_settings() -> None:
    """List all settings, as a table in Markdown."""
    typer.echo(config.table(), nl=False)


def _roles(given: list[str]) -> list[Role]:
    if given == ["all"]:
        return list(Role)
    try:
        return list(dict.fromkeys(Role(role) for role in given))
    except ValueError:
        give_up(f"Roles are {', '.join(Role)}, or all alone; not {' '.join(given)!r}.", EXIT_USAGE)


def _registration(
    cloud: str, client_id: str, secret: Path | None, certificate: Path | None, key: Path | None
) -> dict[str, Any] | None:
    """The operator's own app registration, as fields of `CloudConfig`; None for the local cloud."""
    if cloud == "local":
        return None
    if cloud != "microsoft":
        give_up(f"--cloud is local or microsoft, not {cloud!r}.", EXIT_USAGE)
    paths = {"client_secret": secret, "certificate": certificate, "private_key": key or certificate}
    given: dict[str, Any] = {name: path.read_text().strip() for name, path in paths.items() if path is not None}
    return given | ({"client_id": client_id} if client_id else {})
