"""One suite's stream: its lifecycle from the first request to its end, and its suite's requests.

    reading task ──► names ──► interest ──► lookups ──► watch ◄── hub
                                                          │
    clocks: progress, age, drain, blocked writes ──► sender ──► the wire

The rules that decide which responses are sent are in `relay.core.watching.watch`. One task sends all responses. A
stream ends once, for one reason: see `Ending`.

The store may be unavailable at any time. A stream without its first snapshot is then refused; a stream that has begun
stays open and waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from relay.core.names import normalise
from relay.core.watching.watch import Watch
from relay.edge import encode, metrics, spans
from relay.edge.errors import Rebalanced, ShuttingDown
from relay.edge.requests import check_stream
from relay.edge.stream.clocks import Clocks, Due
from relay.edge.stream.ending import Ending
from relay.edge.stream.lookups import Lookups
from relay.edge.stream.sender import Sender
from relay.errors import RelayError, ResumeTokenOfAnotherTenant, SlowWatcher, StartExpected, StoreUnavailable
from relay.ops.clock import wait_any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grpc.aio import ServicerContext

    from relay.core.presence import Name, UserId
    from relay.edge.context import EdgeContext
    from relay.edge.hub.tenants import TenantView
    from relay.edge.open_calls import CallSlot
    from relay.edge.requests import ChangeRequest, Requests, StartRequest
    from relay.ops.clock import Timer
    from relay.store.custody.suite_key_records import KeyRecord
    from relay.wire.decode import PresenceOrigin

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_SLICE: Final = 1000
"""Names processed before other streams run: some 5 ms."""
_LAST_WRITE_S: Final = 1.0
"""Time for the write under way to complete when the stream ends, so that a response is not cut off."""


class Stream:
    """One open stream. `run` serves it to its end; all other methods are called while `run` is active.

    Attributes:
        watch: the rules of the stream.
        wake: makes the sender check whether there is something to send.
        wake_if_unsent: the same for new answers. (The sender's own method: the fan-out calls it for each stream.)
        measure: records the age of an answer when it is written.
        follow: continues the trace of an answer until it is written.
        opened_at: when the stream was opened, by the edge's clock.
    """

    def __init__(
        self,
        edge: EdgeContext,
        key: KeyRecord,
        slot: CallSlot,
        call: ServicerContext[bytes, bytes],
        requests: Requests,
    ) -> None:
        """Prepare a stream that is not open yet.

        Args:
            edge: parts that all streams of the edge use.
            key: the suite key that opens it, verified.
            slot: its place among its tenant's calls, or its wait for one.
            call: the gRPC call.
            requests: of the call, none of them read yet.
        """
        self.key_id = key.key_id
        self.tenant_id = key.tenant_id
        self.watch: Watch[bytes] = Watch(key.tenant_id, encode.pending_item)
        self.opened_at = edge.clock.monotonic()
        self._edge = edge
        self._key = key
        self._slot = slot
        self._call = call
        self._requests = requests
        self._ending = ending = Ending()
        self._budget = edge.budgets.of(key.key_id, ending.reached)
        self._clocks = clocks = Clocks(edge.settings)
        self._sender = sender = Sender(edge, self.watch, clocks, ending, call)
        self.measure: Callable[[UserId, PresenceOrigin], None] = sender.measure
        self.follow: Callable[[UserId, bytes], None] = sender.traces.follow
        self._lookups = Lookups(edge, self.watch, ending, sender.wake)
        self.wake: Callable[[], None] = sender.wake
        self.wake_if_unsent: Callable[[], None] = sender.wake_if_unsent
        self._start: asyncio.Future[StartRequest] = asyncio.get_running_loop().create_future()
        self._begun = asyncio.Event()  # the watch has its start: changes may be applied
        self._view: TenantView | None = None
        self._counted: list[Name] = []  # the number of the start's names that are counted so far
        self._is_counted = False  # all of its names are registered with the edge's interest
        self._timer: Timer | None = None
        ending.reached.add_done_callback(self._on_ending)

    # ------------------------------------------------------------------- life

    async def run(self) -> BaseException | None:
        """Serve the stream until it ends; return why, None when the suite half-closed it or is gone."""
        sending: asyncio.Task[None] | None = None
        try:
            self._edge.tasks.start(self._read(), "stream-read")
            view = await self._begin()
            if view is not None:
                sending = self._edge.tasks.start(self._sender.run(view), "stream-send")
                await asyncio.wait({self._ending.reached})
            return self._ending.reached.result()
        except RelayError as error:
            self.end(error)
            return self._ending.reached.result()
        finally:
            # A task of its own: gRPC may cancel the call while this waits, and the clean-up must complete.
            await asyncio.shield(self._edge.tasks.start(self._close(sending), "stream-close"))

    def end(self, error: BaseException | None) -> None:
        """End the stream; the first reason counts."""
        self._ending.reach(error)

    def look_up(self) -> None:
        """Look up names, if any wait for it."""
        self._lookups.look_up()

    def shut_down(self, *, after: float, leave_by: float) -> None:
        """Ask the suite to leave this process.

        Args:
            after: the earliest time, by the edge's clock.
            leave_by: the time by which the stream must have ended, unless that leaves too little time after `after`.
        """
        self._clocks.shut_down(after=after, leave_by=leave_by)
        self._on_timer()

    @property
    def is_leaving(self) -> bool:
        """Return whether the suite was asked to leave."""
        return self._clocks.is_leaving

    @property
    def is_writing(self) -> bool:
        """Return whether a write is under way."""
        return self._sender.writing_since > 0

    async def _begin(self) -> TenantView | None:
        """Process the start and join the hub; return None when the stream ended meanwhile."""
        with spans.OPEN.begins() as span:
            self._sender.traces.opened = span.carried
            span.note_tenant(self.tenant_id)
            view = await self._join()
            span.note("relay.users", len(self.watch))
            return view

    async def _join(self) -> TenantView | None:
        start = await self._whole_start()
        if start is None:
            return None
        self._edge.open_calls.claim(self._slot, start.instance_id, self.end)
        seen = self._edge.suites.note_use(self._key, start.client_name, start.client_version)
        self._edge.tasks.start(seen, "suite-key-touch")  # nothing awaits it
        await self._take_in(start)
        self._view = await self._edge.hub.join(self.tenant_id, self)
        await self._count_in_and_verify()
        self._clocks.begin(self._edge.clock.monotonic(), start.progress_interval)
        self._on_timer()
        self._begun.set()
        self._lookups.begin(self._view)
        _log.info(
            "stream_opened",
            tenant_id=self.tenant_id,
            key_id=self.key_id,
            client_name=start.client_name,
            client_version=start.client_version,
            users=len(self.watch),
            resumes=bool(start.token),
        )
        return None if self._ending.is_reached else self._view

    async def _whole_start(self) -> StartRequest | None:
        """Return the start when all its parts are there; None when the stream ended before."""
        wait_s = self._edge.settings.start_parts.total_seconds()
        either: set[asyncio.Future[Any]] = {self._start, self._ending.reached}
        # While the key's name budget is overdrawn, the edge causes the delay and not the suite.
        while not await wait_any(self._edge.clock, either, wait_s) and self._budget.has_waited():
            pass
        if self._ending.is_reached:
            return None
        if not self._start.done():
            raise StartExpected(f"The start did not arrive within {wait_s:g} s")
        return self._start.result()

    async def _take_in(self, start: StartRequest) -> None:
        """Process a start, letting other streams run in between. The hub does not know this stream yet."""
        try:
            self.watch.begin((), (), start.token)
        except ValueError:
            raise ResumeTokenOfAnotherTenant("The resume token was made for another tenant") from None
        for held in _slices(list(start.held.items())):
            self.watch.hold(held)
            self._sender.note_malformed(name for name, _ in held)
            await asyncio.sleep(0)
        for spellings in _slices(list(start.subscribe)):
            self.watch.subscribe(spellings)
            self._sender.note_malformed(spellings)
            await asyncio.sleep(0)

    async def _close(self, sending: asyncio.Task[None] | None) -> None:
        self.end(None)
        if self._view is not None:
            self._edge.hub.leave(self.tenant_id, self)
            self._view = None
        counted = list(self.watch.names) if self._is_counted else self._counted
        self._is_counted, self._counted = False, []
        await self._count_out(counted)
        if self._timer is not None:
            self._timer.cancel()
        await self._lookups.aclose()
        if sending is not None:
            # A write that does not complete ends with the call, and the task with it.
            await asyncio.wait({sending}, timeout=_LAST_WRITE_S)

    def _on_ending(self, _: object) -> None:
        self._begun.set()
        self._sender.release()

    # -------------------------------------------------------- names, counted

    async def _count_in_and_verify(self) -> None:
        """Count all names, and verify the key once more: a revocation before the stream joined would be missed."""
        again = self._edge.auth.verify_again(self._call.invocation_metadata() or ())
        verifying = asyncio.create_task(again, name="stream-verify")
        try:
            await self._count_in()
            await verifying
        finally:
            verifying.cancel()
            await asyncio.gather(verifying, return_exceptions=True)

    async def _count_in(self) -> None:
        """Register all names of the start with the edge's interest, letting other streams run in between."""
        for some in _slices(list(self.watch.names)):
            self._edge.interest.want(self.tenant_id, some)
            self._edge.watch_audit.want(self._key, some)
            self._counted += some
            await asyncio.sleep(0)
        await self._edge.interest.check_places(self.tenant_id)
        self._is_counted, self._counted = True, []

    async def _count_out(self, names: Sequence[Name]) -> None:
        for some in _slices(names):
            self._edge.interest.release(self.tenant_id, some)
            self._edge.watch_audit.release(self._key, some)
            await asyncio.sleep(0)

    # ---------------------------------------------------------------- reading

    async def _read(self) -> None:
        """Read requests until the stream ends.

        The task is not cancelled when the stream ends, because a cancelled read leaks in grpcio. It ends with the call.
        """
        try:
            self._start.set_result(await self._requests.start(self._budget))
            await self._begun.wait()
            while self._requests.may_follow and not self._ending.is_reached:
                change = await self._requests.change(self._budget)
                if change is None or self._ending.is_reached:
                    break
                await self._carry_out(change)
            if self._requests.may_follow:
                self.end(None)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.end(error)

    async def _carry_out(self, change: ChangeRequest) -> None:
        """Apply a change request, removals first, letting other streams run in between."""
        tenant_id, watch, interest, audit = self.tenant_id, self.watch, self._edge.interest, self._edge.watch_audit
        for spellings in _slices(change.unsubscribe):
            if self._ending.is_reached:
                return  # its names are being released
            before = {name for name in map(normalise, spellings) if name is not None and watch.watches(name)}
            watch.unsubscribe(spellings)
            interest.release(tenant_id, before)
            audit.release(self._key, before)
            await asyncio.sleep(0)
        # Counted between removals and additions, so that no response that counts it carries an earlier answer.
        watch.change((), ())
        for spellings in _slices(change.subscribe):
            if self._ending.is_reached:
                return
            new = {name for name in map(normalise, spellings) if name is not None and not watch.watches(name)}
            watch.subscribe(spellings)
            interest.want(tenant_id, new)
            audit.want(self._key, new)
            check_stream(len(watch), self._edge.settings)
            self._sender.note_malformed(spellings)
            await interest.check_places(tenant_id)
            await asyncio.sleep(0)
        if self._ending.is_reached:
            return
        self._lookups.look_up()
        self._sender.wake()
        await self._sender.room_for_malformed()

    # ------------------------------------------------------------------ clocks

    def _on_timer(self) -> None:
        now = self._edge.clock.monotonic()
        self._act(self._clocks.due(
            now, has_started=self._sender.has_started, writing_since=self._sender.writing_since
        ), now)  # fmt: skip
        if now >= self._clocks.progress_at:
            self._sender.wake()
        if self._timer is not None:
            self._timer.cancel()
        if not self._ending.is_reached:
            self._timer = self._edge.clock.call_at(self._clocks.next_after(now), self._on_timer)

    def _act(self, due: Due, now: float) -> None:
        match due:
            case Due.END_SHUTDOWN:
                self.end(ShuttingDown("This relay process is stopping"))
            case Due.END_REBALANCED:
                self.end(Rebalanced("Open another stream"))
            case Due.END_BLOCKED:
                blocked_s = self._edge.settings.blocked_write.total_seconds()
                metrics.SLOW_WATCHERS.add()
                self.end(SlowWatcher(f"One write was blocked for {blocked_s:g} s", f"{blocked_s:g}"))
            case Due.END_NOT_BEGUN:
                self.end(StoreUnavailable("The first snapshot could not be read"))
            case Due.LEAVE_SHUTDOWN | Due.LEAVE_REBALANCE:
                asked = self._clocks.leave(now, due)
                if asked is not None:
                    self._sender.ask_to_leave(*asked)
            case Due.NOTHING:
                pass


def _slices(names: Sequence[T]) -> Iterator[Sequence[T]]:
    return (names[start : start + _SLICE] for start in range(0, len(names), _SLICE))
