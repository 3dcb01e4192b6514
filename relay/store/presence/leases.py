"""Leases: exclusive, expiring ownership of partitions, with the fencing token that proves it.

All partitions of a worker are handled in one round trip: a pipeline of one small script for each, whose keys are in one slot. The
table of workers says which worker should have which partition, see `workers`.
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
"""A node may be later than the first by this: a slow one is waited for, and what others gave is still worth something then."""
_NO_EXPIRY = -1
"""The remaining time of a key that never expires, which no lease of the relay is."""


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


@dataclass(frozen=True, slots=True)
class TakenPartition:
    """A partition that was taken, and how it was found in that moment."""

    lease: Lease
    position: bytes
    """Behind the newest hint in its inbox."""
    epoch: Epoch | None
    """None when it never had an owner."""
    replid: str
    """The history that the server has; see `ServerIdentity`."""
    handed_over: bytes | None = None
    """Position in the inbox up to which the former owner had taken all in when it ended in order; None when it did not."""


@dataclass(frozen=True, slots=True)
class TakeResult:
    """The result of trying to take partitions.

    Attributes:
        taken: those that were free.
        next_free: when the next of the others expires unless its owner renews it; None when nobody has any of them.
        blocked: those whose `lease` or `fence` holds what the relay cannot have written: nobody can take them before it is deleted.
    """

    taken: list[TakenPartition]
    next_free: timedelta | None
    blocked: frozenset[int] = frozenset()


class Leases:
    """Exclusive, expiring ownership of partitions.

    A lease ends when it is released, or `ttl` after it was acquired or last renewed, by Redis' clock. An owner hears of the loss
    late, or not at all while it is cut off: each of its writes demands the lease and the fencing token grows, which protects the
    store, and it stops by its own clock before the lease can have expired, see `worker.tenure`. Raises StoreUnavailable.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nonces: dict[int, str] = {}  # partition -> nonce of the attempt whose outcome is not known

    async def prepare(self) -> None:
        """Have everything at hand that a slow store would make late. Not needed, but for that."""
        await self._store.prepare([_ACQUIRE, _RENEW, _RELEASE, _FENCE])

    async def take(self, partitions: Sequence[int], worker: str, ttl: timedelta) -> TakeResult:
        """Take those of the partitions that nobody has, in one round trip to each node; of a node that is away, none.

        To be repeated after StoreUnavailable: what was taken then, unknown to the caller, is found again.
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
        """Take one partition; None when somebody has it (also when it is `worker` itself)."""
        look = await self.take([partition], worker, ttl)
        return look.taken[0].lease if look.taken else None

    async def together(self, leases: Sequence[Lease]) -> list[list[Lease]]:
        """Return the leases, those of one node together: a node that is away must not cost the leases of another."""
        by_partition = {lease.partition: lease for lease in leases}
        return [[by_partition[one] for one in part] for part in await self._store.together(by_partition)]

    async def renew(self, leases: Sequence[Lease], ttl: timedelta) -> set[Lease]:
        """Extend leases to `ttl` from now, in one round trip to each node; those not returned are lost for good."""
        calls = [
            _RENEW(lease=keys.lease(lease.partition), lease_value=lease.value, ttl_ms=_ms(ttl)) for lease in leases
        ]
        replies = await self._store.run_many(calls, urgent=True)
        return {lease for lease, held in zip(leases, replies, strict=True) if held}

    async def fence(self, lease: Lease, nonce: str, ttl: timedelta) -> Lease:
        """Put another ownership of the same worker in the place of a lease, for `ttl` from now.

        A write under the old one that has not run by then meets LEASELOST. That is how an owner that does not know what became
        of a write can know what is stored: what it reads after this is not changed by what it sent before.

        Args:
            lease: in force.
            nonce: of the new one, see `new_nonce`. After StoreUnavailable the same must be given again: it may be in force already.
            ttl: for how long.

        Raises:
            LeaseLost: another worker owns the partition, or nobody.
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
        """Give partitions up, so that others can take them at once. A lease that is lost already is left alone."""
        calls = [_RELEASE(lease=keys.lease(lease.partition), lease_value=lease.value) for lease in leases]
        await self._store.run_many(calls, urgent=True)


def new_nonce() -> str:
    """Return a text that tells an ownership from every other one."""
    return secrets.token_hex(8)


def _handed_over(left: bytes | None, lease: Lease) -> bytes | None:
    """Return the position of a handover whose owner was the one before this lease; None for any other."""
    fence, _, position = (left or b"").partition(b" ")
    return position if position and fence == b"%d" % (lease.fence - 1) else None


def _ms(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))
