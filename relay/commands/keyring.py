"""`presence-relay keyring`: make, rotate and show the key ring, and derive its public keys."""

from __future__ import annotations

import os
import secrets
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from relay.commands.runner import EXIT_FAILURE, EXIT_USAGE, errors_as_lines, fail, with_store
from relay.settings.env import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.settings.load import Settings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.ring_users import RingUser
    from relay.store.server.connection import Store

_PROGRESS_EVERY: Final = 1000
_MOST_SHOWN: Final = 20
_MARKS: Final = "marks of suite keys"
_API: Final = "https://kubernetes.default.svc"
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Both are the same in every pod of every cluster."""

commands = typer.Typer(
    no_args_is_help=True, help="Make, rotate and show the key ring, which encrypts grants and signs suite keys."
)


@commands.command("new")
def new_ring(
    file: Annotated[Path, typer.Argument(help="File for the key ring. An existing file is never overwritten.")],
    *,
    add_to: Annotated[Path | None, typer.Option(help="A key ring whose keys are kept as older keys.")] = None,
) -> None:
    """Make a key ring, for RELAY_VAULT_KEY_RING_FILE. Keep a copy in a safe place: without it all grants are lost."""
    with errors_as_lines():
        from relay.store.sealing.keyring import KeyRing, make_ring

        older = add_to.read_text() if add_to is not None else None
        if older is not None:
            KeyRing.from_json(older)
        now_s = int(time.time())
        ring = make_ring(_new_kid(now_s), now_s=now_s, older=older)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(f"{ring}\n")
        public = _write_public(file, KeyRing.from_json(ring))
        typer.echo(f"{file}: made. RELAY_VAULT_KEY_RING_FILE={file}")
        typer.echo(f"{public}: its public keys, for edges without the ring. RELAY_EDGE_MARK_KEYS_FILE={public}")


@commands.command("new-secret")
def new_secret(
    name: Annotated[str, typer.Argument(help="The Secret's name, in the pod's namespace.")],
    *,
    ring_key: Annotated[str, typer.Option(help="Entry of the Secret for the key ring.")] = "key-ring.json",
    public_key: Annotated[str, typer.Option(help="Entry of the Secret for its public keys.")] = "key-ring.json.pub",
    api: Annotated[str, typer.Option(help="Address of Kubernetes' API.")] = _API,
    account: Annotated[Path, typer.Option(help="Folder with the token of the pod's service account.")] = _ACCOUNT,
) -> None:
    """Make a key ring and store it in a new Kubernetes Secret. An existing Secret stays unchanged."""
    with errors_as_lines():
        from relay.commands.kubernetes_secret import create_secret
        from relay.store.sealing.keyring import KeyRing, make_ring
        from relay.store.sealing.signing import Purpose, public_set

        now_s = int(time.time())
        ring = make_ring(_new_kid(now_s), now_s=now_s)
        public = public_set(KeyRing.from_json(ring), Purpose.SUITE_KEY)
        if create_secret(name, {ring_key: f"{ring}\n", public_key: f"{public}\n"}, api=api, account=account):
            typer.echo(f"Secret {name}: made. Keep a copy in a safe place: without it all grants are lost.")
        else:
            typer.echo(f"Secret {name}: exists already, and stays unchanged.")


@commands.command("public")
def make_public(
    file: Annotated[Path, typer.Argument(help="The key ring. Its public keys go to FILE.pub.")],
) -> None:
    """Write the public keys of a key ring, for RELAY_EDGE_MARK_KEYS_FILE: edges verify suite keys with them."""
    with errors_as_lines():
        from relay.store.sealing.keyring import KeyRing

        ring = KeyRing.from_json(file.read_text())
        public = _write_public(file, ring)
        typer.echo(f"{public}: the public keys of {', '.join(key.kid for key in ring.keys)}. The file holds no secret.")


@commands.command("add")
def add_to_ring(
    file: Annotated[Path, typer.Argument(help="The key ring. The file is replaced in one step.")],
    *,
    after: Annotated[str, typer.Option(help="Time between adding the new key and its first use, such as 15m.")] = "15m",
) -> None:
    """Add a key to a key ring. It is known at once and used later: copy the file to every role before that."""
    with errors_as_lines():
        from relay.store.sealing.keyring import KeyRing, make_ring
        from relay.store.sealing.ring_file import write_private

        older, now_s = file.read_text(), int(time.time())
        known = KeyRing.from_json(older)
        waiting = [key for key in known.keys if key.used_from_s > now_s]
        if waiting:
            fail(f"{file}: {waiting[0].kid} is not in use yet, but from {_at(waiting[0].used_from)} on.", EXIT_USAGE)
        kid, used_from_s = _new_kid(now_s), now_s + int(_duration(after).total_seconds())
        ring = make_ring(kid, now_s=now_s, older=older, used_from_s=used_from_s)
        # First the public keys: after an interruption, edges then have one key too many, and none is missing.
        public = _write_public(file, KeyRing.from_json(ring))
        write_private(file, f"{ring}\n")
        used_from = KeyRing.from_json(ring).keys[0].used_from
        typer.echo(
            f"{file}: {kid} is known, and used from {_at(used_from)} on. Copy the file to every role before that,"
        )
        typer.echo(f"{public} to every edge that has no ring, and keep a copy.")
        typer.echo("Then: presence-relay keyring reencrypt; presence-relay keyring retire FILE")


@commands.command("show")
def show_ring() -> None:
    """Show the keys of the key ring, the number of values encrypted under each, and the processes that have them."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.marking import Marking
        from relay.store.custody.reseal import Sealed
        from relay.store.sealing.marks import RingMarks
        from relay.store.sealing.ring_users import RingUsers

        ring, now_s = settings.key_ring(), time.time()
        census, marks = await Sealed(store).census(), await Marking(store, RingMarks(ring)).census()
        for key in ring.keys:
            state = "in use" if key.kid == ring.newest else "known"
            state += f", used from {_at(key.used_from)} on" if key.used_from_s > now_s else ""
            under = _counted({**census.under(key.kid), **_marks(marks.by_kid[key.kid])})
            typer.echo(f"{key.kid}  {state}  {under}")
        for kid in sorted(census.by_kid.keys() - {key.kid for key in ring.keys}):
            typer.echo(f"{kid or 'no key at all'}  MISSING from the ring  {_counted(census.under(kid))}", err=True)
        for fault in marks.faults():
            typer.echo(f"{fault}: presence-relay suite-keys mark", err=True)
        for user in await RingUsers(store).all():
            lacking = [key.kid for key in ring.keys if key.kid not in user.knows]
            does = f"seals with {user.seals_with}" if user.seals_with else "verifies suite keys"
            typer.echo(f"process {user.name} {does}" + (f", does not know {', '.join(lacking)}" if lacking else ""))

    with_store(work, "vault.key_ring")


