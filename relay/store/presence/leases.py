"""Leases: exclusive, expiring ownership of partitions, with the fencing token that proves it.

Calls handle all partitions of a worker in one round trip: a pipeline with one small script for each partition. Workers
plan with the table of workers which of them takes which partition; see `workers`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from relay.core.revision import Epoch
from relay.errors import LeaseLost
from relay.store.server import keys
from relay.store.server.blocking import START_ID
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.store.server.connection import Store

_ACQUIRE = Script("lease_acquire")
_RENEW = Script("lease_renew")
_RELEASE = Script("lease_release")
_FENCE = Script("lease_fence")
_WORKER = re.compile(r"[\w.:@-]{1,200}")
_LATE_S = 2.5
"""A node may answer this much later than the first: long enough for a slow node, while leases from other nodes stay
valid."""
_NO_EXPIRY = -1
"""Redis' remaining time of a key without expiry. The relay never writes such a lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One ownership of a partition. No two have the same value, not even of the same worker."""

    partition: int
    worker: str
    fence: int
    """The fencing token: grows with every ownership of the partition."""
    nonce: str

    @property
    def value(self) -> bytes:
        """The value in Redis while the lease is in force; each write of an owner compares it."""
        return f"{self.fence}:{self.nonce}:{self.worker}".encode()


@dataclass(frozen=True, slots=True)
class TakenPartition:
    """A partition that was taken, and its state at that moment."""

    lease: Lease
    position: bytes
    """The position of the newest hint in its inbox."""
    epoch: Epoch | None
    """None if it never had an owner."""
    replid: str
    """The server's data history; see `ServerIdentity`."""
    handed_over: bytes | None = None
    """Inbox position up to which a former owner that shut down cleanly had processed all hints; None without a
    handover."""


@dataclass(frozen=True, slots=True)
class TakeResult:
    """The result of trying to take partitions.

    Attributes:
        taken: those that were free.
        next_free: time until the next of the other leases expires unless it is renewed; None if there is none.
        blocked: those whose `lease` or `fence` has a value that the relay cannot have written. Delete it to unblock
            them.
    """

    taken: list[TakenPartition]
    next_free: timedelta | None
    blocked: frozenset[int] = frozenset()


