"""`presence-relay backup`: create, verify and restore backups of tenants' data, and make the keys of backups."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from relay.commands.backup_folder import file_for, superseded
from relay.commands.runner import EXIT_FAILURE, EXIT_USAGE, errors_as_lines, fail, read_settings, with_store
from relay.core import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.settings.load import Settings
    from relay.store.backup.file import BackupKey
    from relay.store.backup.restore import CheckedBackup, TenantRestored
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.marks import MarkVerdict
    from relay.store.server.connection import Store

commands = typer.Typer(
    no_args_is_help=True, help="Back up and restore tenants, grants, suite keys, settings and audit logs."
)

_BackupFile = Annotated[Path, typer.Argument(help="The backup.")]
_PrivateKey = Annotated[Path, typer.Option(help="The private backup key.")]
_Unsigned = Annotated[
    bool,
    typer.Option(
        "--unsigned",
        help="Accept a backup whose signature cannot be verified: made by an early release, or signed with a lost key ring.",
    ),
]


@commands.command()
def create(
    file: Annotated[
        Path,
        typer.Argument(
            help="File for the backup, which is never overwritten; or a folder, where the file is named by its time."
        ),
    ],
    *,
    key: Annotated[Path, typer.Option(help="The public backup key; presence-relay backup new-key makes one.")],
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, help="Keep this many backups in the folder: the oldest are deleted once this one is complete."
        ),
    ] = None,
) -> None:
    """Write tenants, grants, suite keys, settings and audit logs to one encrypted, signed file. The relay keeps running."""
    folder = file if file.is_dir() else None
    if keep is not None and folder is None:
        fail(f"--keep needs a folder, and {file} is not one.", EXIT_USAGE)
    file = file_for(folder, datetime.now(UTC)) if folder is not None else file

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.backup.file import BackupKey
        from relay.store.backup.write import back_up
        from relay.store.sealing.ring_file import new_private

        public_key = BackupKey.from_json(key.read_bytes())
        with new_private(file) as output:
            counts = await back_up(store, output, public_key, settings.key_ring())
        typer.echo(f"{file}: {_counted(counts)}, for the key {public_key.kid}.")
        typer.echo("Grants in it are encrypted under the key ring: keep both, in different places.")
        for old in superseded(folder, keep) if folder is not None and keep is not None else ():
            old.unlink()
            typer.echo(f"{old}: deleted, {keep} newer ones are kept.")

    with_store(work, "vault.key_ring")


@commands.command()
def verify(file: _BackupFile, *, key: _PrivateKey, unsigned: _Unsigned = False) -> None:
    """Read all of a backup and check that the key ring opens it. Writes nothing."""
    with errors_as_lines():
        ring, private_key = read_settings("vault.key_ring").key_ring(), _opened(key)
        with file.open("rb") as source:
            _verified(file, source, private_key, ring, unsigned=unsigned)


@commands.command()
def restore(
    file: _BackupFile,
    *,
    key: _PrivateKey,
    tenant: Annotated[str, typer.Option(help="Restore only the tenant with this id.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace data that is newer than the backup.")] = False,
    sealed: Annotated[
        bool, typer.Option("--even-sealed", help="Also restore grants that the key ring cannot open.")
    ] = False,
    unsigned: _Unsigned = False,
) -> None:
    """Restore tenants from a backup. Everything is verified before anything is written. May be repeated."""
    tenant_id = names.tenant_id(tenant) if tenant else None
    if tenant and tenant_id is None:
        fail(f"{tenant[:50]!r} is not a tenant id (a GUID).", EXIT_USAGE)

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.backup.restore import Restore

        private_key, ring = _opened(key), settings.key_ring()
        with file.open("rb") as source:
            found = _verified(file, source, private_key, ring, unsigned=unsigned)
            if found.shut and not sealed:
                fail(
                    "Nothing was restored. Put the missing key into the ring (the file with retired keys may have it),"
                    " or give --even-sealed: those accounts must then consent again.",
                    EXIT_FAILURE,
                )
            if faults := await store.preflight():
                fail("\n".join(["Nothing was restored:", *(f"  {fault}" for fault in faults)]), EXIT_FAILURE)
            outcomes = Counter[str]()
            restoring = Restore(store, source, private_key, ring, overwrite=overwrite, unsigned=unsigned)
            async for one in restoring.restored(tenant_id):
                outcomes[one.outcome] += 1
                typer.echo(_restored_line(one))
        if tenant_id is not None and not outcomes:
            fail(f"{tenant_id} is not in this backup.", EXIT_USAGE)
        typer.echo(f"{_counted(outcomes) or 'nothing'}.")
        if restoring.acts_back:
            typer.echo(f"The operators' log has {restoring.acts_back} restored entries.")
        if outcomes["left as it is"]:
            typer.echo("Tenants left as they are have something newer than the backup; --overwrite replaces it.")

    with_store(work, "vault.key_ring")


@commands.command("new-key")
def new_key(
    file: Annotated[Path, typer.Argument(help="File for the private key. The public key goes to FILE.pub.")],
) -> None:
    """Make a key for backups. The relay's host needs the public half only; the private half opens every backup."""
    with errors_as_lines():
        from relay.store.backup.file import make_backup_key
        from relay.store.sealing.ring_file import new_private

        private, public = make_backup_key()
        public_file = file.with_name(f"{file.name}.pub")
        for path, content in ((file, private), (public_file, public)):
            with new_private(path) as output:
                output.write(f"{content}\n".encode())
        typer.echo(f"{file}: the private key. Keep it away from the relay and from the backups.")
        typer.echo(f"{public_file}: the public key. presence-relay backup create BACKUP --key {public_file}")