@commands.command()
def reencrypt() -> None:
    """Re-encrypt everything under older keys of the ring with the key in use, while the relay runs. May be repeated."""

    async def work(store: Store, settings: Settings) -> None:
        from relay.store.custody.marking import Marking
        from relay.store.custody.reseal import ResealProgress, Sealed
        from relay.store.sealing.marks import RingMarks
        from relay.store.sealing.ring_users import RingUsers

        ring, progress = settings.key_ring(), ResealProgress()
        waiting = [key for key in ring.keys if key.used_from_s > time.time()]
        async for progress in Sealed(store).reencrypt(ring):
            if progress.seen and progress.seen % _PROGRESS_EVERY == 0:
                typer.echo(f"{progress.seen} seen, {progress.rewritten} rewritten", err=True)
        typer.echo(f"{progress.seen} seen, {progress.rewritten} rewritten with {ring.newest}.")
        marking, faults = Marking(store, RingMarks(ring)), list[str]()
        # An edge that does not know the key would refuse every suite whose key is marked with it.
        behind = [user for user in await RingUsers(store).all() if ring.newest not in user.knows]
        if behind:
            faults += ["No suite key was marked again:", *_lines_of_unknown(behind, ring.newest)]
        else:
            renewed = [is_new async for is_new in marking.renew()]
            typer.echo(f"{len(renewed)} suite keys in force seen, {sum(renewed)} marked again with {ring.newest}.")
        for fault in (await marking.census()).faults():
            typer.echo(f"{fault}: presence-relay suite-keys mark", err=True)
        if waiting:
            typer.echo(f"{waiting[0].kid} is used from {_at(waiting[0].used_from)} on: repeat this then.")
        if progress.broken:
            faults.append(f"{len(progress.broken)} do not open with any key of the ring, and stay unchanged:")
            faults += [f"  {key}" for key in progress.broken[:_MOST_SHOWN]]
        if faults:
            fail("\n".join(faults), EXIT_FAILURE)

    with_store(work, "vault.key_ring")


