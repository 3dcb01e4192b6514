"""`presence-relay redis-acl`: print the Redis user of a role, as a command for the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relay.commands.runner import EXIT_USAGE, fail
from relay.store.server import acl
from relay.store.server.layout import Client, Side

commands = typer.Typer()

_LEAST_CHARS = 32


def complete_client(incomplete: str) -> list[str]:
    """Return the roles, and `all`, that begin with `incomplete`, for shell completion."""
    return [client for client in (*Client, "all") if client.startswith(incomplete)]


@commands.command("redis-acl")
def redis_acl(
    roles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROLE...",
            help="edge, worker, webhook, web, operator, or all. Several roles make one user.",
            autocompletion=complete_client,
        ),
    ] = None,
    *,
    table: Annotated[
        bool, typer.Option("--table", help="Print which role may read and write which keys, as a table.")
    ] = False,
    user: Annotated[str, typer.Option(help="The user's name. Default: relay-ROLE.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File with the user's password. Its hash is printed.")
    ] = None,
    server: Annotated[
        str, typer.Option(help="both. With RELAY_VAULT_REDIS_URL: presence or vault, one user on each.")
    ] = "both",
    aclfile: Annotated[bool, typer.Option("--aclfile", help="Print a line of an aclfile.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Add rights and remove none: before an update.")] = False,
) -> None:
    """Print the Redis user that a role needs: its keys, its commands, and the scripts of this release."""
    if table:
        typer.echo(acl.table(), nl=False)
        return
    clients = clients_named(roles or [])
    if server not in ("both", Side.PRESENCE, Side.VAULT):
        fail(f"--server is both, presence or vault, not {server!r}.", EXIT_USAGE)
    if aclfile and add:
        fail("--add is for a running server; an aclfile has whole users.", EXIT_USAGE)
    rules = acl.rules(clients, [Side(server)] if server != "both" else (Side.PRESENCE, Side.VAULT))
    name = user or f"relay-{'all' if len(clients) == len(Client) else '-'.join(clients)}"
    if not name.isascii() or not name.isprintable() or " " in name:
        fail("--user: a name has no spaces.", EXIT_USAGE)
    digest = None if password_file is None else _hash(password_file)
    if add:
        typer.echo(acl.add_to_user(name, rules))
    elif aclfile:
        typer.echo(acl.aclfile_line(name, rules, digest))
    else:
        typer.echo(acl.set_user(name, rules, digest))


def clients_named(roles: list[str]) -> list[Client]:
    """Return the Redis users of the roles named on the command line. Ends the command when one does not exist."""
    if roles == ["all"]:
        return list(Client)
    try:
        clients = list(dict.fromkeys(Client(role) for role in roles))
    except ValueError:
        clients = []
    return clients or fail(f"Name roles: {', '.join(Client)}, or only all. Or use --table.", EXIT_USAGE)


def _hash(file: Path) -> str:
    password = file.read_text().strip()
    if len(password) < _LEAST_CHARS:
        fail(
            f"{file}: the password has {len(password)} characters; make one of {_LEAST_CHARS} or more, as with "
            "`openssl rand -hex 32`: Redis keeps a plain SHA-256 of it.",
            EXIT_USAGE,
        )
    return acl.hashed(password)
