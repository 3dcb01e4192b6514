"""Reads `changes` of the partitions whose tenants have streams here, and delivers each entry to the streams of its tenant.

All streams of a partition get an entry without an await in between, so that the partition has one position: everything
at or below it was delivered to all of its streams. Resume tokens contain that position.

    reading    entries go to the streams; an entry that does not follow the one before stops its partition
    checking   the history must still be the same (`repair.py`)
    sweeping   contact that no longer moves makes a tenant stale, also while the store is unavailable

An unavailable store ends no stream: positions and contact times stay as they are.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, Self, cast

import structlog

from relay.core.watching.values import AnswersEntry, Position
from relay.edge import metrics
from relay.edge.hub.endings import removed, revoked
from relay.edge.hub.explain import Questions
from relay.edge.hub.following import follow
from relay.edge.hub.portions import portions
from relay.edge.hub.registry import Registry
from relay.edge.hub.repair import RETRY_S, Repair
from relay.edge.hub.tenants import Hold, Listener, TenantView
from relay.errors import StoreUnavailable
from relay.ops.supervision import running
from relay.store.presence.entries import (
    ChangedAnswers,
    ChangedContact,
    ChangedNames,
    ChangesEntry,
    EndedAccess,
    WatcherQuestion,
)
from relay.store.presence.pipes import ChangesReader
from relay.wire.decode import origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from relay.core.presence import TenantId
    from relay.core.revision import Revision
    from relay.edge.interest import LocalInterest
    from relay.edge.settings import EdgeSettings
    from relay.ops.clock import Clock
    from relay.store.server.connection import Store

_log = structlog.get_logger(__name__)

_WITNESSES: Final = 64
"""Number of streams searched for one that receives a given answer, to measure the age of one answer per read: some 4 us."""
_MEASURE_EVERY_S: Final = 0.05
"""A busy edge reads more than 100 times a second: it measures 20 of these reads, because a record in a histogram costs 5 us."""
_SWEEP_S: Final = 0.5


class Hub:
    """The partitions in use, as an async context manager around its own tasks."""

    def __init__(self, store: Store, interest: LocalInterest, settings: EdgeSettings, clock: Clock) -> None:
        self._clock = clock
        self._pause_s = settings.read_pause.total_seconds()
        self._measure_at = 0.0
        self._at_once = settings.deliveries_at_once
        self._registry = registry = Registry(settings)
        self._reader = ChangesReader(store)
        self._repair = Repair(store, registry, self._reader, interest, settings, clock)
        self._questions = Questions(store, interest.edge_id)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._reader.aclose)
        self._stack.push_async_callback(self._repair.aclose)
        self._stack.push_async_callback(self._questions.aclose)
        loops = {"hub-read": self._read, "hub-check": self._repair.run, "hub-sweep": self._sweep}
        await self._stack.enter_async_context(running(loops))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    # ---------------------------------------------------------------- streams

    @property
    def tenants(self) -> Mapping[TenantId, TenantView]:
        """Return the tenants with open streams."""
        return self._registry.tenants

    @property
    def partitions(self) -> int:
        """Return the number of partitions with open streams."""
        return len(self._registry.partitions)

    @property
    def is_store_away(self) -> bool:
        """Return whether the store failed to answer the last time."""
        return self._repair.is_away

    async def join(self, tenant_id: TenantId, stream: Listener) -> TenantView:
        """Deliver a tenant's entries to a stream from now on; return when the partition is being read.

        While no worker owns the partition, the stream waits.

        Raises:
            StoreUnavailable: the stream did not join.
        """
        view, partition = self._registry.add(tenant_id, stream, self._clock.monotonic())
        try:
            needed = [self._repair.find_position(partition)] if partition.position is None else []
            if view.contact is None:
                needed.append(self._repair.fetch_contact(view))
            await asyncio.gather(*needed)
        except BaseException:
            self.leave(tenant_id, stream)
            raise
        return view

    def leave(self, tenant_id: TenantId, stream: Listener) -> None:
        """Stop delivering to the stream; a stream that did not join is ignored."""
        unused = self._registry.remove(tenant_id, stream)
        if unused is not None:
            self._reader.drop(unused)

    def position(self, tenant_id: TenantId) -> Position | None:
        """Return the position up to which entries were delivered to the tenant's streams; None while the partition is not read."""
        return self._registry.position(tenant_id)

    def is_whole(self, tenant_id: TenantId) -> bool:
        """Return whether the position is reliable: it is known, no entry is missing, and the store is available."""
        partition = self._registry.partition_of(tenant_id)
        return (
            partition is not None and partition.position is not None and not partition.gap and not self._repair.is_away
        )

    @contextmanager
    def hold(self, view: TenantView) -> Iterator[Hold]:
        """Keep the entries that are read while a snapshot is under way."""
        hold = Hold()
        view.holds.append(hold)
        try:
            yield hold
        finally:
            view.holds.remove(hold)

    async def check(self, tenant_id: TenantId) -> None:
        """Check the history of all partitions in use now; concurrent callers share one check.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        if self._registry.partition_of(tenant_id) is not None:
            await self._repair.check()

    # --------------------------------------------------------------- fan-out

    async def _read(self) -> None:
        repair = self._repair
        while True:
            try:
                if repair.is_away:
                    await repair.check()  # checked before anything is delivered: the server may be another one now
                    repair.store_is_back()
                read = await self._reader.read()
                if read:
                    await self._deliver_all(read)
                    await self._clock.sleep(self._pause_s)
            except StoreUnavailable as error:
                repair.store_is_away(error)
                await self._clock.sleep(RETRY_S)

    async def _deliver_all(self, read: Sequence[tuple[int, ChangesEntry]]) -> None:
        """Deliver entries to the streams, in portions; other tasks run between two portions."""
        numbers = dict.fromkeys(number for number, _ in read)
        stood: dict[int, Position | None] = {}
        for portion in portions(read, self._work, self._at_once):
            if stood:
                await asyncio.sleep(0)
            # A partition that was left meanwhile, or has another position now, is read again from its position.
            still = [pair for pair in portion if not stood or self._position_of(pair[0]) is stood[pair[0]]]
            self._deliver(still)
            stood = {number: self._position_of(number) for number in numbers}

    def _position_of(self, number: int) -> Position | None:
        partition = self._registry.partitions.get(number)
        return None if partition is None else partition.position

    def _work(self, entry: ChangesEntry) -> int:
        """Return how many answers or names an entry delivers to streams."""
        if type(entry) is ChangedAnswers:
            view = self._registry.tenants.get(entry.tenant_id)
            return 0 if view is None else len(entry.answers) * len(view.sinks)
        if type(entry) is ChangedNames:
            view = self._registry.tenants.get(entry.tenant_id)
            return 0 if view is None else len(entry.names) * len(view.sinks)
        return 1

    def _deliver(self, read: Sequence[tuple[int, ChangesEntry]]) -> None:
        """Deliver entries to the streams. The hot path: nothing is awaited, and an answer costs a few dictionary steps."""
        partitions, views = self._registry.partitions, self._registry.tenants
        reached: dict[int, Revision] = {}
        touched: dict[TenantView, AnswersEntry[bytes]] = {}
        traced: list[tuple[TenantView, ChangedAnswers]] = []
        for number, entry in read:
            partition = partitions.get(number)
            if partition is None or partition.position is None or partition.gap:
                continue
            if entry.gap:
                partition.gap = True
                self._repair.check_soon()
                continue
            if type(entry) is ChangedAnswers:
                view = views.get(entry.tenant_id)
                if view is not None:
                    # It has the attributes of an AnswersEntry; creating an AnswersEntry would cost as much as the delivery.
                    answers = cast("AnswersEntry[bytes]", entry)
                    for sink in view.sinks:
                        sink(answers)
                    for hold in view.holds:
                        hold.missed.append(answers)
                    touched[view] = answers
                    if entry.trace:
                        traced.append((view, entry))
            else:
                self._deliver_rare(entry)
            reached[number] = entry.revision
        for number, revision in reached.items():
            partition = partitions[number]
            assert partition.position is not None
            partition.position = Position(partition.position.epoch, revision)
        if touched and self._clock.monotonic() >= self._measure_at:
            self._measure(touched, read[-1][1].revision)
        if traced:
            follow(traced)
        _wake(touched)

    def _measure(self, touched: Mapping[TenantView, AnswersEntry[bytes]], newest: Revision) -> None:
        """Record how late the newest entry was read, and make a stream record the age of an answer when it writes it.

        Args:
            touched: tenants -> an entry whose answers were just delivered to their streams.
            newest: revision of the newest entry.
        """
        metrics.CHANGES_LAG.record(max(0.0, self._clock.wall().timestamp() - (newest >> 64) / 1000))
        for view, entry in islice(touched.items(), 1):
            user_id, item = entry.answers[0]
            streams = islice(view.streams, _WITNESSES)
            stream = next((one for one in streams if user_id in one.watch.outbox.values), None)
            if stream is not None and (found := origin(item)) is not None:
                stream.measure(user_id, found)
                self._measure_at = self._clock.monotonic() + _MEASURE_EVERY_S

    def _deliver_rare(self, entry: ChangesEntry) -> None:
        if type(entry) is ChangedNames:
            view = self.tenants.get(entry.tenant_id)
            names = [name for name, _ in entry.names]
            for stream in view.streams if view else ():
                stream.watch.on_names(names)
                stream.look_up()
        elif type(entry) is ChangedContact:
            now = self._clock.monotonic()
            for contact in entry.contacts:
                view = self.tenants.get(contact.tenant_id)
                if view is not None:
                    view.set_contact(contact, now)
        elif type(entry) is WatcherQuestion:
            self._questions.answer(entry, self.tenants.get(entry.tenant_id))
        elif type(entry) is EndedAccess:
            view = self.tenants.get(entry.tenant_id)
            for stream in list(view.streams) if view else ():
                if not entry.key_id:
                    stream.end(removed())
                elif stream.key_id == entry.key_id:
                    stream.end(revoked(entry.key_id))

    # ------------------------------------------------------------- freshness

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_S)
            self._registry.sweep(self._clock.monotonic())


def _wake(views: Iterable[TenantView]) -> None:
    for view in views:
        for stream in view.streams:
            stream.wake_if_unsent()
