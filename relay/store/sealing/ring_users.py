"""The keys that each process has: none is retired that a process still seals with, and no mark is made that an edge cannot verify.

Each process with a key ring, or with its public keys, writes this every `ANNOUNCE_EVERY` into a key that expires.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.store.server import keys

if TYPE_CHECKING:
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.marks import Marks
    from relay.store.server.connection import Store

ANNOUNCE_EVERY: Final = timedelta(seconds=10)
_LIVES: Final = timedelta(seconds=60)
"""A process that is killed is counted as sealing for so long; one whose Redis is away for a while is not forgotten at once."""


class RingUser(msgspec.Struct, frozen=True):
    """One process with a key ring, or with its public keys."""

    name: str
    seals_with: str
    """The id of its key in use; empty for an edge, which only verifies."""
    knows: tuple[str, ...]
    """The ids of all its keys."""


class RingUsers:
    """The processes with a key ring, as they say it themselves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def announce(self, name: str, ring: KeyRing) -> None:
        """Announce what a process seals with; reads the ring again first if it has changed."""
        ring.reload_if_changed()
        await self._say(RingUser(name, ring.newest, tuple(key.kid for key in ring.keys)))

    async def announce_verifier(self, name: str, marks: Marks) -> None:
        """Announce what an edge without the ring verifies with; reads the keys again first if they have changed."""
        marks.reload_if_changed()
        await self._say(RingUser(name, "", marks.kids))

    async def _say(self, user: RingUser) -> None:
        lives_ms = int(_LIVES / timedelta(milliseconds=1))
        await self._store.vault_command("SET", keys.ring_user(user.name), msgspec.json.encode(user), "PX", lives_ms)

    async def leave(self, name: str) -> None:
        """Withdraw the announcement of a process that ends."""
        await self._store.vault_command("DEL", keys.ring_user(name))

    async def all(self) -> list[RingUser]:
        """List the processes that announced themselves within the last minute, by name."""
        names = {name async for found in self._store.vault_scan(f"{keys.RING_USER}*") for name in found}
        found = await self._store.many([("GET", name) for name in sorted(names)], vault=True)
        return [msgspec.json.decode(user, type=RingUser) for user in found if user is not None]
