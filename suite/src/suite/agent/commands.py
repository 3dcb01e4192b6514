"""The commands of the agent: `presence-suite agent`, and `settings check`, `explain` and `new-token`."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from suite.agent.logs import begin_logging, logs_to_standard_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.agent.run import Agent
    from suite.agent.settings.reading import LineFault

log = logging.getLogger(__name__)

EXIT_BROKEN: Final = 1
EXIT_USAGE: Final = 2

settings_app = typer.Typer(no_args_is_help=True, help="Check and explain the settings file of the agent.")

_FILE = typer.Argument(metavar="FILE", help="The settings file, Presence.ini. It is only read.")


@settings_app.command("check")
def check(file: Annotated[Path, _FILE]) -> None:
    """Check a settings file and the files that it names. Print each fault with its line. Exit code 2: it cannot be used."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from suite.agent.settings.load import load
    from suite.agent.users.reading import load_users

    loaded = load(file)
    print_faults(file, loaded.faults)
    can_be_used = loaded.settings is not None
    if loaded.settings is not None and (users_file := loaded.settings.users_file) is not None:
        found = load_users(users_file)
        print_faults(users_file, found.faults)
        can_be_used = found.colleagues is not None
    typer.echo(f"{file} {'can' if can_be_used else 'cannot'} be used.")
    if not can_be_used:
        raise typer.Exit(EXIT_USAGE)


@settings_app.command("explain")
def explain(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Also show the values in force with this file.")
    ] = None,
) -> None:
    """List all settings with their meaning and default, and the values in force with a file. Secrets are not shown."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from suite.agent.settings.explain import explained
    from suite.agent.settings.load import load

    loaded = load(file) if file is not None else None
    typer.echo(explained(loaded.lines if loaded is not None else None))
    if file is not None and loaded is not None:
        print_faults(file, loaded.faults)
        if loaded.settings is None:
            raise typer.Exit(EXIT_USAGE)


@settings_app.command("new-token")
def new_token_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to create. It must not exist yet.")],
) -> None:
    """Create a file with a new token for Agent.TokenFile. Only this account can read it. The token is not shown."""
    from suite.agent.settings.access import new_token
    from suite.system import make_private

    if file.exists():
        typer.echo(f"{file} already exists. It was not changed.", err=True)
        raise typer.Exit(EXIT_USAGE)
    try:
        make_private(file)
        file.write_text(f"{new_token()}\n", encoding="ascii")
    except OSError as error:
        typer.echo(f"{file} cannot be created: {error.strerror or error}.", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    typer.echo(f"{file} has a new token. Set Agent.TokenFile to it, and give consoles a copy.")


def agent(
    settings: Annotated[Path, typer.Option(metavar="FILE", help="The settings file, Presence.ini. It is only read.")],
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check whether an agent can start: settings, key, colleagues, store, log and ports. Writes and sends nothing. "
            "Exit code 2: it cannot.",
        ),
    ] = False,
) -> None:
    r"""Serve the presence of colleagues on this machine until stopped. Needs the extra: pip install 'presence-suite\[agent]'."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from suite.agent.settings.load import load

    try:
        from suite.agent.checking import CheckState
        from suite.agent.checking import check as checked
        from suite.agent.run import Agent
    except ModuleNotFoundError as error:
        typer.echo(
            f"The agent needs {error.name}, which is not installed: pip install 'presence-suite[agent]'", err=True
        )
        raise typer.Exit(EXIT_USAGE) from None

    loaded = load(settings)
    if check:
        findings = list(checked(settings, loaded))
        for finding in findings:
            typer.echo(str(finding))
        raise typer.Exit(EXIT_USAGE if any(one.state is CheckState.FAILED for one in findings) else 0)
    if loaded.settings is None:
        print_faults(settings, loaded.faults, err=True)
        raise typer.Exit(EXIT_USAGE)
    begin_logging(loaded.settings.log)
    _run(Agent(settings, loaded))


def _run(agent: Agent) -> None:
    """Run an agent until it is stopped. Print an error as one line and exit with its code; log it too if the log is a file."""
    from suite.errors import ConfigError
    from suite.watching import until_stopped

    async def run() -> None:
        await until_stopped(asyncio.create_task(agent.run(), name="agent"))

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        pass
    except ConfigError as error:
        typer.echo(str(error), err=True)
        if not logs_to_standard_error():
            log.error("The agent stops: %s", error)  # noqa: TRY400  it is no bug
        raise typer.Exit(EXIT_USAGE) from None
    except Exception:
        log.exception("The agent has a bug. Report it.")
        raise typer.Exit(EXIT_BROKEN) from None
    log.info("stopped")


def print_faults(file: Path, faults: Iterable[LineFault], *, err: bool = False) -> None:
    """Print each fault on a line, in the form that editors recognise: `FILE:LINE: error: …`."""
    for fault in faults:
        where = f"{file}:{fault.line}" if fault.line else str(file)
        typer.echo(f"{where}: {'error' if fault.breaks else 'note'}: {fault.text}", err=err)
