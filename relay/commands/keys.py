"""Suite keys, and the key ring that grants are encrypted with."""

from __future__ import annotations

import os
import secrets
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from relay.commands.frame import EXIT_TROUBLE, EXIT_USAGE, give_up, told, with_store
from relay.commands.naming import TenantArgument, meant_id
from relay.core import audit
from relay.variables import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.config import Settings
    from relay.store.connection import Store

_TELL_EVERY: Final = 1000
_MOST_SHOWN: Final = 20

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
        ring = make_ring(_new_kid(now_s), now_s=now_s, older=older)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(f"{ring}\n")
        typer.echo(f"{file}: made. RELAY_VAULT_KEY_RING_FILE={file}")


@commands.command("ring-add")
def add_to_ring(
    file: Annotated[Path, typer.Argument(help="The key ring; its place is taken by a wider one in one step.")],
    *,
    after: Annotated[str, typer.Option(help="How long the new key is known before it is used, like 15m.")] = "15m",
) -> None:
    """Add a key to a key ring: first known, later used. Have the roles read the file before it is used."""
    with told():
        from relay.store.keyring import KeyRing, make_ring
        from relay.store.ringfile import write_private

        older, now_s = file.read_text(), int(time.time())
        known = KeyRing.from_json(older)
        waiting = [key for key in known.keys if key.used_from_s > now_s]
        if waiting:
            give_up(f"{file}: {waiting[0].kid} is not even in use, from {_at(waiting[0].used_from)} on.", EXIT_USAGE)
        kid, used_from_s = _new_kid(now_s), now_s + int(_span(after).total_seconds())
        ring = make_ring(kid, now_s=now_s, older=older, used_from_s=used_from_s)
        write_private(file, f"{ring}\n")
        used_from = KeyRing.from_json(ring).keys[0].used_from
        typer.echo(
            f"{file}: {kid} is known, and used from {_at(used_from)} on. Bring the file to every role before that,"
        )
        typer.echo("and keep a copy. Then: presence-relay keys reencrypt; presence-relay keys ring-retire FILE")


@commands.command("backup-new")
def new_backup_key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; FILE.pub gets the public one.")],
) -> None:
    """Make a key for backups. The relay's host needs the public half only; the private one opens every backup."""
    with told():
        from relay.store.backup_file import make_backup_key
        from relay.store.ringfile import new_private

        private, public = make_backup_key()
        other = file.with_name(f"{file.name}.pub")
        for path, content in ((file, private), (other, public)):
            with new_private(path) as output:
                output.write(f"{content}\n".encode())
        typer.echo(f"{file}: the private key. Keep it away from the relay and from the backups.")
        typer.echo(f"{other}: the public key. presence-relay backup BACKUP --key {other}")


@commands.command("ring-show")
def show_ring() -> None:
    """Show the keys of the key ring, what is sealed under each, and which running processes seal with which."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.ring_users import RingUsers
        from relay.store.sealed import Sealed

        ring, now_s = settings.key_ring(), time.time()
        census = await Sealed(store).census()
        for key in ring.keys:
            state = "in use" if key.kid == ring.newest else "known"
            state += f", used from {_at(key.used_from)} on" if key.used_from_s > now_s else ""
            typer.echo(f"{key.kid}  {state}  {_counted(census.under(key.kid))}")
        for kid in sorted(census.by_kid.keys() - {key.kid for key in ring.keys}):
            typer.echo(f"{kid or 'no key at all'}  MISSING from the ring  {_counted(census.under(kid))}", err=True)
        for user in await RingUsers(store).all():
            lacking = [key.kid for key in ring.keys if key.kid not in user.knows]
            typer.echo(
                f"process {user.name} seals with {user.seals_with}"
                + (f", does not know {', '.join(lacking)}" if lacking else "")
            )

    with_store(work, "vault.key_ring")


@commands.command()
def reencrypt() -> None:
    """Rewrite everything that is under older keys of the ring with the key in use, while the relay runs. May be repeated."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.sealed import Progress, Sealed

        ring, progress = settings.key_ring(), Progress()
        waiting = [key for key in ring.keys if key.used_from_s > time.time()]
        async for progress in Sealed(store).reencrypt(ring):
            if progress.seen and progress.seen % _TELL_EVERY == 0:
                typer.echo(f"{progress.seen} seen, {progress.rewritten} rewritten", err=True)
        typer.echo(f"{progress.seen} seen, {progress.rewritten} rewritten with {ring.newest}.")
        if waiting:
            typer.echo(f"{waiting[0].kid} is used from {_at(waiting[0].used_from)} on: repeat this then.")
        if progress.broken:
            broken = "\n".join(f"  {key}" for key in progress.broken[:_MOST_SHOWN])
            give_up(
                f"{len(progress.broken)} do not open with any key of the ring, and stay as they are:\n{broken}",
                EXIT_TROUBLE,
            )

    with_store(work, "vault.key_ring")


@commands.command("ring-retire")
def retire_from_ring(
    file: Annotated[Path, typer.Argument(help="The key ring; its place is taken by a narrower one in one step.")],
    *,
    keep: Annotated[
        Path | None, typer.Option(help="Where the retired keys go, as a ring: backups made under them need them.")
    ] = None,
) -> None:
    """Take the keys that are not in use out of a key ring; refused while anything, or any process, still needs one."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.keyring import KeyRing, without
        from relay.store.ring_users import RingUsers
        from relay.store.ringfile import write_private
        from relay.store.sealed import Sealed

        text = file.read_text()
        ring = KeyRing.from_json(text)
        retired = [key.kid for key in ring.keys if key.kid != ring.newest and key.used_from_s <= time.time()]
        if not retired:
            give_up(f"{file}: there is no key to retire, {ring.newest} is in use.", EXIT_USAGE)
        # Who seals comes first: once nobody seals with a key, nothing new appears under it.
        users = await RingUsers(store).all()
        faults = [
            f"process {user.name} still seals with {user.seals_with}; has it read the new ring?"
            for user in users
            if user.seals_with in retired or ring.newest not in user.knows
        ]
        census = await Sealed(store).census()
        faults += [
            f"{kid} still has {_counted(census.under(kid))}: presence-relay keys reencrypt"
            for kid in retired
            if census.under(kid)
        ]
        if faults:
            give_up("\n".join(["Nothing was retired:", *(f"  {fault}" for fault in faults)]), EXIT_TROUBLE)
        narrower, taken = without(text, retired)
        if keep is not None:
            with os.fdopen(os.open(keep, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
                output.write(f"{taken}\n")
        write_private(file, f"{narrower}\n")
        typer.echo(f"{file}: {', '.join(retired)} retired; {ring.newest} is in use.")
        typer.echo("Backups that were made before the re-encryption need them: keep them as long as those.")

    with_store(work)


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


def _new_kid(now_s: int) -> str:
    return f"{time.strftime('%Y-%m-%d', time.gmtime(now_s))}-{secrets.token_hex(3)}"


def _span(text: str) -> timedelta:
    try:
        span = duration(text)
    except ValueError as error:
        give_up(str(error), EXIT_USAGE)
    assert isinstance(span, timedelta)
    return span


def _at(time_: datetime) -> str:
    return f"{time_:%Y-%m-%d %H:%M:%S} UTC"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "nothing"
