"""Sends all responses of one stream, by one task: at once when the stream was idle, with a pause between writes when busy.

During that pause newer answers replace unsent ones. The sender takes a response from the watch at the last moment, so
that it carries the newest answers and their resume token.

The hub calls `wake_if_unsent` for every stream of a tenant that has new answers. It costs two attribute reads while the task writes.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

import grpc

from relay.core.names import normalise
from relay.core.presence import Status
from relay.edge import encode, metrics
from relay.edge.stream.traced import TracedWrites

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grpc.aio import ServicerContext

    from relay.core.presence import UserId
    from relay.core.watching.values import StartOutcome
    from relay.core.watching.watch import Watch
    from relay.edge.context import EdgeContext
    from relay.edge.hub.tenants import Freshness, TenantView
    from relay.edge.stream.clocks import Clocks, DrainReason
    from relay.edge.stream.ending import Ending
    from relay.wire.decode import PresenceOrigin

_MOST_UNSENT_MALFORMED_CHARS: Final = 1 << 20
"""Limit of malformed names that wait to be sent back. Above it the suite's next request is not read, so that a suite
that sends and never reads cannot fill memory."""


class Sender:
    """Sends the responses of one stream.

    Attributes:
        has_started: whether the `started` response was sent.
        writing_since: when the write under way began, by the edge's clock; 0 without one.
        traces: the traced answers among those to be sent.
    """

    def __init__(
        self,
        edge: EdgeContext,
        watch: Watch[bytes],
        clocks: Clocks,
        ending: Ending,
        call: ServicerContext[bytes, bytes],
    ) -> None:
        self.has_started = False
        self.writing_since = 0.0
        self._edge = edge
        self._clock = edge.clock
        self._linger_s = edge.settings.linger.total_seconds()
        self._watch = watch
        self._clocks = clocks
        self._ending = ending
        self._call = call
        self._view: TenantView | None = None
        self._waiter: asyncio.Future[None] | None = None  # the task waits for it when it has nothing to do
        self._sent_freshness: Freshness | None = None
        self._vouched_ms = 0
        self._drain: tuple[float, DrainReason.ValueType] | None = None  # to be sent
        self._busy_until = 0.0
        self._measured: tuple[UserId, PresenceOrigin] | None = None
        self.traces = TracedWrites()
        self._unsent_malformed_chars = 0
        self._malformed_sent = asyncio.Event()

    # ----------------------------------------------------------------- waking

    def wake(self) -> None:
        """Check whether there is something to send."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def wake_if_unsent(self) -> None:
        """Send new answers, if there are any. Called for every stream of a tenant with changes: cheap when there are none."""
        if self._waiter is not None and self._watch.outbox.values:
            self.wake()

    def ask_to_leave(self, within_s: float, reason: DrainReason.ValueType) -> None:
        """Send a `drain`: the stream ends after `within_s` seconds."""
        self._drain = within_s, reason
        self.wake()

    def measure(self, user_id: UserId, origin: PresenceOrigin) -> None:
        """Record the age of this user's answer when it is written, unless another answer is being measured."""
        self._measured = self._measured or (user_id, origin)

    # ------------------------------------------------------- malformed names

    def note_malformed(self, spellings: Iterable[str]) -> None:
        """Count the characters of the names among these that will be sent back as malformed."""
        self._unsent_malformed_chars += sum(len(name) for name in spellings if normalise(name) is None)

    async def room_for_malformed(self) -> None:
        """Return when few enough malformed names wait to be sent back, or the stream has ended."""
        while self._unsent_malformed_chars > _MOST_UNSENT_MALFORMED_CHARS and not self._ending.is_reached:
            self._malformed_sent.clear()
            await self._malformed_sent.wait()

    # ---------------------------------------------------------------- sending

    async def run(self, view: TenantView) -> None:
        """Send until the stream ends. Must not be cancelled: a cancelled write leaks in grpcio."""
        self._view = view
        try:
            await self._call.send_initial_metadata((("date", format_datetime(self._clock.wall(), usegmt=True)),))
            while not self._ending.is_reached:
                if self._is_due():
                    await self._pause()
                    if not await self._write_all(self._responses(view)):
                        await self._clock.sleep(self._linger_s)  # never spin
                else:
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
                    self._waiter = None
        except asyncio.CancelledError:
            raise
        except grpc.aio.InternalError:
            # The call is over, and the reading task has not noticed yet. No client is left to receive a reason.
            self._ending.reach(None)
        except Exception as error:
            self._ending.reach(error)

    def release(self) -> None:
        """Release everything that waits for the sender, because the stream has ended."""
        self.traces.stop()
        self._malformed_sent.set()
        self.wake()

    def _is_due(self) -> bool:
        if self._watch.has_unsent:
            return True
        if not self.has_started or self._view is None:
            return False
        told = self._view.told
        is_news = told != self._sent_freshness and (told.status is not Status.NONE or self._watch.is_caught_up)
        return is_news or self._drain is not None or self._clock.monotonic() >= self._clocks.progress_at

    async def _pause(self) -> None:
        wait_s = self._busy_until - self._clock.monotonic()
        if wait_s > 0:
            await self._clock.sleep(wait_s)

    async def _write_all(self, responses: list[bytes]) -> bool:
        begun = time.monotonic() if self.traces.waiting else 0.0
        for response in responses:
            if self._ending.is_reached:
                return True
            self.writing_since = self._clock.monotonic()
            await self._call.write(response)
            self.writing_since = 0.0
        now = self._clock.monotonic()
        if responses:
            self._clocks.wrote(now)
            if self._measured is not None:
                self._record_age(*self._measured)
            if begun:
                self.traces.written(self._watch.outbox.values, begun)
        # With more to send at once (a snapshot, a suite that was slow) no pause is needed.
        self._busy_until = 0.0 if self._watch.outbox.values else now + self._linger_s
        return bool(responses)

    def _record_age(self, user_id: UserId, origin: PresenceOrigin) -> None:
        if user_id in self._watch.outbox.values:
            return  # sent with a later response
        age_s = self._clock.wall().timestamp() - origin.observed_s
        metrics.ANSWER_AGE.record(max(0.0, age_s), origin.source.name.lower())
        self._measured = None

    def _responses(self, view: TenantView) -> list[bytes]:
        """Return the responses to send now, in order. The caller must send them: they are removed from the watch here."""
        watch = self._watch
        position = self._edge.hub.position(watch.tenant_id)
        if position is None or self._ending.is_reached:
            return []
        responses: list[bytes] = []
        batches: list[bytes] = []
        if watch.has_unsent:
            take = watch.take(encode.MAX_BATCH_ITEMS, position)
            batches = list(encode.batches(take, take.token.encode() if take.token else ""))
            metrics.DELIVERIES.add(len(take.answers))
            metrics.BATCHES.add(len(batches))
            if take.conflated:
                metrics.CONFLATED.add(take.conflated)
            if take.started is not None:
                responses.append(self._started_response(take.started))
            if len(take.resolved) < encode.MAX_BATCH_ITEMS:
                self._unsent_malformed_chars = 0
                self._malformed_sent.set()
        if self.has_started:
            responses += self._status_responses(view, batches)
        else:
            responses += batches
        if not responses and self._clock.monotonic() >= self._clocks.progress_at:
            token = watch.current_token(position)
            freshness = view.told
            text = token.encode() if token else ""
            responses.append(encode.progress(self._contact_ms(view), freshness.interval_ms, text, watch.changes_seen))
        return responses

    def _started_response(self, outcome: StartOutcome) -> bytes:
        self.has_started = True
        metrics.STARTS.add(1, outcome.name.lower())
        return encode.started(outcome, self._clocks.interval, self._watch.changes_seen)

    def _status_responses(self, view: TenantView, batches: list[bytes]) -> Iterator[bytes]:
        """Yield answers and the tenant's status.

        The status that all is well comes after the last answer, because it applies to everything that the suite shows.
        """
        is_well = view.told.status is Status.NONE
        if not is_well:
            yield from self._tenant_status(view)
        if self._drain is not None:
            within_s, reason = self._drain
            self._drain = None
            yield encode.drain(timedelta(seconds=within_s), reason, self._watch.changes_seen)
        yield from batches
        if is_well and self._watch.is_caught_up:
            yield from self._tenant_status(view)

    def _tenant_status(self, view: TenantView) -> Iterator[bytes]:
        if view.told != self._sent_freshness:
            sent = self._sent_freshness = view.told
            yield encode.tenant_status(sent.status, self._contact_ms(view), sent.interval_ms, self._watch.changes_seen)

    def _contact_ms(self, view: TenantView) -> int:
        """Return the newest contact time that covers all answers sent so far, in milliseconds since 1970; 0 for none."""
        if self._watch.is_caught_up:
            self._vouched_ms = view.contact_ms
        return self._vouched_ms
