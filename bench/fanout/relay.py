"""The relay's side: a process that accepts changes like a worker, and one with an edge."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import pstats
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.fanout.schedule import INITIAL, USERS, Changes, Items, Point, changes, tenant_id, user_id
from bench.processes import message
from relay.core.presence import Name, Status, TenantId
from relay.core.reading.ordering import Order
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops import loop
from relay.ops.telemetry import Telemetry
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.entries import TenantContact
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import Presences
from relay.store.presence.values import DirectoryEntry, Observed
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import RingMarks
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.worker import spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from multiprocessing.connection import Connection

    from relay.core.revision import Epoch
    from relay.ops.telemetry import TelemetrySettings

MARKS: Final = RingMarks(KeyRing.from_json('{"keys": [{"kty": "oct", "kid": "bench", "k": "%s"}]}' % (43 * "A")))
"""The same in each process."""
_LANES: Final = 16
"""Concurrent accepts, like the reads of many tenants."""
_LEASE: Final = timedelta(hours=1)
_CONTACT_S: Final = 1.0
_NEVER: Final = datetime(2100, 1, 1, tzinfo=UTC)


def name(number: int) -> Name:
    """Return the name under which suites request a user."""
    return Name(f"person.number{number}@contoso.example")


# ---- worker


def work(
    pipe: Connection, servers: StoreSettings, point: Point, gather_s: float, traces: TelemetrySettings | None = None
) -> None:
    """Act as the worker; send the suite keys of all tenants when ready. With `traces`, begin some traces."""
    with Telemetry(traces) if traces is not None else nullcontext():
        loop.run(_work(pipe, servers, point, gather_s))


async def _work(pipe: Connection, servers: StoreSettings, point: Point, gather_s: float) -> None:
    async with Store(servers) as store:
        worker = _Worker(store, point, gather_s)
        pipe.send(await worker.prepare())
        saying = asyncio.create_task(worker.keep_saying())
        gc.collect()
        gc.freeze()
        while True:
            mark, seconds, begin_ns = await message(pipe)
            await worker.play(mark, seconds, begin_ns)
            pipe.send(worker.refused)
            if saying.done():
                saying.result()


class _Worker:
    """Owns all partitions and accepts the changes of the schedule."""

    def __init__(self, store: Store, point: Point, gather_s: float) -> None:
        self._store = store
        self._point = point
        self._gather_s = gather_s
        self._presences = Presences(store)
        self._items = Items()
        self._tenants = [tenant_id(number) for number in range(point.tenants)]
        self._leases: dict[int, Lease] = {}
        self._epochs: dict[int, Epoch] = {}
        self._polls = 0
        self.refused = 0

    async def prepare(self) -> list[str]:
        """Take the partitions; create the tenants, each with names, first answers and a suite key."""
        suite_keys = []
        for tenant in self._tenants:
            partition = keys.partition_of(tenant)
            if partition not in self._leases:
                lease = await Leases(self._store).acquire(partition, "bench", _LEASE)
                assert lease is not None
                self._leases[partition] = lease
                self._epochs[partition] = await self._presences.renew_epoch(lease)
            await Tenants(self._store).put(Tenant(tenant_id=tenant, created=datetime.now(UTC)))
            suite_keys.append((await SuiteKeys(self._store, MARKS).issue(tenant, "bench")).text)
            await self._introduce(tenant)
        await self._say()
        return suite_keys

    async def _introduce(self, tenant: TenantId) -> None:
        known = {name(n): DirectoryEntry(user_id(n), _NEVER) for n in range(USERS)}
        await self._presences.name(self._lease(tenant), tenant, known)
        await self._accept(tenant, {n: self._items.item(n, INITIAL, 0) for n in range(USERS)})

    async def play(self, mark: str, seconds: float, begin_ns: int) -> None:
        """Accept due changes, in one call if they belong together."""
        async with asyncio.TaskGroup() as lanes:
            for first in range(min(_LANES, self._point.tenants)):
                tenants = range(first, self._point.tenants, _LANES)
                coming = changes(self._point, seconds, tenants, self._gather_s)
                lanes.create_task(self._lane(coming, mark, begin_ns))

    async def _lane(self, coming: Iterable[Changes], mark: str, begin_ns: int) -> None:
        item = self._items.item
        for found in coming:
            wait_ns = begin_ns + int(found.after_s * 1e9) - time.monotonic_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns / 1e9)
            answers = {user: item(user, mark, begin_ns + int(due_s * 1e9)) for user, due_s in found.due}
            await self._accept(self._tenants[found.tenant], answers)

    async def _accept(self, tenant: TenantId, items: Mapping[int, bytes]) -> None:
        self._polls += 1
        lease = self._lease(tenant)
        epoch = self._epochs[lease.partition]
        order = Order(lease.fence, self._polls)
        stamp = f"A{self._polls:010d}"
        observed = [Observed(user_id(n), item, order, stamp) for n, item in items.items()]
        with spans.READ.begins(), spans.ACCEPT.within():
            self.refused += len((await self._presences.accept(lease, tenant, observed, epoch)).refused)

    async def keep_saying(self) -> None:
        """Renew the contact time of all tenants every second, as a worker does."""
        while True:
            await asyncio.sleep(_CONTACT_S)
            await self._say()

    async def _say(self) -> None:
        now_ms = int(time.time() * 1000)
        said: dict[int, list[TenantContact]] = {}
        for tenant in self._tenants:
            contact = TenantContact(tenant, now_ms, 5000, Status.NONE)
            said.setdefault(keys.partition_of(tenant), []).append(contact)
        for partition, contacts in said.items():
            await self._presences.contact(self._leases[partition], contacts)

    def _lease(self, tenant: TenantId) -> Lease:
        return self._leases[keys.partition_of(tenant)]


# ---- edge


def serve(pipe: Connection, servers: StoreSettings, port: int, profile: str = "") -> None:
    """Run an edge, in plain text, on a port that others may share; send a message when it is ready.

    With `profile`, the messages `begin` and `end` limit the profile.
    """
    loop.run(_serve(pipe, servers, port, profile))


async def _serve(pipe: Connection, servers: StoreSettings, port: int, profile: str) -> None:
    settings = EdgeSettings(host="127.0.0.1", port=port, shares_port=True)
    async with Store(servers) as store, EdgeServer(settings, store, MARKS) as edge:
        gc.collect()
        gc.freeze()
        pipe.send(edge.port)
        profiler = cProfile.Profile()
        while True:
            (order,) = await message(pipe)
            if order == "begin" and profile:
                profiler.enable()
            elif order == "end" and profile:
                profiler.disable()
                _write_profile(profiler, Path(profile))


def _write_profile(profiler: cProfile.Profile, file: Path) -> None:
    with file.open("w") as stream:
        pstats.Stats(profiler, stream=stream).sort_stats("tottime").print_stats(30)
