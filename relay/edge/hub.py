"""Reads `changes` of the partitions whose tenants have streams here, and hands each entry to the streams of its tenant.

Every stream of a partition is told of an entry in one go, without an await in between, so that the partition has one position:
everything at or below it was handed to all of its streams. From that position resume tokens are made.

    reading    entries go to the streams; an entry that does not follow the one before stops its partition
    checking   once a second, after a reconnect and at a gap: is it still the same history? (`history.py`)
    looking    contact that no longer moves makes a tenant stale, also while the store is away

A store that is away ends nothing: positions stand, streams stay, and contact stands still.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, Self, cast

import structlog
from opentelemetry import metrics

from relay.core.watching.watch import AnswersEntry, Position
from relay.edge.history import Finding, History, Partition, Verdict
from relay.edge.tenants import Hold, Listener, TenantView
from relay.edge.together import Together
from relay.errors import RelayError, StoreUnavailable, SuiteKeyRevoked, TenantRemoved
from relay.ops.supervision import running
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.presence.entries import Answers, Asked, Contact, Ended, Entry, Names
from relay.store.presence.explanations import EdgeSays, Explanations
from relay.store.presence.pipes import ChangesReader
from relay.store.presence.presences import Presences
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relay.core.presence import TenantId
    from relay.core.revision import Revision
    from relay.edge.interest import LocalInterest
    from relay.edge.settings import EdgeSettings
    from relay.store.server.connection import Store

_log = structlog.get_logger(__name__)
_meter = metrics.get_meter("relay.edge")
_lag = _meter.create_histogram(
    "relay.edge.changes.lag",
    unit="s",
    description="From accepting a change to reading it at an edge, once a read",
    explicit_bucket_boundaries_advisory=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)

_RETRY_S: Final = 0.2
"""Between attempts while the store is away: soon enough for a suite that waits, and no burden."""
_LOOK_S: Final = 0.5
_REPAIRS_AT_ONCE: Final = 16
"""Tenants whose contact and keys are read at the same time: half of the connections to the store."""
_ANSWERS_AT_ONCE: Final = 20
"""Questions that are being answered; tenants are asked about seldom, and one that is not answered is told as such."""


class Hub:
    """The partitions in use, as an async context manager around its own tasks.

    Attributes:
        tenants: those with open streams.
    """

    def __init__(self, store: Store, interest: LocalInterest, settings: EdgeSettings) -> None:
        self._settings = settings
        self._interest = interest
        self._presences = Presences(store)
        self._suite_keys = SuiteKeys(store)
        self._history = History(store, self._presences)
        self._checks = Together(self._check_all, "hub-checks")
        self._reader = ChangesReader(store)
        self._partitions: dict[int, Partition] = {}
        self.tenants: dict[TenantId, TenantView] = {}
        self._check_now = asyncio.Event()
        self._away = False
        self._stack = AsyncExitStack()
        self._edge_id = interest.edge_id
        self._explanations = Explanations(store)
        self._answering: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._reader.aclose)
        self._stack.push_async_callback(self._checks.aclose)
        self._stack.push_async_callback(self._answer_no_more)
        loops = {"hub-read": self._read, "hub-check": self._check, "hub-look": self._look}
        await self._stack.enter_async_context(running(loops))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _answer_no_more(self) -> None:
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    # ---------------------------------------------------------------- streams

    async def join(self, tenant_id: TenantId, stream: Listener) -> TenantView:
        """Hand a tenant's entries to a stream from now on; returns when the partition is being read.

        A partition that no worker has taken yet is not, and the stream waits for it.

        Raises:
            StoreUnavailable: the stream did not join.
        """
        partition = self._partitions.setdefault(number := keys.partition_of(tenant_id), Partition(number))
        view = self.tenants.get(tenant_id)
        if view is None:
            view = self.tenants[tenant_id] = TenantView(tenant_id, number, self._settings, _now())
            partition.views[view] = None
        view.add(stream)
        try:
            needed = [self._find_position(partition)] if partition.position is None else []
            if view.contact is None:
                needed.append(self._fetch_contact(view))
            await asyncio.gather(*needed)
        except BaseException:
            self.leave(tenant_id, stream)
            raise
        return view

    def leave(self, tenant_id: TenantId, stream: Listener) -> None:
        """Hand nothing to the stream any more; one that did not join is ignored."""
        view = self.tenants.get(tenant_id)
        if view is None:
            return
        view.remove(stream)
        if view.streams:
            return
        del self.tenants[tenant_id]
        partition = self._partitions[view.partition]
        del partition.views[view]
        if not partition.views:
            del self._partitions[view.partition]
            self._reader.drop(view.partition)

    def position(self, tenant_id: TenantId) -> Position | None:
        """Up to where entries were handed to the tenant's streams; None while the partition is not being read."""
        view = self.tenants.get(tenant_id)
        partition = self._partitions.get(view.partition) if view else None
        return partition.position if partition else None

    def is_whole(self, tenant_id: TenantId) -> bool:
        """Whether the position can be built upon: it is known, no entry is missing, and the store is there."""
        view = self.tenants.get(tenant_id)
        partition = self._partitions.get(view.partition) if view else None
        return partition is not None and partition.position is not None and not partition.gap and not self._away

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
        """Check the history of a tenant's partition now, with all others in use, for all who ask at the same time.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        if keys.partition_of(tenant_id) in self._partitions:
            await self._checks.run()

    # --------------------------------------------------------------- fan-out

    async def _read(self) -> None:
        pause_s = self._settings.read_pause.total_seconds()
        while True:
            try:
                if self._away:
                    await self._checks.run()  # before anything is delivered: it may be another server now
                    self._is_back()
                read = await self._reader.read()
                if read:
                    self._deliver(read)
                    await asyncio.sleep(pause_s)
            except StoreUnavailable as error:
                self._is_away(error)
                await asyncio.sleep(_RETRY_S)

    def _deliver(self, read: Sequence[tuple[int, Entry]]) -> None:
        """Hand entries to the streams. The hot path: nothing is awaited, and an answer costs a few dictionary steps."""
        views = self.tenants
        reached: dict[int, Revision] = {}
        touched: dict[TenantView, None] = {}
        for number, entry in read:
            partition = self._partitions.get(number)
            if partition is None or partition.position is None or partition.gap:
                continue
            if entry.gap:
                partition.gap = True
                self._check_now.set()
                continue
            if type(entry) is Answers:
                view = views.get(entry.tenant_id)
                if view is not None:
                    # It has the attributes of an AnswersEntry; making one would cost as much as delivering it.
                    answers = cast("AnswersEntry[bytes]", entry)
                    for sink in view.sinks:
                        sink(answers)
                    for hold in view.holds:
                        hold.missed.append(answers)
                    touched[view] = None
            else:
                self._deliver_rare(entry)
            reached[number] = entry.revision
        for number, revision in reached.items():
            partition = self._partitions[number]
            assert partition.position is not None
            partition.position = Position(partition.position.epoch, revision)
        for view in touched:
            for stream in view.streams:
                stream.wake_if_unsent()
        if read:
            _lag.record(max(0.0, time.time() - (read[-1][1].revision >> 64) / 1000))

    def _deliver_rare(self, entry: Entry) -> None:
        if type(entry) is Names:
            view = self.tenants.get(entry.tenant_id)
            names = [name for name, _ in entry.names]
            for stream in view.streams if view else ():
                stream.watch.on_names(names)
                stream.look_up()
        elif type(entry) is Contact:
            now = _now()
            for contact in entry.contacts:
                view = self.tenants.get(contact.tenant_id)
                if view is not None:
                    view.heard(contact, now)
        elif type(entry) is Asked:
            self._answer(entry)
        elif type(entry) is Ended:
            view = self.tenants.get(entry.tenant_id)
            for stream in list(view.streams) if view else ():
                if not entry.key_id:
                    stream.end(_removed())
                elif stream.key_id == entry.key_id:
                    stream.end(_revoked(entry.key_id))

    def _answer(self, asked: Asked) -> None:
        """Say which suites watch somebody, when any does. Beside the fan-out, which does not wait for it."""
        view = self.tenants.get(asked.tenant_id)
        user = asked.user_id
        key_ids = {
            stream.key_id
            for stream in (view.streams if view else ())
            if (user is not None and stream.watch.watches_user(user)) or any(map(stream.watch.watches, asked.names))
        }
        if key_ids and len(self._answering) < _ANSWERS_AT_ONCE:
            said = EdgeSays(edge_id=self._edge_id, key_ids=tuple(sorted(key_ids)))
            task = asyncio.create_task(self._say(asked, said), name="hub-answer")
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _say(self, asked: Asked, said: EdgeSays) -> None:
        with suppress(RelayError):  # whoever asked says that not all have answered
            await self._explanations.edge_says(asked.tenant_id, asked.request_id, said)

    # --------------------------------------------------------------- history

    async def _check(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.history_check.total_seconds()):
                    await self._check_now.wait()
            self._check_now.clear()
            try:
                await self._checks.run()
                await self._repair()
            except StoreUnavailable as error:
                self._is_away(error)
                await asyncio.sleep(_RETRY_S)

    async def _find_position(self, partition: Partition) -> None:
        await self._checks.finish()  # it may be about this partition already
        if partition.position is None:
            await self._checks.run()

    async def _check_all(self) -> None:
        """Check all partitions in use; only to be run by `_checks`."""
        if self._partitions:
            for partition, finding in await self._history.examine(list(self._partitions.values())):
                if self._partitions.get(partition.number) is partition:
                    self._act(partition, finding)

    def _act(self, partition: Partition, finding: Finding) -> None:
        """Carry out what was found; no await between the finding and the new position."""
        position, old = finding.position, partition.position
        if position is None:
            return
        streams = [stream for view in partition.views for stream in view.streams]
        if finding.verdict is not Verdict.FIRST:
            for view in partition.views:
                view.void_holds()
        if finding.verdict is Verdict.LOST:
            _log.warning("history_lost", partition=partition.number, streams=len(streams))
            self._interest.distrust(view.tenant_id for view in partition.views)
            for stream in streams:
                stream.watch.reset(None)
        elif finding.verdict is Verdict.MISSED and old is not None:
            _log.info("changes_missed", partition=partition.number, streams=len(streams))
            for stream in streams:
                stream.watch.resync(old)
        partition.position, partition.gap = position, False
        partition.repair = finding.verdict is not Verdict.FIRST
        self._reader.set(partition.number, position.revision)
        for stream in streams:
            stream.look_up()
        if partition.repair:
            self._check_now.set()

    async def _repair(self) -> None:
        """What the entries that nobody read may have said: contact, and keys and tenants that ended."""
        for partition in [partition for partition in self._partitions.values() if partition.repair]:
            partition.repair = False
            try:
                views = list(partition.views)
                for start in range(0, len(views), _REPAIRS_AT_ONCE):
                    await asyncio.gather(*map(self._repair_view, views[start : start + _REPAIRS_AT_ONCE]))
            except BaseException:
                partition.repair = True
                raise

    async def _repair_view(self, view: TenantView) -> None:
        await self._fetch_contact(view)
        await self._check_keys(view)

    async def _fetch_contact(self, view: TenantView) -> None:
        known = view.contact
        kept = await self._presences.kept_contact(view.tenant_id)
        if kept is not None and view.contact is known:  # an entry that came meanwhile is newer
            view.heard_before(kept.contact, kept.ago_s, _now())

    async def _check_keys(self, view: TenantView) -> None:
        streams = list(view.streams)  # those of before: a key that is made while the list is read is not in it
        records = {key.key_id: key for key in await self._suite_keys.list(view.tenant_id)}
        for stream in streams:
            record = records.get(stream.key_id)
            if record is None:
                stream.end(_removed())
            elif record.revoked is not None:
                stream.end(_revoked(stream.key_id))

    def _is_away(self, error: StoreUnavailable) -> None:
        if not self._away:
            self._away = True
            _log.warning("store_unavailable", reason=str(error))

    def _is_back(self) -> None:
        self._away = False
        self._check_now.set()
        _log.info("store_back")

    # ------------------------------------------------------------- freshness

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            now = _now()
            for view in self.tenants.values():
                view.look_at(now)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _revoked(key_id: str) -> SuiteKeyRevoked:
    return SuiteKeyRevoked("This suite key was revoked", key_id=key_id)


def _removed() -> TenantRemoved:
    return TenantRemoved("The tenant of this suite key has left the relay")
