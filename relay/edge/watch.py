"""One suite's stream: names in, lookups, responses out.

    reading task ──► names ──► interest ──► lookup task ──► watch ◄── hub
                                                              │
    timer: progress, age, drain, blocked writes ──► sending task ──► the wire

The rules are in `relay.core.watching.watch`; nothing here decides what a suite is owed. One task sends everything: at once when the
stream was idle, with a pause between writes while it is busy, in which newer answers replace unsent ones. A stream ends once,
for one reason, whoever finds it first: `end`.

The store may be away at any time. Before the first snapshot the stream is then refused, later it stays open and waits.
"""

from __future__ import annotations

import asyncio
import math
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from presence_api.v1 import presence_service_pb2 as pb
from relay.core.names import normalise
from relay.core.presence import Status
from relay.core.watching.watch import Outcome, Snapshot, Watch
from relay.edge import encode
from relay.edge.errors import Rebalanced, ShuttingDown, forget_frames, is_expected
from relay.edge.history import vouched
from relay.edge.requests import check_stream
from relay.errors import RelayError, ResumeTokenOfAnotherTenant, SlowWatcher, StartExpected, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grpc.aio import ServicerContext

    from relay.core.presence import Name
    from relay.edge.open_calls import Place
    from relay.edge.requests import Change, Requests, WholeStart
    from relay.edge.shared import Shared
    from relay.edge.tenants import Freshness, TenantView
    from relay.store.custody.suite_keys import KeyRecord

_log = structlog.get_logger(__name__)

T = TypeVar("T")

DrainReason = pb.WatchPresenceResponse.Drain.Reason

_SLICE: Final = 1000
"""Names taken in before other streams get a turn: some 5 ms."""
_LOOKUP_NAMES: Final = 2000
"""Names of one snapshot: encoding them, Redis' own work and taking the snapshot in are some 5 ms each."""
_LEAST_WEIGHT: Final = 250
"""What a snapshot of few names counts for among those under way: it has a connection to the store all the same."""
_MAX_UNSENT_MALFORMED_CHARS: Final = 1 << 20
"""Malformed names that wait to be sent back. The suite's next request is not read before, so that one which sends and never
reads cannot fill memory."""
_FIRST_RETRY_S: Final = 0.05
_LAST_RETRY_S: Final = 1.0
_LEAST_DRAIN_S: Final = 0.25
"""So that a suite is told before it is sent away, also when its stream is busy."""
_BEAT_S: Final = 5.0
"""How often the timer looks at least; a blocked write is found that much later at most."""
_LAST_WRITE_S: Final = 1.0
"""For the write under way when the stream ends: an ending is not to cut a response that is going out."""


