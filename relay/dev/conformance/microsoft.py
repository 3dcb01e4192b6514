"""A simulated worker: it knows every requested user, and writes to the store like a real worker."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from presence_api.v1 import presence_pb2, presence_service_pb2
from relay.core.names import is_object_id, normalise
from relay.core.presence import Name, Resolution, Status, TenantId, UserId
from relay.core.reading.ordering import Order
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.entries import TenantContact
from relay.store.presence.leases import Leases
from relay.store.presence.presences import Presences
from relay.store.presence.values import DirectoryEntry, Observed
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.store.custody.suite_key_records import IssuedKey
    from relay.store.sealing.marks import RingMarks
    from relay.store.server.connection import Store

TENANT: Final = TenantId("c0f0c0f0-0000-4000-8000-000000000001")
_LEASE: Final = timedelta(days=7)
_NEVER: Final = datetime(2100, 1, 1, tzinfo=UTC)
_INTERVAL_MS: Final = 5000
_BEAT_S: Final = 1.0
_SHOWN: Final = (
    (presence_pb2.AVAILABILITY_AVAILABLE, presence_pb2.CONSOLE_STATUS_AVAILABLE, "Available"),
    (presence_pb2.AVAILABILITY_BUSY, presence_pb2.CONSOLE_STATUS_BUSY, "Busy"),
)


class PlayedMicrosoft:
    """Simulates Microsoft and the worker. All users are first available, then busy, and so on."""

    def __init__(self, store: Store, marks: RingMarks) -> None:
        self._store = store
        self._keys = SuiteKeys(store, marks)
        self._presences = Presences(store)
        self._people: dict[Name, Resolution] = {}
        self._polls = 0
        self._status = Status.NONE
        self._knowing = asyncio.Lock()

    async def begin(self) -> IssuedKey:
        """Create an organisation, its partition, and a suite key; return the key."""
        lease = await Leases(self._store).acquire(keys.partition_of(TENANT), "conformance", _LEASE)
        assert lease is not None, "the store is new"
        self._lease = lease
        await self.lose_history()
        await Tenants(self._store).put(Tenant(tenant_id=TENANT, created=datetime.now(tz=UTC)))
        return await self._keys.issue(TENANT, "conformance")

    async def revoke(self, key_id: str) -> None:
        """Revoke a suite key."""
        await self._keys.revoke(key_id)

    async def lose_history(self) -> None:
        """Begin a new epoch, so that suites are reset, as after a restored backup."""
        await self._presences.renew_epoch(self._lease)
        if self._people:
            await self.change()

    async def know(self, asked: Iterable[str]) -> None:
        """Create users for newly requested names. The edge handles invalid names."""
        async with self._knowing:
            new = {name: _user_of(name) for name in map(normalise, asked) if name is not None}
            new = {name: user for name, user in new.items() if name not in self._people}
            if new:
                self._people.update(new)
                await self._write(new)

    async def change(self) -> None:
        """Change the presence of all users."""
        self._polls += 1
        await self._found(self._people)

    async def rename(self, name: str, *, to_nobody: bool = False) -> str:
        """Give a name to another user, or to none; return the new user id, or the reason's name."""
        known = normalise(name)
        assert known is not None
        new: Resolution = Status.NOT_FOUND if to_nobody else UserId(str(uuid.uuid4()))
        self._people[known] = new
        await self._write({known: new})
        return presence_pb2.UnknownReason.Name(cast("Any", new.value)) if isinstance(new, Status) else new

    async def throttle(self, *, on: bool) -> None:
        """Start or stop Microsoft's throttling of the organisation."""
        self._status = Status.THROTTLED if on else Status.NONE
        await self._contact()

    async def beat(self) -> None:
        """Renew the organisation's contact until cancelled."""
        while True:
            await self._contact()
            await asyncio.sleep(_BEAT_S)

    async def _contact(self) -> None:
        contact = TenantContact(TENANT, int(time.time() * 1000), _INTERVAL_MS, self._status)
        await self._presences.contact(self._lease, [contact])

    async def _write(self, people: Mapping[Name, Resolution]) -> None:
        entries = {name: DirectoryEntry(user, _NEVER) for name, user in people.items()}
        await self._presences.name(self._lease, TENANT, entries)
        await self._found(people)

    async def _found(self, people: Mapping[Name, Resolution]) -> None:
        order = Order(self._lease.fence, self._polls)
        seen = [
            Observed(user, _encoded(user, name, self._polls), order)
            for name, user in people.items()
            if not isinstance(user, Status)
        ]
        await self._presences.accept(self._lease, TENANT, seen)


def _user_of(name: Name) -> UserId:
    return UserId(name if is_object_id(name) else str(uuid.uuid5(uuid.NAMESPACE_DNS, name)))


def _encoded(user: UserId, name: Name, poll: int) -> bytes:
    """Return an answer as the worker encodes it: a whole `answers` field of a batch."""
    availability, status, word = _SHOWN[poll % len(_SHOWN)]
    presence = presence_pb2.UserPresence(
        upn=name, availability=availability, console_status=status, raw_availability=word, raw_activity=word
    )
    answer = presence_pb2.UserAnswer(user_id=user, presence=presence)
    return presence_service_pb2.WatchPresenceResponse.Batch(answers=[answer]).SerializeToString()
