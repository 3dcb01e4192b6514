"""`presence-relay`: the operator's commands, put together; `relay/commands` has them."""

from __future__ import annotations

import sys

import typer

from relay.commands import certificates, custody, explain, keys, redis_acl, running, tenants
from relay.commands.frame import EXIT_TROUBLE
from relay.ops.supervision import TaskBroke, place_of

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
app.add_typer(running.commands)
app.add_typer(custody.commands)
app.add_typer(explain.commands)
app.add_typer(redis_acl.commands)
app.add_typer(tenants.commands, name="tenants")
app.add_typer(keys.commands, name="keys")
app.add_typer(certificates.commands, name="certificates")


@app.callback()
def presence_relay() -> None:
    """Shows phone suites the Microsoft Teams presence of colleagues.

    Settings are RELAY_... variables; `presence-relay settings` lists them. Exit codes: 0 done, 1 something outside is wrong,
    2 wrong usage or settings.
    """


def main() -> None:
    """The command's entry."""
    try:
        app()
    except Exception as error:
        # Ours to mend. The place helps whoever reports it; the text of an error might show a secret.
        place = f"{error.place}, task {error.task}" if isinstance(error, TaskBroke) else place_of(error)
        sys.stderr.write(f"presence-relay itself broke ({place}). Please report it.\n")
        sys.exit(EXIT_TROUBLE)


if __name__ == "__main__":
    main()
