"""The command `presence-suite doctor`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from suite.errors import ConfigError

if TYPE_CHECKING:
    from suite.doctor.wanted import Wanted

_USAGE: Final = 2
_FAILS: Final = 3
_STOPPED: Final = 130


def doctor(
    *,
    address: Annotated[
        str | None,
        typer.Option(help="Address of the relay, host:port. The default port is 443.", envvar="PRESENCE_SUITE_ADDRESS"),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="Settings file of the agent, Presence.ini, for values that no option gives. It is only read."
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the suite key. Without it, only the connection to the relay is tested.",
            envvar="PRESENCE_SUITE_KEY_FILE",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file with the CA to trust, instead of the public ones.")
    ] = None,
    server_name: Annotated[
        str | None, typer.Option(help="Name in the relay's certificate, if it differs from the address.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="HTTP proxy, http://host:port; '' for none. Default: HTTPS_PROXY and NO_PROXY.")
    ] = None,
    idle: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            max=3600,
            help="Keep a stream idle for this time, to see whether something cuts it.",
        ),
    ] = 0,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=300, help="Timeout of each step and each call.")
    ] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for support. It holds no key.")] = False,
) -> None:
    """Find out why a suite does not reach the relay: the failing hop, and a fix.

    Tests each step separately: name, route, proxy, TLS, certificate, HTTP/2. Then calls the relay with the suite key. Exit
    codes: 0 it works, 2 wrong usage, 3 a hop fails.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it starts, so it is imported after this
    from suite.doctor.wanted import Options, wanted

    try:
        found = wanted(Options(address, key_file, ca_file, server_name, proxy), settings, dict(os.environ))
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    if found.warning:
        typer.echo(f"Warning: {found.warning}", err=True)
    if not _works(found, idle, timeout, as_json=json, in_file=settings is not None):
        raise typer.Exit(_FAILS)


def _works(found: Wanted, idle_s: float, timeout_s: float, *, as_json: bool, in_file: bool) -> bool:
    """Run the examination, print the report, and return True when no hop fails."""
    from suite.doctor.examine import Examination, examine
    from suite.doctor.idle import Idling
    from suite.doctor.line import Patience
    from suite.doctor.report import print_json, print_table
    from suite.doctor.verdict import judge

    idling = Idling(idle_s) if idle_s else None
    patience = Patience(timeout_s, timeout_s)
    examination = Examination(found.target, found.key, idling, patience, _version(), found.is_exempt)
    console = Console()
    try:
        with contextlib.nullcontext() if as_json else console.status("Testing the connection to the relay"):
            seen = asyncio.run(examine(examination))
    except KeyboardInterrupt:
        raise typer.Exit(_STOPPED) from None
    report = judge(seen, found.target, in_file=in_file)
    if as_json:
        print_json(report, seen, found.target, _version(), sys.stdout)
    else:
        print_table(report, found.target, console)
    return report.verdict.hop is None


def _version() -> str:
    """Return the version of this distribution; empty when it is not installed."""
    try:
        return metadata.version("presence-suite")
    except metadata.PackageNotFoundError:
        return ""
