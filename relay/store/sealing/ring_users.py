"""The keys that each process has, so that no key in use is retired, and edges can verify each new mark.

Each process with a key ring, or with its public keys, announces its keys every `ANNOUNCE_EVERY` in a Redis key that
expires.
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
"""Lifetime of an announcement: a killed process counts for this long, and a short outage of Redis removes none."""


class RingUser(msgspec.Struct, frozen=True):
    """One process with a key ring, or with its public keys."""

    name: str
    seals_with: str
    """The id of its key in use; empty for an edge, which only verifies."""
    knows: tuple[str, ...]
    """The ids of all its keys."""


class RingUsers:
    """The processes with a key ring or its public keys, as they announced themselves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def announce(self, name: str, ring: KeyRing) -> None:
        """Announce the ring of a process; read it again first if it has changed."""
        ring.reload_if_changed()
        await self._say(RingUser(name, ring.newest, tuple(key.kid for key in ring.keys)))

    async def announce_verifier(self, name: str, marks: Marks) -> None:
        """Announce the public keys of an edge without the ring; read them again first if they have changed."""
        marks.reload_if_changed()
        await self._say(RingUser(name, "", marks.kids))

    async def _say(self, user: RingUser) -> None:
        lives_ms = int(_LIVES / timedelta(milliseconds=1))
        await self._store.vault_command("SET", keys.ring_user(user.name), msgspec.json.encode(user), "PX", lives_ms)

    async def leave(self, name: str) -> None:
        """Withdraw the announcement of a process that stops."""
        await self._store.vault_command("DEL", keys.ring_user(name))

    async def all(self) -> list[RingUser]:
        """List the processes that announced themselves within the last minute, by name."""
        names = {name async for found in self._store.vault_scan(f"{keys.RING_USER}*") for name in found}
        found = await self._store.many([("GET", name) for name in sorted(names)], vault=True)
        return [msgspec.json.decode(user, type=RingUser) for user in found if user is not None]
