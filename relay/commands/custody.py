"""What is kept for tenants: its backup, the way back, and the audit log of what was done to it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.commands.frame import EXIT_TROUBLE, EXIT_USAGE, give_up, with_store
from relay.commands.naming import TenantArgument, meant_id
from relay.core import names
from relay.core.audit.export import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.settings.load import Settings
    from relay.store.backup.restore import TenantRestored
    from relay.store.sealing.marks import Standing
    from relay.store.server.connection import Store

commands = typer.Typer()


@commands.command()
def audit(
    tenant: TenantArgument,
    *,
    since: Annotated[str, typer.Option(help="No older entries than of this day or time (ISO 8601, UTC).")] = "",
    form: Annotated[Form, typer.Option("--format", help="json: JSON Lines. csv: for a spreadsheet.")] = Form.JSON,
) -> None:
    """Print a tenant's audit log of the last 30 days, newest first: who did what, and which suite watched whom."""
    begins = _time(since) if since else None

    async def work(store: Store, _: Settings) -> None:
        from relay.store.custody.audit import AuditLog

        async for line in AuditLog(store).export(await meant_id(store, tenant), form, since=begins):
            typer.echo(line, nl=False)

    with_store(work)


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the backup goes. An existing file is never overwritten.")],
    *,
    key: Annotated[Path, typer.Option(help="The public backup key; presence-relay keys backup-new makes one.")],
) -> None:
    """Write tenants, grants, suite keys, settings and audit logs into one encrypted, signed file. The relay goes on meanwhile."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.backup.file import BackupKey
        from relay.store.backup.write import back_up
        from relay.store.sealing.ring_file import new_private

        meant_for = BackupKey.from_json(key.read_bytes())
        with new_private(file) as output:
            counts = await back_up(store, output, meant_for, settings.key_ring())
        typer.echo(f"{file}: {_counted(counts)}, for the key {meant_for.kid}.")
        typer.echo("Grants in it are sealed under the key ring: keep both, and not in one place.")

    with_store(work, "vault.key_ring")


@commands.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    *,
    key: Annotated[Path, typer.Option(help="The private backup key.")],
    tenant: Annotated[str, typer.Option(help="Id of the one tenant to restore.")] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put the backup in the place of what is newer.")
    ] = False,
    sealed: Annotated[
        bool, typer.Option("--even-sealed", help="Restore grants that the key ring cannot open, too.")
    ] = False,
    unsigned: Annotated[
        bool,
        typer.Option(
            "--unsigned",
            help="Take a backup that nobody vouches for: of a release before signatures, or of a lost key ring.",
        ),
    ] = False,
    only_check: Annotated[bool, typer.Option("--check", help="Look at all of it, and write nothing.")] = False,
) -> None:
    """Bring tenants back from a backup. All of it is checked before anything is written; may be repeated."""
    tenant_id = names.tenant_id(tenant) if tenant else None
    if tenant and tenant_id is None:
        give_up(f"{tenant[:50]!r} is no tenant id (a GUID).", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.ops.private_files import exposed
        from relay.store.backup.file import BackupKey, BackupUnsigned
        from relay.store.backup.restore import Restore, checked

        for private in exposed([("--key", key)]):
            typer.echo(f"Warning: {private.text}", err=True)
        opens, ring = BackupKey.from_json(key.read_bytes()), settings.key_ring()
        with file.open("rb") as source:
            try:
                found = checked(source, opens, ring, unsigned=unsigned)
            except BackupUnsigned as error:
                give_up(f"Nothing was restored. {error}. If you know who made it: --unsigned", EXIT_TROUBLE)
            typer.echo(f"{file}: whole, made {found.manifest.created:%Y-%m-%d %H:%M:%S} UTC: {_counted(found.counts)}.")
            _tell_shut(found.shut, is_fatal=not (sealed or only_check))
            _tell_unmarked(found.unmarked)
            if only_check:
                return
            if faults := await store.preflight():
                give_up("\n".join(["Nothing was restored:", *(f"  {fault}" for fault in faults)]), EXIT_TROUBLE)
            outcomes = Counter[str]()
            async for one in Restore(store, source, opens, ring, overwrite=overwrite, unsigned=unsigned).restored(
                tenant_id
            ):
                outcomes[one.outcome] += 1
                typer.echo(_restored_words(one))
        if tenant_id is not None and not outcomes:
            give_up(f"{tenant_id} is not in this backup.", EXIT_USAGE)
        typer.echo(f"{_counted(outcomes) or 'nothing'}.")
        if outcomes["left as it is"]:
            typer.echo("What was left has something newer than the backup; --overwrite puts the backup in its place.")

    with_store(work, "vault.key_ring")


def _tell_shut(shut: Mapping[str, int], *, is_fatal: bool) -> None:
    """Grants of a backup that do not open."""
    for kid, number in sorted(shut.items()):
        why = f"need the key {kid}, which the key ring lacks" if kid else "do not open with their key"
        typer.echo(f"{number} grants {why}.", err=True)
    if shut and is_fatal:
        give_up(
            "Nothing was restored. Put the missing key into the ring (a ring that retired keys were kept in has it), or say"
            " --even-sealed: those accounts must then consent again.",
            EXIT_TROUBLE,
        )


def _tell_unmarked(unmarked: Counter[Standing]) -> None:
    """Suite keys of a backup that edges will refuse."""
    if unmarked:
        number = unmarked.total()
        typer.echo(
            f"{number} suite keys have no genuine mark, so suites with them are refused: presence-relay keys mark shows them.",
            err=True,
        )


def _restored_words(one: TenantRestored) -> str:
    keys = f", {one.keys_written} suite keys" if one.keys_written else ""
    revoked = f"; {one.keys_revoked} suite keys stay revoked" if one.keys_revoked else ""
    back = f"; look after it again: {', '.join(one.managers_back)}" if one.managers_back else ""
    return f"{one.tenant_id}  {one.outcome}{keys}{revoked}{back}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items())


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        give_up(f"{text[:50]!r} is no day or time like 2026-03-01 or 2026-03-01T12:00.", EXIT_USAGE)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
