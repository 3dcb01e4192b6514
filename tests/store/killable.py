"""One act of custody in a process of its own, killed with -9 at any of its writes, answers and steps on files.

    the process ──► StoreGate (tests/support/kill_gates.py) ──► Valkey

Writes and the answers to them are seen by the gate. Steps on files (a file opened to write, linked, renamed, removed) are seen by
the interpreter's own audit events, after which the process sends itself SIGKILL; none of the relay's code knows of either.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.core.audit import events as audit
from relay.store.backup.file import BackupKey
from relay.store.backup.restore import Restore, check_backup
from relay.store.backup.write import back_up
from relay.store.custody.reseal import Sealed
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.ring_file import new_private, write_private
from relay.store.server.connection import Store, StoreSettings
from tests.store.samples import TENANT, user
from tests.support.kill_gates import store_gate
from tests.support.killing import Killable, Killer
from tests.support.ring import MARKS

OLD_RING = make_ring("k1", now_s=1)
BY = audit.Actor.account("ada@contoso.com", user(1))

_STEPS = frozenset({"open", "os.link", "os.rename", "os.remove"})


@dataclass(frozen=True)
class Given:
    """The input of an act beside the store; it travels to the process."""

    folder: str
    ring: str = OLD_RING
    backup_key: str = ""
    key_id: str = ""

    @property
    def file(self) -> Path:
        """The file that the act reads or writes."""
        return Path(self.folder) / "file"


async def withdraw(store: Store, given: Given) -> bool:
    return await Vault(store, KeyRing.from_json(given.ring)).remove(
        TENANT, user(1), audit.grant_withdrawn(BY, user(1), "u1")
    )


async def leave(store: Store, _: Given) -> bool:
    return await Tenants(store).remove(TENANT, BY)


async def make_key(store: Store, _: Given) -> str:
    return (await SuiteKeys(store, MARKS).issue(TENANT, "new", audit.key_made(BY, "new"))).text


async def rotate_key(store: Store, given: Given) -> str:
    suite_keys = SuiteKeys(store, MARKS)
    text = (await suite_keys.issue(TENANT, "new", audit.key_rotated(BY, "new", given.key_id))).text
    await suite_keys.revoke(given.key_id, audit.key_revoked(BY, given.key_id, "desk"))
    return text


async def revoke_key(store: Store, given: Given) -> bool:
    return await SuiteKeys(store, MARKS).revoke(given.key_id, audit.key_revoked(BY, given.key_id, "desk"))


async def reencrypt(store: Store, given: Given) -> int:
    progress = [step async for step in Sealed(store).reencrypt(KeyRing.from_json(given.ring))]
    return progress[-1].seen


async def write_ring(_: Store, given: Given) -> bool:
    write_private(given.file, given.ring)
    return True


async def write_backup(store: Store, given: Given) -> bool:
    with new_private(given.file) as output:
        await back_up(store, output, BackupKey.from_json(given.backup_key), KeyRing.from_json(given.ring))
    return True


async def restore(store: Store, given: Given) -> int:
    key, ring = BackupKey.from_json(given.backup_key), KeyRing.from_json(given.ring)
    with given.file.open("rb") as file:
        check_backup(file, key, ring)
        return len([one async for one in Restore(store, file, key, ring).restored()])


Act = Callable[[Store, Given], Awaitable[Any]]


@dataclass
class Ran:
    """The end of an act.

    Attributes:
        result: what it said that it did; None when it was killed before it said so.
        points: where it could be killed, in order.
        was_killed: whether it was.
    """

    result: Any
    points: list[str] = field(default_factory=list)
    was_killed: bool = False


async def ran(act: Act, given: Given, port: int, target: int | None = None, step: int | None = None) -> Ran:
    """Run an act, and kill it at one point of the store's or at one step on files; with neither, count both."""
    killer = Killer(target)
    async with store_gate(port, killer) as gate:
        process = Killable(_run, act, given, f"redis://127.0.0.1:{gate}", step)
        killer.kill = process.strike
        process.start()
        result, steps = await process.received() or (None, [])
        was_killed = await process.ended()
    return Ran(result, [*killer.points, *(f"step {name}" for name in steps)], was_killed)


def _run(pipe: Any, act: Act, given: Given, url: str, step: int | None) -> None:
    steps: list[str] = []

    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _STEPS or not any(str(path).startswith(given.folder) for path in arguments[:2]):
            return
        if step == len(steps):
            os.kill(os.getpid(), signal.SIGKILL)
        steps.append(f"{event} {Path(str(arguments[0])).name[:5]}")

    sys.addaudithook(seen)
    result = asyncio.run(_acted(act, given, url))
    # What the act said is not yet said to anybody: the last point of all is before that.
    pipe.send((result, steps))


async def _acted(act: Act, given: Given, url: str) -> Any:
    async with Store(StoreSettings(url=url)) as store:
        return await act(store, given)
