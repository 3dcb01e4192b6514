"""Write the generated pages: `python -m tests.references`, which is `make docs`. A test compares them.

settings.md          every setting, as `presence-relay settings` prints them
commands.md          every command with its arguments and options, as `--help` prints them
values.schema.json   of the Helm chart, which follows from values.yaml and from the settings
_paths.tpl           of the Helm chart: the values that have a default
README.md            of the Helm chart, whose table of values follows from values.yaml
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
import typer.main

from relay.cli import app
from relay.settings.table import table
from tests.chart import readme, schema
from tests.chart.engine import CHART
from tests.chart.values import paths_text

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"

_SETTINGS: Final = """# Settings

Settings are environment variables, which are read once at start. The relay reports everything that is wrong together. Where the table says
`…_FILE`, the value may also be in a file that the variable with the suffix `_FILE` names; set one of the two. Durations are written
`500ms`, `5s`, `10m`, `1h30m`. This page is generated: `make docs`.

"""
_COMMANDS: Final = """# Commands of presence-relay

Settings are `RELAY_…` variables: [settings](settings.md). Exit codes: 0 done, 1 a fault outside the command, 2 wrong usage or settings.
`presence-relay --install-completion` completes commands in your shell. This page is generated: `make docs`.
"""


def pages() -> dict[Path, str]:
    """Return each generated page with its text."""
    commands = "\n".join([_COMMANDS, *_sections(typer.main.get_command(app), "presence-relay")])
    return {
        FOLDER / "settings.md": _SETTINGS + table(),
        FOLDER / "commands.md": commands,
        CHART / "values.schema.json": schema.schema_text(),
        CHART / "templates" / "_paths.tpl": paths_text(),
        readme.README: readme.readme_text(),
    }


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


def main() -> None:
    """Write the pages."""
    for file, text in pages().items():
        file.write_text(text)


if __name__ == "__main__":
    main()
