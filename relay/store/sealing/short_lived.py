"""Flows of browsers, sign-ins and sessions: sealed, with an expiry. Not custody: a user who loses one starts again.

A flow that waits for another user, for example for an administrator's approval, may be kept for days: each write has a
`lifetime`. Such a flow contains only typed text.

The name of a flow is derived from its browser's secrets. The flow is encrypted with the key ring, because it may
contain an unconfirmed consent. It is on custody's server, because its content will be stored there.
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
"""Longest time from one step of a flow to the next: longer than a sign-in with a second factor, shorter than a lunch
break."""

MAX_CHARS: Final = 64 * 1024
"""Largest size of one flow; a consent has about 10 KB. Flows use at most this times their number of Redis' memory."""

_PURPOSE: Final = "onboarding-flow"
_AGAIN: Final = 3
"""Most tries for a flow that is re-encrypted meanwhile: a rotation rewrites each value once."""
_REPLACE = Script("flow_replace")


class FlowTooLarge(RelayError):
    """A flow is longer than `MAX_CHARS`: nothing was written."""


@dataclass(frozen=True, slots=True)
class KeptFlow:
    """A flow as it was read. Its `repr` shows no content."""

    name: str = field(repr=False)
    content: str = field(repr=False)
    sealed: str = field(repr=False)
    """The stored value, for the comparison in `replace`."""


class Flows:
    """The flows of all browsers.

    If a quota is given and full, its flows that end first are deleted. A flow expires `lifetime` after it was last
    written or read (except by `peek`); a read never shortens its life. Writes are atomic. Only `replace` waits for the
    disk.

    Raises (from every method): `StoreUnavailable`; the outcome of a write is unknown then. `FlowTooLarge` from those that write.
    """

    def __init__(self, store: Store, ring: KeyRing, lifetime: timedelta = LIFETIME) -> None:
        self._store = store
        self._ring = ring
        self._lifetime = lifetime

    async def put(self, name: str, content: str, lifetime: timedelta | None = None, quota: Quota | None = None) -> None:
        """Store a flow under a new name."""
        sealed = self._ring.seal(_short(content), _belonging(name))
        command = ("SET", _key(name), sealed, "PX", self._ms(lifetime))
        if quota is None:
            await self._store.vault_command(*command)
        else:
            await quotas.enter(self._store, quota, _key(name), lifetime or self._lifetime, command)

    async def load(self, name: str) -> KeptFlow | None:
        """Return the flow with a name, and extend its life; None if there is none, or the key ring cannot open it."""
        reply = await self._store.vault_command("GET", _key(name))
        if reply is not None:
            await self.keep(name)
        return self._opened(name, reply)

    async def peek(self, name: str) -> KeptFlow | None:
        """Return the same as `load`, without extending the life of the flow."""
        return self._opened(name, await self._store.vault_command("GET", _key(name)))

    async def keep(self, name: str, lifetime: timedelta | None = None) -> bool:
        """Extend the life of a flow, and never shorten it; return whether the flow exists."""
        return bool(
            await self._store.vault_command("PEXPIRE", _key(name), self._ms(lifetime), "GT")
        ) or await self.is_kept(name)

    async def is_kept(self, name: str) -> bool:
        """Return whether a flow with this name exists."""
        return bool(await self._store.vault_command("EXISTS", _key(name)))

    async def move(self, name: str, quota: Quota, others: Iterable[Quota], lifetime: timedelta | None = None) -> None:
        """Count a flow in another quota from now on."""
        gone = [quotas.left(other, _key(name)) for other in others if other.name != quota.name]
        await quotas.enter(self._store, quota, _key(name), lifetime or self._lifetime, *gone)

    async def take(self, name: str, quota: Quota | None = None) -> str | None:
        """Delete a flow and return its content. Only one of several callers gets it, the others get None."""
        async with self._store.durable() as vault:
            # Not through the pool, which repeats a command after a lost reply: the second reply would be None.
            reply = await vault.execute("GETDEL", _key(name))
            if reply is not None and quota is not None:
                await vault.execute(*quotas.left(quota, _key(name)))
        taken = self._opened(name, reply)
        return taken.content if taken is not None else None

    async def replace(self, kept: KeptFlow, content: str, lifetime: timedelta | None = None) -> KeptFlow | None:
        """Replace a flow that has not changed since it was read; None if it has changed or was deleted.

        The write is durable.

        Raises:
            NotSaved: the write is not confirmed to be on disk. It may still be in force.
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
            # The same content under another key of the ring counts as unchanged.
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
    """Return the belonging of the value of a flow's key; None for another key."""
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
