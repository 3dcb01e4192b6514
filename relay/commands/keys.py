"""Suite keys and their marks, and the keys of backups. The key ring's commands are in `ring`, under the same name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands import ring
from relay.commands.frame import EXIT_TROUBLE, EXIT_USAGE, give_up, told, with_store
from relay.commands.naming import TenantArgument, meant_id
from relay.core.audit import events as audit

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from relay.store.custody.marking import MarkedKey
    from relay.store.server.connection import Store

commands = typer.Typer(no_args_is_help=True, help="Suite keys, and the key ring that grants are encrypted with.")
commands.add_typer(ring.commands)


@commands.command("backup-new")
def new_backup_key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; FILE.pub gets the public one.")],
) -> None:
    """Make a key for backups. The relay's host needs the public half only; the private one opens every backup."""
    with told():
        from relay.store.backup.file import make_backup_key
        from relay.store.sealing.ring_file import new_private

        private, public = make_backup_key()
        other = file.with_name(f"{file.name}.pub")
        for path, content in ((file, private), (other, public)):
            with new_private(path) as output:
                output.write(f"{content}\n".encode())
        typer.echo(f"{file}: the private key. Keep it away from the relay and from the backups.")
        typer.echo(f"{other}: the public key. presence-relay backup BACKUP --key {other}")


@commands.command()
def issue(
    tenant: TenantArgument, *, label: Annotated[str, typer.Option(help="What people call the suite.")] = ""
) -> None:
    """Make a suite key; prints it, this once. Needs the key ring, which its mark is made with."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.suite_keys import SuiteKeys
        from relay.store.sealing.marks import RingMarks

        suite_keys, made = SuiteKeys(store, RingMarks(settings.key_ring())), audit.key_made(audit.OPERATOR, label)
        typer.echo((await suite_keys.issue(await meant_id(store, tenant), label, made)).text)

    with_store(work, "vault.key_ring")


@commands.command()
def mark(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Mark suite keys of releases before marks, once. Look at the list first: it may hold one that nobody issued."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.marking import Marking
        from relay.store.sealing.marks import RingMarks, Standing

        marking = Marking(store, RingMarks(settings.key_ring()))
        others = [key async for key in marking.in_force() if key.standing is not Standing.GENUINE]
        for key in (key for key in others if key.standing is not Standing.MISSING or not key.is_listed):
            typer.echo(f"{_shown(key)}  NOT marked: {_why_not(key)}", err=True)
        unmarked = sorted(
            (key for key in others if key.standing is Standing.MISSING and key.is_listed),
            key=lambda key: (key.record.tenant_id, key.record.created),
        )
        if not unmarked:
            typer.echo("There is no suite key to mark.")
            return
        for key in unmarked:
            typer.echo(_shown(key))
        typer.echo(
            f"{len(unmarked)} suite keys have no mark. Whoever has one of them gets in once it is marked: revoke"
        )
        typer.echo("those that nobody issued (presence-relay keys revoke), and mark the others.")
        if not yes and not typer.confirm("Mark these now?"):
            raise typer.Exit(EXIT_TROUBLE)
        marked = [await marking.mark(key) for key in unmarked]
        typer.echo(f"{sum(marked)} marked.")
        if not all(marked):
            typer.echo(f"{len(marked) - sum(marked)} changed meanwhile; run this again.")

    with_store(work, "vault.key_ring")


@commands.command("list")
def list_keys(tenant: TenantArgument) -> None:
    """List a tenant's suite keys."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.suite_keys import SuiteKeys

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
        from relay.store.custody.suite_keys import SuiteKeys

        tenant_id = await meant_id(store, tenant)
        suite_keys = SuiteKeys(store)
        labels = {key.key_id: key.label for key in await suite_keys.list(tenant_id)}
        if key_id not in labels:
            give_up(f"{tenant_id} has no suite key {key_id}: presence-relay keys list {tenant_id}", EXIT_USAGE)
        await suite_keys.revoke(key_id, audit.key_revoked(audit.OPERATOR, key_id, labels[key_id]))
        typer.echo(f"{key_id} is revoked.")

    with_store(work)


def _shown(key: MarkedKey) -> str:
    record = key.record
    used = f"{record.last_used:%Y-%m-%d}" if record.last_used else "never"
    label = "".join(character if character.isprintable() else "?" for character in record.label)
    return f"{record.tenant_id}  {record.key_id}  made {record.created:%Y-%m-%d}  used {used:<10}  {label or '-'}"


def _why_not(key: MarkedKey) -> str:
    from relay.store.sealing.marks import Standing

    if not key.is_listed:
        return "its tenant does not list it, so nobody issued it; delete it in Redis"
    if key.standing is Standing.KEY_UNKNOWN:
        return f"it has a mark of the key {key.kid}, which the ring lacks"
    return "its mark is not of this record: somebody wrote to Redis; revoke it"