class Leases:
    """Exclusive, expiring ownership of partitions.

    A lease ends when it is released, or `ttl` after it was acquired or last renewed, by Redis' clock. An owner learns
    of the loss late, or not at all while it is cut off. The store is protected, because each write compares the lease
    and the fencing token grows. The owner also stops by its own clock before the lease can expire, see `worker.tenure`.
    Raises StoreUnavailable.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nonces: dict[int, str] = {}  # partition -> nonce of an attempt with unknown outcome

    async def prepare(self) -> None:
        """Open connections and load scripts in advance. Optional; avoids a delay when the store is slow."""
        await self._store.prepare([_ACQUIRE, _RENEW, _RELEASE, _FENCE])

    async def take(self, partitions: Sequence[int], worker: str, ttl: timedelta) -> TakeResult:
        """Take those of the partitions that are free, in one round trip to each node; none of an unavailable node.

        After StoreUnavailable, repeat it: the result then includes partitions that the failed call took.
        """
        if not _WORKER.fullmatch(worker):
            raise ValueError(f"{worker[:50]!r} cannot be a worker's name")

        async def take(part: Sequence[int]) -> TakeResult:
            return await self._take(part, worker, ttl)

        looks = await self._store.by_node(partitions, take, _LATE_S)
        return TakeResult(
            [one for look in looks for one in look.taken],
            min((look.next_free for look in looks if look.next_free is not None), default=None),
            frozenset().union(*(look.blocked for look in looks)),
        )

    async def _take(self, partitions: Sequence[int], worker: str, ttl: timedelta) -> TakeResult:
        nonces = [self._nonces.setdefault(partition, new_nonce()) for partition in partitions]
        calls = [
            _ACQUIRE(
                lease=keys.lease(partition),
                fence=keys.fence(partition),
                inbox_head=keys.inbox_head(partition),
                epoch=keys.epoch(partition),
                handover=keys.handover(partition),
                nonce=nonce,
                worker=worker,
                ttl_ms=_ms(ttl),
            )
            for partition, nonce in zip(partitions, nonces, strict=True)
        ]
        replies = await self._store.run_many(calls, urgent=True)
        taken, expiries, blocked = [], [], []
        for partition, nonce, (fence, *found) in zip(partitions, nonces, replies, strict=True):
            self._nonces.pop(partition, None)
            if fence is None:
                if found[0] in (b"blocked", _NO_EXPIRY):
                    blocked.append(partition)
                elif found[0] >= 0:
                    expiries.append(timedelta(milliseconds=found[0]))
                continue
            position, epoch, replid, left = found
            known, lease = Epoch(epoch.decode()) if epoch else None, Lease(partition, worker, int(fence), nonce)
            handed_over = _handed_over(left, lease)
            taken.append(TakenPartition(lease, position or START_ID, known, replid.decode(), handed_over))
        return TakeResult(taken, min(expiries, default=None), frozenset(blocked))

    async def acquire(self, partition: int, worker: str, ttl: timedelta) -> Lease | None:
        """Take one partition; None if it has an owner (including `worker` itself)."""
        look = await self.take([partition], worker, ttl)
        return look.taken[0].lease if look.taken else None

    async def together(self, leases: Sequence[Lease]) -> list[list[Lease]]:
        """Return the leases grouped by node, so that an unavailable node does not affect leases on other nodes."""
        by_partition = {lease.partition: lease for lease in leases}
        return [[by_partition[one] for one in part] for part in await self._store.together(by_partition)]

    async def renew(self, leases: Sequence[Lease], ttl: timedelta) -> set[Lease]:
        """Extend leases to `ttl` from now, in one round trip to each node. Leases that are not returned are lost."""
        calls = [
            _RENEW(lease=keys.lease(lease.partition), lease_value=lease.value, ttl_ms=_ms(ttl)) for lease in leases
        ]
        replies = await self._store.run_many(calls, urgent=True)
        return {lease for lease, held in zip(leases, replies, strict=True) if held}

    async def fence(self, lease: Lease, nonce: str, ttl: timedelta) -> Lease:
        """Replace a lease with a new one of the same worker, for `ttl` from now.

        A write under the old lease that runs later fails with LEASELOST. So an owner with a write of unknown outcome
        can read what is stored, because its earlier writes have no effect after this call.

        Args:
            lease: the lease in force.
            nonce: nonce of the new lease, see `new_nonce`. After StoreUnavailable repeat with the same nonce.
            ttl: duration of the new lease.

        Raises:
            LeaseLost: the lease is not in force.
        """
        call = _FENCE(
            lease=keys.lease(lease.partition),
            fence=keys.fence(lease.partition),
            lease_value=lease.value,
            nonce=nonce,
            worker=lease.worker,
            ttl_ms=_ms(ttl),
        )
        fence = await self._store.run(call)
        if fence is None:
            raise LeaseLost("The partition has another owner now")
        return Lease(lease.partition, lease.worker, int(fence), nonce)

    async def release(self, *leases: Lease) -> None:
        """Release partitions, so that other workers can take them at once. Lost leases are ignored."""
        calls = [_RELEASE(lease=keys.lease(lease.partition), lease_value=lease.value) for lease in leases]
        await self._store.run_many(calls, urgent=True)


def new_nonce() -> str:
    """Return a unique text for an ownership."""
    return secrets.token_hex(8)


def _handed_over(left: bytes | None, lease: Lease) -> bytes | None:
    """Return the position of a handover from the owner directly before this lease; None otherwise."""
    fence, _, position = (left or b"").partition(b" ")
    return position if position and fence == b"%d" % (lease.fence - 1) else None


def _ms(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))