def _opened(key: Path) -> BackupKey:
    """Read the private backup key; print a warning when others can read its file."""
    from relay.ops.private_files import exposed
    from relay.store.backup.file import BackupKey

    for private in exposed([("--key", key)]):
        typer.echo(f"Warning: {private.text}", err=True)
    return BackupKey.from_json(key.read_bytes())


def _verified(file: Path, source: BinaryIO, key: BackupKey, ring: KeyRing, *, unsigned: bool) -> CheckedBackup:
    """Read a whole backup and print its content. Ends the command when its signature is missing or wrong."""
    from relay.store.backup.file import BackupUnsigned
    from relay.store.backup.restore import check_backup

    try:
        found = check_backup(source, key, ring, unsigned=unsigned)
    except BackupUnsigned as error:
        fail(f"Nothing was restored. {error}. If you know who made it: --unsigned", EXIT_FAILURE)
    typer.echo(f"{file}: whole, made {found.manifest.created:%Y-%m-%d %H:%M:%S} UTC: {_counted(found.counts)}.")
    _print_unopened(found.shut)
    _print_unmarked(found.unmarked)
    return found


def _print_unopened(shut: Mapping[str, int]) -> None:
    """Print how many grants of a backup the key ring cannot open, by the key that they need."""
    for kid, number in sorted(shut.items()):
        why = f"need the key {kid}, which the key ring lacks" if kid else "do not open with their key"
        typer.echo(f"{number} grants {why}.", err=True)


def _print_unmarked(unmarked: Counter[MarkVerdict]) -> None:
    """Print how many suite keys of a backup edges would refuse."""
    if unmarked:
        number = unmarked.total()
        advice = "presence-relay suite-keys mark lists them"
        typer.echo(f"{number} suite keys have no valid mark, so edges refuse their suites: {advice}.", err=True)


def _restored_line(one: TenantRestored) -> str:
    keys = f", {one.keys_written} suite keys" if one.keys_written else ""
    revoked = f"; {one.keys_revoked} suite keys stay revoked" if one.keys_revoked else ""
    back = f"; managers again: {', '.join(one.managers_back)}" if one.managers_back else ""
    return f"{one.tenant_id}  {one.outcome}{keys}{revoked}{back}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items())
