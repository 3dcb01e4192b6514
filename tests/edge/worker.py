"""A worker's writes to the store, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from presence_api.v1 import presence_pb2, presence_service_pb2
from relay.core.presence import Name, Status, TenantId, UserId
from relay.core.reading.ordering import Order
from relay.core.revision import Revision
from relay.store.custody.suite_key_records import IssuedKey
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.entries import TenantContact
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import Presences
from relay.store.presence.values import DirectoryEntry, Observed
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.support.ring import MARKS

TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
OTHER = TenantId("0c1d2e3f-2222-4222-8333-944445555777")
FAR = datetime(2100, 1, 1, tzinfo=UTC)
Availability = presence_pb2.Availability


def user(number: int) -> UserId:
    return UserId(f"aaaaaaaa-0000-4000-8000-{number:012x}")


def name(number: int) -> Name:
    return Name(f"user{number}@contoso.com")


def item(user_id: UserId, answer: presence_pb2.UserPresence | Status) -> bytes:
    """An answer as the worker encodes it: a whole `answers` field of a batch."""
    if isinstance(answer, Status):
        encoded = presence_pb2.UserAnswer(user_id=user_id, unknown_reason=answer.value)
    else:
        encoded = presence_pb2.UserAnswer(user_id=user_id, presence=answer)
    return presence_service_pb2.WatchPresenceResponse.Batch(answers=[encoded]).SerializeToString()


def presence(text: str) -> presence_pb2.UserPresence:
    return presence_pb2.UserPresence(availability=Availability.AVAILABILITY_AVAILABLE, raw_activity=text)


class PlayedWorker:
    """Owns the partitions of its tenants and writes what it is told to."""

    def __init__(self, store: Store, *tenants: TenantId) -> None:
        self.store = store
        self.presences = Presences(store)
        self.tenants = tenants
        self.leases: dict[int, Lease] = {}
        self._polls = 0

    async def own(self, *, epoch: bool = True) -> None:
        """Take the partitions, and declare a new epoch in each."""
        for tenant_id in self.tenants:
            partition = keys.partition_of(tenant_id)
            if partition not in self.leases:
                lease = await Leases(self.store).acquire(partition, "worker", timedelta(minutes=10))
                assert lease is not None
                self.leases[partition] = lease
                if epoch:
                    await self.renew_epoch(tenant_id)

    async def renew_epoch(self, tenant_id: TenantId = TENANT) -> None:
        await self.presences.renew_epoch(self.lease(tenant_id))

    def lease(self, tenant_id: TenantId) -> Lease:
        return self.leases[keys.partition_of(tenant_id)]

    async def enrol(self, tenant_id: TenantId = TENANT) -> IssuedKey:
        """A tenant and a key of a suite of it."""
        await Tenants(self.store).put(Tenant(tenant_id=tenant_id, created=datetime.now(tz=UTC)))
        return await self.issue(tenant_id)

    async def issue(self, tenant_id: TenantId = TENANT) -> IssuedKey:
        return await SuiteKeys(self.store, MARKS).issue(tenant_id, "suite")

    async def resolve(self, outcomes: Mapping[Name, UserId | Status], tenant_id: TenantId = TENANT) -> None:
        entries = {name: DirectoryEntry(outcome, FAR) for name, outcome in outcomes.items()}
        await self.presences.name(self.lease(tenant_id), tenant_id, entries)

    async def found(self, answers: Mapping[UserId, str | Status], tenant_id: TenantId = TENANT) -> Revision | None:
        """Answers, each a presence with this activity, or a status."""
        self._polls += 1
        lease = self.lease(tenant_id)
        order = Order(lease.fence, self._polls)
        seen = [
            Observed(user_id, item(user_id, answer if isinstance(answer, Status) else presence(answer)), order)
            for user_id, answer in answers.items()
        ]
        return (await self.presences.accept(lease, tenant_id, seen)).revision

    async def users(self, count: int, tenant_id: TenantId = TENANT, activity: str = "first") -> list[str]:
        """Users who are known and have an answer; their names."""
        await self.resolve({name(n): user(n) for n in range(count)}, tenant_id)
        await self.found({user(n): f"{activity}-{n}" for n in range(count)}, tenant_id)
        return [name(n) for n in range(count)]

    async def contact(
        self, contact_ms: int = 0, interval_ms: int = 5000, status: Status = Status.NONE, tenant_id: TenantId = TENANT
    ) -> None:
        await self.presences.contact(self.lease(tenant_id), [TenantContact(tenant_id, contact_ms, interval_ms, status)])
