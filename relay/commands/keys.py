"""Suite keys, and the key ring that grants are encrypted with."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.frame import EXIT_USAGE, give_up, told, with_store
from relay.commands.naming import TenantArgument, meant_id
from relay.core import audit

if TYPE_CHECKING:
    from relay.config import Settings
    from relay.store.connection import Store

commands = typer.Typer(no_args_is_help=True, help="Suite keys, and the key ring that grants are encrypted with.")


@commands.command("ring-new")
def new_ring(
    file: Annotated[Path, typer.Argument(help="Where the key ring goes. An existing one is never overwritten.")],
    *,
    add_to: Annotated[Path | None, typer.Option(help="A ring whose keys are kept behind the new one.")] = None,
) -> None:
    """Make a key ring, for RELAY_VAULT_KEY_RING_FILE. Keep a copy in a safe place: without it all grants are lost."""
    with told():
        from relay.store.keyring import KeyRing, make_ring

        older = add_to.read_text() if add_to is not None else None
        if older is not None:
            KeyRing.from_json(older)
        now_s = int(time.time())
        kid = f"{time.strftime('%Y-%m-%d', time.gmtime(now_s))}-{secrets.token_hex(3)}"
        ring = make_ring(kid, now_s=now_s, older=older)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(f"{ring}\n")
        typer.echo(f"{file}: made. RELAY_VAULT_KEY_RING_FILE={file}")


@commands.command()
def issue(
    tenant: TenantArgument, *, label: Annotated[str, typer.Option(help="What people call the suite.")] = ""
) -> None:
    """Make a suite key; prints it, this once."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.suite_keys import SuiteKeys

        made = audit.key_made(audit.OPERATOR, label)
        typer.echo((await SuiteKeys(store).issue(await meant_id(store, tenant), label, made)).text)

    with_store(work)


@commands.command("list")
def list_keys(tenant: TenantArgument) -> None:
    """List a tenant's suite keys."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.suite_keys import SuiteKeys

        for key in await SuiteKeys(store).list(await meant_id(store, tenant)):
            state = "revoked" if key.revoked else "in force"
            typer.echo(f"{key.key_id}  {state:<8}  {key.created:%Y-%m-%d}  {key.label or '-'}")

    with_store(work)


@commands.command()
def revoke(
    tenant: TenantArgument, key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `keys list` shows it.")]
) -> None:
    """End a suite key and the streams that use it."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.suite_keys import SuiteKeys

        tenant_id = await meant_id(store, tenant)
        suite_keys = SuiteKeys(store)
        labels = {key.key_id: key.label for key in await suite_keys.list(tenant_id)}
        if key_id not in labels:
            give_up(f"{tenant_id} has no suite key {key_id}: presence-relay keys list {tenant_id}", EXIT_USAGE)
        await suite_keys.revoke(key_id, audit.key_revoked(audit.OPERATOR, key_id, labels[key_id]))
        typer.echo(f"{key_id} is revoked.")

    with_store(work)
