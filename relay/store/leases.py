"""Leases: who owns a partition, for how long, and the number that proves it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.errors import LeaseLost
from relay.store import keys
from relay.store.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.store.connection import Store

_ACQUIRE = Script("lease_acquire")
_RENEW = Script("lease_renew")
_RELEASE = Script("lease_release")
_FENCE = Script("lease_fence")
_WORKER = re.compile(r"[\w.:@-]{1,200}")


@dataclass(frozen=True, slots=True)
class Lease:
    """One ownership of a partition. Two never have the same value, not even of the same worker."""

    partition: int
    worker: str
    fence: int
    """The fencing token: grows with every ownership of the partition."""
    nonce: str

    @property
    def value(self) -> bytes:
        """Exactly what Redis holds while the lease is in force; every write of an owner compares it."""
        return f"{self.fence}:{self.nonce}:{self.worker}".encode()


class Leases:
    """Exclusive, expiring ownership of partitions.

    A lease ends when it is released, or `ttl` after it was acquired or last renewed, by Redis' clock. An owner cannot know
    in time that it lost its lease; what protects the partition is that each of its writes demands the lease, and that the
    fencing token grows. Raises StoreUnavailable; an `acquire` of unknown outcome blocks the partition for `ttl` at most.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def acquire(self, partition: int, worker: str, ttl: timedelta) -> Lease | None:
        """Take the partition if nobody has it; None when somebody has (also when it is `worker` itself)."""
        if not _WORKER.fullmatch(worker):
            raise ValueError(f"{worker[:50]!r} cannot be a worker's name")
        nonce = new_nonce()
        held = [keys.lease(partition), keys.fence(partition)]
        fence = await self._store.run_once(_ACQUIRE, held, [nonce, worker, _ms(ttl)])
        return None if fence is None else Lease(partition, worker, int(fence), nonce)

    async def renew(self, leases: Sequence[Lease], ttl: timedelta) -> set[Lease]:
        """Extend leases to `ttl` from now, all in one round trip; those not returned are lost for good."""
        calls: list[tuple[list[bytes], list[Arg]]] = [
            ([keys.lease(lease.partition)], [lease.value, _ms(ttl)]) for lease in leases
        ]
        replies = await self._store.many_runs(_RENEW, calls) if calls else []
        return {lease for lease, held in zip(leases, replies, strict=True) if held}

    async def fence(self, lease: Lease, nonce: str, ttl: timedelta) -> Lease:
        """Put another ownership of the same worker in the place of a lease, for `ttl` from now.

        What was sent under the old one and has not run by then meets LEASELOST. That is how an owner that does not know what became
        of a write can know what is stored: what it reads after this is not changed by what it sent before.

        Args:
            lease: in force.
            nonce: of the new one, see `new_nonce`. After StoreUnavailable the same must be given again: it may be in force already.
            ttl: for how long.

        Raises:
            LeaseLost: another worker owns the partition, or nobody.
        """
        held = [keys.lease(lease.partition), keys.fence(lease.partition)]
        fence = await self._store.run(_FENCE, held, [lease.value, nonce, lease.worker, _ms(ttl)])
        if fence is None:
            raise LeaseLost("The partition has another owner now")
        return Lease(lease.partition, lease.worker, int(fence), nonce)

    async def release(self, lease: Lease) -> None:
        """Give the partition up, so that another can take it at once. A lease that is lost already is left alone."""
        await self._store.run(_RELEASE, [keys.lease(lease.partition)], [lease.value])


def new_nonce() -> str:
    """What tells an ownership from every other one."""
    return secrets.token_hex(8)


def _ms(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))
