"""`presence-relay serve` and `dev`: run roles of the relay, or a whole relay on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from relay.commands.runner import EXIT_USAGE, errors_as_lines, fail, read_settings
from relay.ops import logging
from relay.settings.roles import FOR_TENANTS, Role, needs_of

commands = typer.Typer()


def _complete_role(incomplete: str) -> list[str]:
    return [role for role in (*Role, "all") if role.startswith(incomplete)]


@commands.command()
def serve(
    roles: Annotated[
        list[str],
        typer.Argument(
            metavar="ROLE...",
            help="edge, worker, webhook, web, console, or all, which is all but the console.",
            autocompletion=_complete_role,
        ),
    ],
    *,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Number of edge processes on this machine, which share the port. For the role edge alone; not needed in "
            "Kubernetes, where you add replicas.",
        ),
    ] = 1,
) -> None:
    """Run roles of the relay until SIGTERM or Ctrl-C."""
    chosen = _roles(roles)
    if processes > 1 and chosen != [Role.EDGE]:
        fail(
            "--processes runs several edges: name only the role edge, and start other roles with another command.",
            EXIT_USAGE,
        )
    with errors_as_lines():
        from relay import app as relay_app

        settings = read_settings(*needs_of(chosen))
        if processes == 1:
            relay_app.until_signalled(lambda stop: relay_app.run(settings, chosen, stop))
            return
        from relay.processes.run import run

        relay_app.until_signalled(lambda stop: run(settings, processes, stop))


@commands.command("edge-process", hidden=True)
def edge_process(
    number: Annotated[int, typer.Argument(help="Number of this process, from 1.")],
    port: Annotated[int, typer.Argument(help="Port that all processes share.")],
    ops_socket: Annotated[Path, typer.Argument(help="Unix socket for health and metrics.")],
) -> None:
    """Run one of the processes of `serve edge --processes` until its standard input ends."""
    with errors_as_lines():
        from relay import app as relay_app
        from relay.processes.run import run_one

        settings = read_settings(*needs_of([Role.EDGE]))
        sibling = relay_app.Sibling(number, port, ops_socket)
        relay_app.until_signalled(lambda stop: run_one(settings, sibling, stop))


@commands.command()
def dev(
    *,
    state: Annotated[Path, typer.Option(help="Folder for data. It is kept between runs.")] = Path(".state/dev"),
    cloud: Annotated[
        str, typer.Option(help="local: a Microsoft cloud on this machine. microsoft: the real one.")
    ] = "local",
    client_id: Annotated[str, typer.Option(help="Application id of your app registration.")] = "",
    client_secret_file: Annotated[
        Path | None, typer.Option(help="File with the client secret of the app registration.")
    ] = None,
    certificate_file: Annotated[
        Path | None, typer.Option(help="PEM file with the certificate and, here or in --private-key-file, its key.")
    ] = None,
    private_key_file: Annotated[Path | None, typer.Option(help="PEM file with the certificate's private key.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
) -> None:
    """Run a whole relay on this machine, with Valkey, all roles, TLS, and an organisation to try."""
    with errors_as_lines():
        from relay import app as relay_app
        from relay.dev.run import DevOptions
        from relay.dev.run import dev as run_dev

        microsoft = _registration(cloud, client_id, client_secret_file, certificate_file, private_key_file)
        options = DevOptions(state=state, microsoft=microsoft, log_level=log_level)
        logging.configure("text", log_level)
        relay_app.until_signalled(lambda stop: run_dev(options, stop, typer.echo))


def _roles(given: list[str]) -> list[Role]:
    if "all" in given and set(given) <= {"all", Role.CONSOLE}:
        return [*FOR_TENANTS, *(Role(role) for role in dict.fromkeys(given) if role != "all")]
    try:
        return list(dict.fromkeys(Role(role) for role in given))
    except ValueError:
        fail(
            f"Roles are {', '.join(Role)}, or all, alone or together with console; not {' '.join(given)!r}.",
            EXIT_USAGE,
        )


def _registration(
    cloud: str, client_id: str, secret: Path | None, certificate: Path | None, key: Path | None
) -> dict[str, Any] | None:
    """Return the operator's app registration as fields of `CloudConfig`; None for the local cloud."""
    if cloud == "local":
        return None
    if cloud != "microsoft":
        fail(f"--cloud is local or microsoft, not {cloud!r}.", EXIT_USAGE)
    paths = {"client_secret": secret, "certificate": certificate, "private_key": key or certificate}
    given: dict[str, Any] = {name: path.read_text().strip() for name, path in paths.items() if path is not None}
    return given | ({"client_id": client_id} if client_id else {})
