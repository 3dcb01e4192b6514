"""The `presence-relay` command, assembled from its groups. Each group is a module of `relay.commands`."""

from __future__ import annotations

import sys

import typer

from relay.commands import (
    audit,
    backup,
    certificates,
    check,
    explain,
    keyring,
    probe,
    redis_acl,
    serve,
    settings,
    suite_keys,
    tenants,
)
from relay.commands.renamed import RenamingGroup
from relay.commands.runner import EXIT_FAILURE
from relay.ops.supervision import TaskBroke, place_of

app = typer.Typer(cls=RenamingGroup, pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(serve.commands)
app.add_typer(check.commands)
app.add_typer(settings.commands)
app.add_typer(explain.commands)
app.add_typer(audit.commands)
app.add_typer(probe.commands)
app.add_typer(redis_acl.commands)
app.add_typer(tenants.commands, name="tenants")
app.add_typer(suite_keys.commands, name="suite-keys")
app.add_typer(keyring.commands, name="keyring")
app.add_typer(backup.commands, name="backup")
app.add_typer(certificates.commands, name="certificates")


@app.callback()
def presence_relay() -> None:
    """Run a Teams presence relay, and manage the organisations that use it.

    Settings are RELAY_... variables; `presence-relay settings` lists them. Exit codes: 0 done, 1 a fault outside the command,
    2 wrong usage or settings.
    """


def main() -> None:
    """Run the command. An error of our own becomes one line and exit code 1."""
    try:
        app()
    except Exception as error:
        # A bug. The place helps in a report; the text of the error is left out because it might contain a secret.
        place = f"{error.place}, task {error.task}" if isinstance(error, TaskBroke) else place_of(error)
        sys.stderr.write(f"presence-relay has a bug ({place}). Report it.\n")
        sys.exit(EXIT_FAILURE)


if __name__ == "__main__":
    main()
