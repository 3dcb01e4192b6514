"""The command `presence-suite conformance`. It loads the conformance kit, which is part of the relay because it runs an edge."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

_KIT: Final = "relay.dev.conformance.run"
_TROUBLE: Final = "relay.errors"
_USAGE: Final = 2
_FAILS: Final = 3
_STOPPED: Final = 130
_MISSING: Final = (
    "The conformance kit runs the relay's own edge, which is not installed here ({missing} is missing). Install it in the same environment:\n"
    "    pip install 'presence-relay[dev]'"
)


def conformance(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND...]",
            help="Your suite's program, started and ended with the run. {address}, {ca}, {key} and {users} are replaced in it. "
            "Without it, start your suite yourself.",
        ),
    ] = None,
    *,
    scenario: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run only this scenario. May be given several times.")
    ] = None,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Type which scenario comes next.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the scenarios and end.")] = False,
    simple: Annotated[
        bool, typer.Option("--simple", help="Your suite is a simple client: do not require that it resumes.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 is any free one.")] = 8450,
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the certificate, the suite key and your program's output.")
    ] = Path(".state/conformance"),
    json: Annotated[bool, typer.Option("--json", help="Print the checklist as one JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the checklist as an HTML page.")] = None,
) -> None:
    """Test how your suite handles a relay that drains, resets, refuses, throttles, renames, goes silent, revokes the key.

    Runs a real edge on this machine, runs the scenarios against your suite, and prints a checklist. All scenarios take about 7
    minutes. Exit codes: 0 it passes, 2 wrong usage, or the kit is not installed, 3 it fails.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it starts, so it is imported after this
    kit, trouble = _module(_KIT), _module(_TROUBLE).RelayError
    if list_:
        typer.echo(kit.described(), nl=False)
        return
    options = kit.KitOptions(
        folder=state, port=port, scenarios=scenario or (), by_hand=by_hand, command=command or (), simple=simple
    )
    try:
        found = kit.examine(options, lambda text: typer.echo(text, err=True))
        if html is not None:
            html.write_text(found.html, encoding="utf-8")
    except KeyboardInterrupt:
        raise typer.Exit(_STOPPED) from None
    except (trouble, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    typer.echo(found.json if json else found.text, nl=False)
    if not found.passes:
        raise typer.Exit(_FAILS)


def _module(name: str) -> Any:
    """Import a module of the relay by name, because this distribution does not depend on the relay."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        typer.echo(_MISSING.format(missing=error.name), err=True)
        raise typer.Exit(_USAGE) from None
