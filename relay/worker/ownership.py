"""The ownership of one partition: the lease that each write carries, the epoch, and access to Graph while the lease lasts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from relay.errors import LeaseLost, StoreUnavailable
from relay.store.presence.leases import new_nonce

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from relay.core.revision import Epoch
    from relay.errors import Retryable
    from relay.store.presence.leases import Lease
    from relay.worker.cloud import Cloud
    from relay.worker.context import Resources
    from relay.worker.tenure import Tenure

log = structlog.get_logger(__name__)

_RETRY_S: Final = 0.5
T = TypeVar("T")


class Ownership:
    """One partition as long as its lease lasts.

    The object changes: `fence` replaces the lease, and lost history replaces the epoch. So read both just before each
    use, and keep a copy where two steps must use the same one.

    Attributes:
        tenure: the lease and its deadline.
        cloud: the connection to Microsoft; requests fail after the deadline.
        epoch: the epoch of the server's history.
    """

    def __init__(self, resources: Resources, tenure: Tenure, epoch: Epoch, cloud: Cloud) -> None:
        self._resources = resources
        self.tenure = tenure
        self.cloud = cloud
        self.epoch = epoch
        self._fencing = asyncio.Lock()

    @property
    def lease(self) -> Lease:
        """The lease in force, as far as this worker knows."""
        return self.tenure.lease

    def is_over(self, lease: Lease) -> bool:
        """Return whether LEASELOST for this lease means a lost partition, and not that `fence` has replaced the lease."""
        return self.tenure.is_over(lease)

    async def fence(self, doubted: Lease) -> None:
        """Ensure that a write of unknown outcome under this lease is not carried out after this call.

        The write may still be in a socket, and lease, epoch and order would allow it. So the lease is taken again, for
        all tenants, and writes under way get LEASELOST, see `is_over`.

        Raises:
            LeaseLost: the partition is lost.
            StoreUnavailable: call again.
        """
        tenure = self.tenure
        async with self._fencing:
            if self.lease != doubted:
                return
            tenure.successor = tenure.successor or new_nonce()
            asked_at = self._resources.clock.monotonic()
            try:
                lease_for = self._resources.settings.lease
                tenure.lease = await self._resources.leases.fence(doubted, tenure.successor, lease_for)
            except LeaseLost:
                tenure.successor = None
                raise
            tenure.successor = None
            tenure.prove(asked_at)
        log.info("partition_fenced", partition=self.lease.partition)

    async def until_answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Repeat a request to the store until it answers; return the answer."""
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                await self._resources.clock.sleep(_RETRY_S)

    async def until_written(self, write: Callable[[Lease], Awaitable[None]]) -> None:
        """Repeat a write until the store confirms it. No earlier attempt is carried out after that.

        Raises:
            LeaseLost: the partition is lost.
        """
        failed: tuple[Lease, Retryable] | None = None
        while True:
            try:
                if failed is not None:
                    await self._void(*failed)
                lease = self.lease
                try:
                    return await write(lease)
                except (StoreUnavailable, LeaseLost) as error:
                    failed = lease, error
            except StoreUnavailable:
                pass
            await self._resources.clock.sleep(_RETRY_S)

    async def _void(self, lease: Lease, error: Retryable) -> None:
        """Return once a write that failed under this lease can no longer be carried out."""
        if isinstance(error, LeaseLost) and self.is_over(lease):
            raise error
        await self.fence(lease)
