"""The `presence-suite` command: watch users from a shell."""

from __future__ import annotations

import asyncio
import enum
import io
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.console import Console

from suite.agent.commands import agent, settings_app
from suite.conformance import conformance
from suite.doctor.command import doctor
from suite.errors import ConfigError, Refused, TooManyUsers
from suite.inputs import read_ca, read_key, read_users

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from suite.client import PresenceClient

EXIT_BROKEN: Final = 1
EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 3

app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(settings_app, name="settings")
app.command("agent")(agent)


class _FormOption(enum.StrEnum):
    """Values of `--form`."""

    watch = "watch"
    stream = "stream"


@app.callback()
def presence_suite() -> None:
    """Show the Microsoft Teams presence of colleagues, as a phone suite receives it from the relay.

    Exit codes: 0 stopped by you, 1 a bug, 2 wrong usage, 3 refused by the relay.
    """


@app.command()
def watch(
    users: Annotated[list[str] | None, typer.Argument(metavar="USER...", help="UPNs or object ids.")] = None,
    *,
    address: Annotated[
        str,
        typer.Option(help="Address of the relay, host:port. The default port is 443.", envvar="PRESENCE_SUITE_ADDRESS"),
    ],
    key_file: Annotated[
        Path,
        typer.Option(
            help="File with the suite key. Only you should be able to read it.", envvar="PRESENCE_SUITE_KEY_FILE"
        ),
    ],
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file with the CA to trust, instead of the public ones.")
    ] = None,
    users_file: Annotated[Path | None, typer.Option(help="File with more users, one a line.")] = None,
    form: Annotated[
        _FormOption,
        typer.Option(help="watch: bidirectional. stream: server streaming, for clients that cannot stream requests."),
    ] = _FormOption.watch,
    server_name: Annotated[
        str | None, typer.Option(help="Name in the relay's certificate, if it differs from the address.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="HTTP proxy, http://host:port; '' for none. Default: HTTPS_PROXY and NO_PROXY.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line for each event.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End when every user has an answer.")] = False,
) -> None:
    """Watch users until Ctrl-C. The command resumes automatically when the connection breaks."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it starts, so it is imported after this
    from suite.client import PresenceClient

    try:
        names = _names(users or [], users_file)
        key, warning = read_key(key_file)
        client = PresenceClient(
            address,
            key,
            ca_pem=read_ca(ca_file),
            form=form.value,
            proxy=proxy,
            server_name=server_name,
            client_name="presence-suite",
            version=_version(),
            users=names,
        )
    except (ConfigError, TooManyUsers) as error:
        _give_up(str(error), EXIT_USAGE)
    if warning:
        typer.echo(f"Warning: {warning}", err=True)
    _run(_watching(client, names, address, as_json=json, once=once))


@app.command()
def health(
    *,
    address: Annotated[
        str,
        typer.Option(help="Address of the relay, host:port. The default port is 443.", envvar="PRESENCE_SUITE_ADDRESS"),
    ],
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file with the CA to trust, instead of the public ones.")
    ] = None,
    server_name: Annotated[
        str | None, typer.Option(help="Name in the relay's certificate, if it differs from the address.")
    ] = None,
    plain_text: Annotated[
        bool, typer.Option("--plain-text", help="Connect without TLS, to an edge behind a gateway.")
    ] = False,
) -> None:
    """Check whether suites can connect to the relay. Needs no suite key. Exit code 3: they cannot."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from suite.channel import target
    from suite.health import Health, check

    try:
        asked = target(address, ca_pem=read_ca(ca_file), server_name=server_name, proxy="", environ={})
        found, details = asyncio.run(check(asked, plain_text=plain_text))
    except ConfigError as error:
        _give_up(str(error), EXIT_USAGE)
    if found is not Health.SERVING:
        _give_up(f"{address} is {found.value}{f' ({details})' if details else ''}.", EXIT_REFUSED)
    typer.echo(f"{address} is {found.value}.")


app.command()(doctor)
app.command()(conformance)


def _names(users: list[str], users_file: Path | None) -> list[str]:
    names = list(dict.fromkeys([*users, *read_users(users_file)]))
    if not names:
        raise ConfigError("Name at least one user, or give --users-file.")
    return names


async def _watching(client: PresenceClient, names: list[str], address: str, *, as_json: bool, once: bool) -> None:
    from suite.watching import until_stopped, watch_lines, watch_table

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that this terminal cannot show must not end the command
    console = Console()
    if as_json or not console.is_terminal:
        watching = watch_lines(client, names if once else (), sys.stdout, as_json=as_json)
    else:
        watching = watch_table(client, names, address, console, once=once)
    await until_stopped(asyncio.create_task(watching, name="suite-watching"))


def _run(watching: Coroutine[Any, Any, None]) -> None:
    """Run to the end. Print an error as one line and exit with its code, without a traceback."""
    try:
        asyncio.run(watching)
    except KeyboardInterrupt:
        pass
    except Refused as error:
        _give_up(str(error), EXIT_REFUSED)
    except BrokenPipeError:
        # The program that read our output has closed the pipe. Redirect it, or the interpreter fails when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        _give_up(f"presence-suite has a bug ({type(error).__name__}). Report it.", EXIT_BROKEN)


def _give_up(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _version() -> str:
    try:
        return metadata.version("presence-suite")
    except metadata.PackageNotFoundError:
        return ""


def main() -> None:
    """Run the `presence-suite` command."""
    app()


if __name__ == "__main__":
    main()
