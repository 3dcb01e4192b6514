"""Every command with its arguments and options, as `--help` prints them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import typer
import typer.main

from relay.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = """# Commands of presence-relay

Settings are `RELAY_…` variables: [settings](settings.md). Exit codes: 0 done, 1 a fault outside the command, 2 wrong usage or settings.
`presence-relay --install-completion` completes commands in your shell. This page is generated: `make docs`.
"""


def commands_page() -> str:
    """Return the page of commands."""
    return "\n".join([_HEAD, *_sections(typer.main.get_command(app), "presence-relay")])


def _sections(command: Any, name: str) -> Iterator[str]:
    """Yield the lines about a command, and those about the commands below it. `command` is Typer's, which has no public type."""
    below = getattr(command, "commands", {})
    if not below:
        context = typer.Context(command, info_name=name)
        yield from (f"## `{name}`", "", _one_line(command.help or ""), "")
        records = filter(None, (each.get_help_record(context) for each in command.params))
        rows = [f"| `{_label(label)}` | {_one_line(meaning)} |" for label, meaning in records]
        if rows:
            yield from ("| argument or option | meaning |", "| --- | --- |", *rows, "")
    for word, each in ((word, each) for word, each in below.items() if not each.hidden):
        yield from _sections(each, f"{name} {word}")


def _label(label: str) -> str:
    """Return an option with its type, and an argument without: that is always text."""
    shown = label if label.startswith("-") else label.partition(" <")[0].upper()
    return shown.replace("|", "\\|")


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")
