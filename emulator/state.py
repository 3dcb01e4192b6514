"""The state that is stored between runs: accounts, consents, applications and the keys that sign and seal tokens.

Refresh tokens are not part of it: each contains its own sealed content.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from emulator.entra.keys import process_key
from emulator.records import WorldRecord, from_record, to_record

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.cloud import Cloud
    from emulator.world import World

SETTLE_S = 0.1
"""Delay before changes are written: a consent is followed by more changes within milliseconds."""


class StateRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The contents of the state's file."""

    version: int
    signing_key: str
    seal: bytes
    world: WorldRecord


class Kept:
    """A stored or new state."""

    def __init__(self, signing_key: str, seal: bytes, world: World) -> None:
        self.signing_key = signing_key
        self.seal = seal
        self.world = world


def fresh(world: World) -> Kept:
    """Return a new state with fresh keys."""
    return Kept(process_key(), secrets.token_bytes(32), world)


def load(path: Path) -> Kept | None:
    """Return the state of an earlier run; None if there is none.

    Raises:
        ValueError: the file is not a state; the message explains why. The file is not changed.
    """
    if not path.exists():
        return None
    try:
        record = msgspec.json.decode(path.read_bytes(), type=StateRecord)
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{path} is not a state of this emulator ({error}); remove the file to start with a new state"
        ) from error
    return Kept(record.signing_key, record.seal, from_record(record.world))


def save(path: Path, cloud: Cloud) -> None:
    """Write the state atomically. Only its owner may read the file."""
    record = StateRecord(
        version=1, signing_key=cloud.tokens.key.pem, seal=cloud.tokens.seal, world=to_record(cloud.world)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(record))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class Keeper:
    """Writes the state soon after each change, in `run`, and a last time in `close`."""

    def __init__(self, path: Path, cloud: Cloud) -> None:
        self._path = path
        self._cloud = cloud
        self._changed = asyncio.Event()
        cloud.on_change = self._changed.set

    async def run(self) -> None:
        """Write the state after each change, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            self._changed.clear()
            save(self._path, self._cloud)

    def close(self) -> None:
        """Write the state for the last time."""
        save(self._path, self._cloud)
