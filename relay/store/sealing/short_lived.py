"""Flows of browsers, sign-ins and sessions: sealed, with an expiry. Not custody: a person who loses one starts again.

A flow that waits for somebody else, for example for an administrator's approval, may be kept for days: `lifetime` is given with each
write. It then contains only typed text.

A flow is kept under a name that only its browser's secrets lead to, encrypted with the key ring, because it may contain a
consent that nobody has confirmed yet. It is on custody's server, because its content is about to be moved there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relay.errors import RelayError
from relay.store.sealing import quotas
from relay.store.sealing.keyring import Belonging, SealBroken
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.quotas import Quota
    from relay.store.server.connection import Store

LIFETIME: Final = timedelta(minutes=15)
"""Time from one step of a flow to the next: longer than a sign-in with a second factor takes, shorter than a lunch break in
front of an open screen."""

MAX_CHARS: Final = 64 * 1024
"""Size of one flow: a consent has some 10 KB. Flows can take this times their number of Redis' memory."""

_PURPOSE: Final = "onboarding-flow"
_AGAIN: Final = 3
"""Tries with a flow that is re-encrypted meanwhile: a rotation rewrites each value once."""
_REPLACE = Script("flow_replace")


class FlowTooLarge(RelayError):
    """A flow is longer than `MAX_CHARS`: nothing was written."""


@dataclass(frozen=True, slots=True)
class KeptFlow:
    """A flow as it was read. Its `repr` shows nothing of it."""

    name: str = field(repr=False)
    content: str = field(repr=False)
    sealed: str = field(repr=False)
    """The value that a later `replace` must still find."""


class Flows:
    """The flows of all browsers.

    Where a quota is given, those of its flows that end first go when it is full. A flow expires `lifetime` after it was last
    written or read (`peek` apart); being read never shortens its life. Writes are
    atomic. Only `replace` waits for the disk.

    Raises (from every method): `StoreUnavailable`; the outcome of a write is unknown then. `FlowTooLarge` from those that write.
    """

    def __init__(self, store: Store, ring: KeyRing, lifetime: timedelta = LIFETIME) -> None:
        self._store = store
        self._ring = ring
        self._lifetime = lifetime

    async def put(self, name: str, content: str, lifetime: timedelta | None = None, quota: Quota | None = None) -> None:
        """Keep a flow under a name that is new."""
        sealed = self._ring.seal(_short(content), _belonging(name))
        command = ("SET", _key(name), sealed, "PX", self._ms(lifetime))
        if quota is None:
            await self._store.vault_command(*command)
        else:
            await quotas.enter(self._store, quota, _key(name), lifetime or self._lifetime, command)

    async def load(self, name: str) -> KeptFlow | None:
        """Return the flow of a name; None when there is none (any more), or none that the key ring can open."""
        reply = await self._store.vault_command("GET", _key(name))
        if reply is not None:
            await self.keep(name)
        return self._opened(name, reply)

    async def peek(self, name: str) -> KeptFlow | None:
        """Return the same as `load`; the flow expires when it would have."""
        return self._opened(name, await self._store.vault_command("GET", _key(name)))

    async def keep(self, name: str, lifetime: timedelta | None = None) -> bool:
        """Extend the life of a flow, if it would not live longer anyway; return whether it is there."""
        return bool(
            await self._store.vault_command("PEXPIRE", _key(name), self._ms(lifetime), "GT")
        ) or await self.is_kept(name)

    async def is_kept(self, name: str) -> bool:
        """Return whether there is a flow of a name."""
        return bool(await self._store.vault_command("EXISTS", _key(name)))

    async def move(self, name: str, quota: Quota, others: Iterable[Quota], lifetime: timedelta | None = None) -> None:
        """Count a flow in another quota from now on."""
        gone = [quotas.left(other, _key(name)) for other in others if other.name != quota.name]
        await quotas.enter(self._store, quota, _key(name), lifetime or self._lifetime, *gone)

    async def take(self, name: str, quota: Quota | None = None) -> str | None:
        """Return what is kept under a name and delete it: of many callers one gets it, the others None."""
        async with self._store.durable() as vault:
            # Not through the pool, which repeats a command whose answer was lost: the answer would be None then.
            reply = await vault.execute("GETDEL", _key(name))
            if reply is not None and quota is not None:
                await vault.execute(*quotas.left(quota, _key(name)))
        taken = self._opened(name, reply)
        return taken.content if taken is not None else None

    async def replace(self, kept: KeptFlow, content: str, lifetime: timedelta | None = None) -> KeptFlow | None:
        """Put `content` in place of exactly what was read; None when somebody else was faster, or it is gone.

        On disk when this returns.

        Raises:
            NotSaved: it is not known to be on disk. It may be in force nevertheless.
        """
        sealed = self._ring.seal(_short(content), _belonging(kept.name))
        for _ in range(_AGAIN):
            async with self._store.durable() as vault:
                replaced = await vault.run(
                    _REPLACE(flow=_key(kept.name), old=kept.sealed, new=sealed, ttl_ms=self._ms(lifetime))
                )
                await vault.confirm()
            if replaced:
                return KeptFlow(kept.name, content, sealed)
            # The same content under another key of the ring is still what was read.
            now = self._opened(kept.name, await self._store.vault_command("GET", _key(kept.name)))
            if now is None or now.content != kept.content or now.sealed == kept.sealed:
                return None
            kept = now
        return None

    async def drop(self, name: str) -> None:
        """Delete a flow."""
        await self._store.vault_command("DEL", _key(name))

    def _ms(self, lifetime: timedelta | None) -> int:
        return int((lifetime or self._lifetime) / timedelta(milliseconds=1))

    def _opened(self, name: str, sealed: bytes | None) -> KeptFlow | None:
        if sealed is None:
            return None
        try:
            text = sealed.decode()
            return KeptFlow(name, self._ring.open(text, _belonging(name)), text)
        except SealBroken:
            return None


def belonging_of_key(key: str) -> Belonging | None:
    """Return what the value of a flow's key belongs to; None for another key."""
    prefix, _, digest = key.partition(":")
    return Belonging("", digest, _PURPOSE) if f"{prefix}:" == keys.FLOW and digest else None


def _short(content: str) -> str:
    if len(content) > MAX_CHARS:
        raise FlowTooLarge(f"A flow of {len(content)} characters is too long to be kept")
    return content


def _key(name: str) -> bytes:
    return keys.flow(_digest(name))


def _belonging(name: str) -> Belonging:
    return Belonging("", _digest(name), _PURPOSE)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