@commands.command("retire")
def retire_from_ring(
    file: Annotated[Path, typer.Argument(help="The key ring. The file is replaced in one step.")],
    *,
    keep: Annotated[
        Path | None, typer.Option(help="File for the retired keys, as a key ring: older backups need them.")
    ] = None,
) -> None:
    """Remove unused keys from a key ring. Refused while any stored value or process needs one of them."""

    async def work(store: Store, _: Settings) -> None:
        from relay.store.sealing.keyring import KeyRing, without
        from relay.store.sealing.ring_file import write_private

        text = file.read_text()
        ring = KeyRing.from_json(text)
        retired = [key.kid for key in ring.keys if key.kid != ring.newest and key.used_from_s <= time.time()]
        if not retired:
            fail(f"{file}: there is no key to retire, {ring.newest} is in use.", EXIT_USAGE)
        faults = await _still_needed(store, ring, retired)
        if faults:
            fail("\n".join(["Nothing was retired:", *faults]), EXIT_FAILURE)
        narrower, taken = without(text, retired)
        if keep is not None:
            with os.fdopen(os.open(keep, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
                output.write(f"{taken}\n")
        write_private(file, f"{narrower}\n")
        _write_public(file, KeyRing.from_json(narrower))
        typer.echo(f"{file}: {', '.join(retired)} retired; {ring.newest} is in use.")
        typer.echo("Backups made before the re-encryption need them: keep them as long as these backups.")

    with_store(work)


async def _still_needed(store: Store, ring: KeyRing, retired: list[str]) -> list[str]:
    """Return the reasons why these keys of the ring must stay, one line each."""
    from relay.store.custody.marking import Marking
    from relay.store.custody.reseal import Sealed
    from relay.store.sealing.marks import RingMarks
    from relay.store.sealing.ring_users import RingUsers

    # First the processes that encrypt: when none encrypts with a key, no new value appears under it.
    users = await RingUsers(store).all()
    faults = [
        f"  process {user.name} still encrypts with {user.seals_with}; check that it has read the new ring"
        for user in users
        if user.seals_with in retired or (user.seals_with and ring.newest not in user.knows)
    ]
    faults += _lines_of_unknown(
        [user for user in users if not user.seals_with and ring.newest not in user.knows], ring.newest
    )
    census, marks = await Sealed(store).census(), await Marking(store, RingMarks(ring)).census()
    under = {kid: {**census.under(kid), **_marks(marks.by_kid[kid])} for kid in retired}
    return faults + [
        f"  {kid} still has {_counted(counts)}: presence-relay keyring reencrypt"
        for kid, counts in under.items()
        if counts
    ]


def _lines_of_unknown(users: list[RingUser], kid: str) -> list[str]:
    return [f"  process {user.name} does not know {kid}; check that it has read the new file" for user in users]


def _write_public(ring_file: Path, ring: KeyRing) -> Path:
    """Write the public keys to a file in the ring's folder, and return the file."""
    from relay.store.sealing.ring_file import write_public
    from relay.store.sealing.signing import Purpose, public_set

    public = ring_file.with_name(f"{ring_file.name}.pub")
    write_public(public, f"{public_set(ring, Purpose.SUITE_KEY)}\n")
    return public


def _marks(number: int) -> dict[str, int]:
    return {_MARKS: number} if number else {}


def _new_kid(now_s: int) -> str:
    return f"{time.strftime('%Y-%m-%d', time.gmtime(now_s))}-{secrets.token_hex(3)}"


def _duration(text: str) -> timedelta:
    try:
        span = duration(text)
    except ValueError as error:
        fail(str(error), EXIT_USAGE)
    assert isinstance(span, timedelta)
    return span


def _at(time_: datetime) -> str:
    return f"{time_:%Y-%m-%d %H:%M:%S} UTC"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "nothing"
