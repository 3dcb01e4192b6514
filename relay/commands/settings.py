"""`presence-relay settings`: the table of all settings."""

from __future__ import annotations

import typer

from relay.settings.table import table

commands = typer.Typer()


@commands.command("settings")
def show_settings() -> None:
    """List all settings, as a table in Markdown."""
    typer.echo(table(), nl=False)