class Stream:
    """One open stream. `run` is its whole life; everything else is called while that runs."""

    def __init__(
        self,
        shared: Shared,
        key: KeyRecord,
        place: Place,
        context: ServicerContext[bytes, bytes],
        requests: Requests,
    ) -> None:
        """Make a stream that is not open yet.

        Args:
            shared: what all streams of the edge use.
            key: whose stream it is, verified.
            place: among its tenant's calls, or its wait for one.
            context: the call.
            requests: of the call, none of them read yet.
        """
        self.key_id = key.key_id
        self._key = key
        self._place = place
        self.tenant_id = key.tenant_id
        self.watch: Watch[bytes] = Watch(key.tenant_id, encode.pending_item)
        self._shared = shared
        self._settings = shared.settings
        self._context = context
        self._requests = requests
        self._loop = asyncio.get_running_loop()
        self.opened_at = self._loop.time()
        self._ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._pace = shared.paces.of(key.key_id, self._ended)
        self._start: asyncio.Future[WholeStart] = self._loop.create_future()
        self._begun = asyncio.Event()  # the watch knows its start: changes may be carried out
        self._malformed_sent = asyncio.Event()
        self._unsent_malformed_chars = 0
        self._view: TenantView | None = None
        self._is_counted = False  # its names are among those that the edge watches
        self._looking: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None  # of the sending task, when it has nothing to do
        self._timer: asyncio.TimerHandle | None = None
        self._interval = self._settings.progress_default
        self._started_sent = False
        self._told: Freshness | None = None
        self._progress_at = self._age_at = self._snapshot_by = self._leave_at = math.inf
        self._shutdown_at = self._shutdown_by = math.inf
        self._busy_until = self._writing_since = 0.0
        self._drain: tuple[timedelta, DrainReason.ValueType] | None = None  # to be sent
        self._drain_reason: DrainReason.ValueType | None = None

    # ------------------------------------------------------------------- life

    async def run(self) -> BaseException | None:
        """Serve the stream until it ends; returns why, None when the suite half-closed it."""
        sending: asyncio.Task[None] | None = None
        try:
            self._shared.background(self._read(), "stream-read")
            if await self._begin():
                sending = self._shared.background(self._send(), "stream-send")
                await asyncio.wait({self._ended})
            return self._ended.result()
        except RelayError as error:
            self.end(error)
            return self._ended.result()
        finally:
            await self._close(sending)

    def end(self, error: BaseException | None) -> None:
        """End the stream; the first reason counts."""
        if error is not None and is_expected(error):
            forget_frames(error)  # they hold this stream, which holds the error; nobody may come to refuse it any more
        if not self._ended.done():
            self._ended.set_result(error)
        self._begun.set()
        self._malformed_sent.set()
        self.wake()

    def shut_down(self, *, after: float, leave_by: float) -> None:
        """Ask the suite to leave this process.

        Args:
            after: not before this, by the loop's clock.
            leave_by: when the stream has ended at the latest, unless that leaves too little time after it.
        """
        self._shutdown_at, self._shutdown_by = after, leave_by
        self._on_timer()

    def _ask_to_leave(self, reason: DrainReason.ValueType, within_s: float) -> None:
        """Ask the suite to leave, and end the stream a little later."""
        if self._drain_reason is None:
            longest_s = max(_LEAST_DRAIN_S, within_s)
            delay_s = random.uniform(_LEAST_DRAIN_S, longest_s)  # noqa: S311 spreading, not secrecy
            self._drain = (timedelta(seconds=delay_s), reason)
            self._drain_reason = reason
            self._leave_at = self._loop.time() + delay_s
            self._on_timer()
            self.wake()

    async def _begin(self) -> bool:
        """Take in the start and join the hub; False when the stream ended meanwhile."""
        wait_s = self._settings.start_parts.total_seconds()
        either: set[asyncio.Future[Any]] = {self._start, self._ended}
        while True:
            done, _ = await asyncio.wait(either, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            # While the key's budget of names is overdrawn it is not the suite who lets us wait.
            if done or not self._pace.has_waited():
                break
        if self._ended.done():
            return False
        if not self._start.done():
            raise StartExpected(f"The start did not arrive within {wait_s:g} s")
        start = self._start.result()
        self._shared.open_calls.claim(self._place, start.instance_id, self.end)
        seen = self._shared.suites.seen(self._key, start.client_name, start.client_version)
        self._shared.background(seen, "suite-key-touch")  # nobody waits for it
        await self._take_in(start)
        self._view = await self._shared.hub.join(self.tenant_id, self)
        await self._count_in_and_verify()
        self._interval = start.progress_interval or self._settings.progress_default
        self._set_clocks()
        self._begun.set()
        self.look_up()
        _log.info(
            "stream_opened",
            tenant_id=self.tenant_id,
            key_id=self.key_id,
            client_name=start.client_name,
            client_version=start.client_version,
            users=len(self.watch),
            resumes=bool(start.token),
        )
        return not self._ended.done()

    async def _take_in(self, start: WholeStart) -> None:
        """Take in a start, other streams in between; the hub does not know this one yet."""
        try:
            self.watch.begin((), (), start.token)
        except ValueError:
            raise ResumeTokenOfAnotherTenant("The resume token was made for another tenant") from None
        for held in _slices(list(start.held.items())):
            self.watch.hold(held)
            self._note_malformed(name for name, _ in held)
            await asyncio.sleep(0)
        for spellings in _slices(list(start.subscribe)):
            self.watch.subscribe(spellings)
            self._note_malformed(spellings)
            await asyncio.sleep(0)

    async def _close(self, sending: asyncio.Task[None] | None) -> None:
        self.end(None)
        if self._view is not None:
            self._shared.hub.leave(self.tenant_id, self)
            self._view = None
        if self._is_counted:
            self._is_counted = False
            await self._count_out(list(self.watch.names))
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        if sending is not None:
            # A write that does not come to its end lasts as long as the call; the task ends with it.
            await asyncio.wait({sending}, timeout=_LAST_WRITE_S)

    async def _count_in_and_verify(self) -> None:
        """Have all names counted, and the key verified once more: its revocation before joining was heard by nobody."""
        again = self._shared.auth.verify_again(self._context.invocation_metadata() or ())
        verifying = self._loop.create_task(again, name="stream-verify")
        try:
            await self._count_in()
            await verifying
        finally:
            verifying.cancel()
            await asyncio.gather(verifying, return_exceptions=True)

    async def _count_in(self) -> None:
        """Have all names of the start among those that the edge watches, other streams in between."""
        names = list(self.watch.names)
        counted = 0
        try:
            for some in _slices(names):
                self._shared.interest.want(self.tenant_id, some)
                self._shared.watched.want(self._key, some)
                counted += len(some)
                await asyncio.sleep(0)
            await self._shared.interest.check_places(self.tenant_id)
        except BaseException:
            await self._count_out(names[:counted])
            raise
        self._is_counted = True

    async def _count_out(self, names: Sequence[Name]) -> None:
        for some in _slices(names):
            self._shared.interest.release(self.tenant_id, some)
            self._shared.watched.release(self._key, some)
            await asyncio.sleep(0)

    # ---------------------------------------------------------------- reading

    async def _read(self) -> None:
        """Read requests until the stream ends.

        Not cancelled when the stream ends, for a cancelled read leaks in grpcio: it ends with the call.
        """
        try:
            self._start.set_result(await self._requests.start(self._pace))
            await self._begun.wait()
            while self._requests.may_follow and not self._ended.done():
                change = await self._requests.change(self._pace)
                if change is None or self._ended.done():
                    break
                await self._carry_out(change)
            if self._requests.may_follow:
                self.end(None)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.end(error)

    async def _carry_out(self, change: Change) -> None:
        """Carry out a change request, removals first, other streams in between."""
        tenant_id, watch, interest, watched = self.tenant_id, self.watch, self._shared.interest, self._shared.watched
        for spellings in _slices(change.unsubscribe):
            if self._ended.done():
                return  # its names are being counted out
            before = {name for name in map(normalise, spellings) if name is not None and watch.watches(name)}
            watch.unsubscribe(spellings)
            interest.release(tenant_id, before)
            watched.release(self._key, before)
            await asyncio.sleep(0)
        # Counted between removals and additions: no response that counts it carries an answer from before.
        watch.change((), ())
        for spellings in _slices(change.subscribe):
            if self._ended.done():
                return
            new = {name for name in map(normalise, spellings) if name is not None and not watch.watches(name)}
            watch.subscribe(spellings)
            interest.want(tenant_id, new)
            watched.want(self._key, new)
            check_stream(len(watch), self._settings)
            self._note_malformed(spellings)
            await interest.check_places(tenant_id)
            await asyncio.sleep(0)
        if self._ended.done():
            return
        self.look_up()
        self.wake()
        while self._unsent_malformed_chars > _MAX_UNSENT_MALFORMED_CHARS and not self._ended.done():
            self._malformed_sent.clear()
            await self._malformed_sent.wait()

    def _note_malformed(self, spellings: Iterable[str]) -> None:
        self._unsent_malformed_chars += sum(len(name) for name in spellings if normalise(name) is None)

    # ---------------------------------------------------------------- lookups

    def look_up(self) -> None:
        """Look names up if any are to be, and nobody does so already."""
        if self._looking is None and self._is_counted and self.watch.wants_lookup and not self._ended.done():
            self._looking = self._shared.background(self._look_up(), "stream-look-up")

    async def _look_up(self) -> None:
        retry_s = _FIRST_RETRY_S
        try:
            while self.watch.wants_lookup:
                try:
                    used = await self._read_snapshot()
                except StoreUnavailable:
                    used = False
                if used:
                    retry_s = _FIRST_RETRY_S
                    self.wake()
                else:
                    await asyncio.sleep(retry_s * random.uniform(0.5, 1))  # noqa: S311 spreading, not secrecy
                    retry_s = min(2 * retry_s, _LAST_RETRY_S)
        except Exception as error:
            self.end(error)
        finally:
            self._looking = None

    async def _read_snapshot(self) -> bool:
        """Read one snapshot and take it in; False when it could not be used and should be read again a little later."""
        shared, tenant_id, view = self._shared, self.tenant_id, self._view
        asked = self.watch.next_lookups(_LOOKUP_NAMES)
        await shared.interest.sync(tenant_id, asked)  # the worker must know of a name before its snapshot counts
        if view is None or not shared.hub.is_whole(tenant_id):
            await shared.hub.check(tenant_id)
            return False
        weight = max(_LEAST_WEIGHT, len(asked))
        async with view.lookups.taken(weight), shared.lookups.taken(weight):
            if not self.watch.wants_lookup:
                return True  # unsubscribed while waiting for its turn
            names = self.watch.take_lookups(asked)
            with shared.hub.hold(view) as hold:
                try:
                    snapshot, is_vouched = await self._snapshot(names)
                except BaseException:
                    if not hold.void:
                        self.watch.put_back()
                    raise
            # No await from here on: what the hub reads next comes after the snapshot.
            if hold.void:
                return True  # the names are waiting to be looked up again
            position = shared.hub.position(tenant_id)
            if position is not None and snapshot.epoch == position.epoch and is_vouched:
                self.watch.apply(snapshot, hold.missed, position)
                return True
            self.watch.put_back()
        await shared.hub.check(tenant_id)
        return False

    async def _snapshot(self, names: Sequence[Name]) -> tuple[Snapshot[bytes], bool]:
        """What the store knows of the names, and whether its epoch is of the history that its server has."""
        if not names:
            return await self._shared.empty_snapshot(self.tenant_id), True
        found = await self._shared.presences.snapshot(self.tenant_id, names)
        if found.epoch is None:
            raise StoreUnavailable("No worker has taken this partition yet")
        if found.is_held_back:
            raise StoreUnavailable("Whom suites may watch was changed, and the worker has not carried it out yet")
        return Snapshot(found.last, found.epoch, found.names, found.answers), vouched(found.epoch, found.replid)

    # ---------------------------------------------------------------- sending

    def wake(self) -> None:
        """There is something to send."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def wake_if_unsent(self) -> None:
        """There may be answers to send. Called for every stream of a tenant with changes: cheap when there are none."""
        if self._waiter is not None and self.watch.outbox.values:
            self.wake()

    async def _send(self) -> None:
        """Send until the stream ends. Not cancelled: a write that is cut off leaks in grpcio."""
        try:
            while not self._ended.done():
                if self._is_due():
                    await self._pause()
                    if not await self._write_all(self._responses()):
                        await asyncio.sleep(self._settings.linger.total_seconds())  # never spin
                else:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                    self._waiter = None
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.end(error)  # too late to count when the call is over, which is why most writes fail

    def _is_due(self) -> bool:
        if self.watch.has_unsent:
            return True
        if not self._started_sent or self._view is None:
            return False
        return self._view.told != self._told or self._drain is not None or self._loop.time() >= self._progress_at

    async def _pause(self) -> None:
        wait_s = self._busy_until - self._loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _write_all(self, responses: list[bytes]) -> bool:
        for response in responses:
            if self._ended.done():
                return True
            self._writing_since = self._loop.time()
            await self._context.write(response)
            self._writing_since = 0.0
        now = self._loop.time()
        if responses:
            self._set_progress(now)
        # With more to send right away (a snapshot, a suite that was slow) there is nothing to wait for.
        self._busy_until = 0.0 if self.watch.outbox.values else now + self._settings.linger.total_seconds()
        return bool(responses)

    def _responses(self) -> list[bytes]:
        """What is to be sent now, in order. Sending must follow: it is taken out of the watch."""
        view, watch = self._view, self.watch
        position = self._shared.hub.position(self.tenant_id)
        if view is None or position is None:
            return []
        responses: list[bytes] = []
        batches: list[bytes] = []
        if watch.has_unsent:
            take = watch.take(encode.MAX_BATCH_ITEMS, position)
            batches = list(encode.batches(take, take.token.encode() if take.token else ""))
            self._shared.counts.sent(len(take.answers), len(batches))
            if take.started is not None:
                responses.append(self._begin_telling(take.started))
            if len(take.resolved) < encode.MAX_BATCH_ITEMS:
                self._unsent_malformed_chars = 0
                self._malformed_sent.set()
        if self._started_sent:
            responses += self._tidings(view, batches)
        else:
            responses += batches
        if not responses and self._loop.time() >= self._progress_at:
            token = watch.current_token(position)
            freshness = view.told
            text = token.encode() if token else ""
            responses.append(encode.progress(view.contact_ms, freshness.interval_ms, text, watch.changes_seen))
        return responses

    def _begin_telling(self, outcome: Outcome) -> bytes:
        self._started_sent = True
        self._shared.counts.began(outcome)
        return encode.started(outcome, self._interval, self.watch.changes_seen)

    def _tidings(self, view: TenantView, batches: list[bytes]) -> Iterator[bytes]:
        """Answers, and what is said beside them: that all is well again only after the last answer, for it vouches for what the suite shows."""
        is_relief = self._told is not None and view.told.status is Status.NONE is not self._told.status
        if not is_relief:
            yield from self._state(view)
        if self._drain is not None:
            delay, reason = self._drain
            self._drain = None
            yield encode.drain(delay, reason, self.watch.changes_seen)
        yield from batches
        if is_relief and not self.watch.has_unsent:
            yield from self._state(view)

    def _state(self, view: TenantView) -> Iterator[bytes]:
        if view.told != self._told:
            told = self._told = view.told
            yield encode.tenant_status(told.status, view.contact_ms, told.interval_ms, self.watch.changes_seen)

    # ------------------------------------------------------------------ timer

    def _set_clocks(self) -> None:
        now = self._loop.time()
        # Whoever is asked to leave must not land on the same connection: by then it takes no new stream.
        age_s = max(self._settings.max_stream_age, 2 * self._settings.connection_age).total_seconds()
        self._age_at = now + age_s * random.uniform(0.9, 1.1)  # noqa: S311 spreading, not secrecy
        self._snapshot_by = now + self._settings.begin_within.total_seconds()
        self._set_progress(now)
        self._on_timer()

    def _set_progress(self, now: float) -> None:
        self._progress_at = now + self._interval.total_seconds() * random.uniform(0.9, 1.1)  # noqa: S311

    def _on_timer(self) -> None:
        now = self._loop.time()
        self._judge_clocks(now)
        if now >= self._progress_at:
            self.wake()
        spans = (self._interval, self._settings.blocked_write / 4)
        beat_s = min(_BEAT_S, *(span.total_seconds() for span in spans))
        clocks = (self._progress_at, self._leave_at, self._age_at, self._shutdown_at, self._snapshot_by)
        due = [at for at in clocks if at > now]
        if self._timer is not None:
            self._timer.cancel()
        if not self._ended.done():
            self._timer = self._loop.call_at(min(now + beat_s, *due), self._on_timer)

    def _judge_clocks(self, now: float) -> None:
        blocked_s = self._settings.blocked_write.total_seconds()
        if now >= self._leave_at:
            shutdown = self._drain_reason == DrainReason.REASON_SHUTDOWN
            self.end(ShuttingDown("This relay process stops") if shutdown else Rebalanced("Open another stream"))
        elif self._writing_since and now - self._writing_since > blocked_s:
            self._shared.counts.slow()
            self.end(SlowWatcher(f"One write was blocked for {blocked_s:g} s", f"{blocked_s:g}"))
        elif not self._started_sent and now >= self._snapshot_by:
            self.end(StoreUnavailable("The first snapshot could not be read"))
        elif now >= self._shutdown_at:
            self._ask_to_leave(DrainReason.REASON_SHUTDOWN, self._shutdown_by - now)
        elif now >= self._age_at:
            self._ask_to_leave(DrainReason.REASON_REBALANCE, self._settings.drain_delay.total_seconds())


def _slices(names: Sequence[T]) -> Iterator[Sequence[T]]:
    return (names[start : start + _SLICE] for start in range(0, len(names), _SLICE))
