"""Opens, judges and accepts the notifications of one tenant. The watchdogs judge whether notifications arrive at all.

    hint ──► put ──► take_in ──► Opening ──► Watchdog.announced ──► judge_notifications ──┬─► accept ──► Watchdog.confirmed
                                                                                         └─► unsure: read soon
    read ──► judge_read ──► Watchdog.found: a change that nothing announced

A notification is accepted directly if it is certainly newer than everything known. Otherwise its user is read, together
with other users who were announced at about the same time.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import structlog

from relay.core.presence import Source
from relay.core.push import subscription as rules
from relay.errors import RelayError
from relay.ops.span import carried
from relay.worker import spans
from relay.worker.metrics import CHANGED
from relay.worker.push.metrics import NOTIFICATIONS
from relay.worker.push.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from relay.core.presence import Observation, TenantId, UserId
    from relay.store.presence.hints import Notified
    from relay.worker.context import Resources
    from relay.worker.ownership import Ownership
    from relay.worker.push.subscriber import Subscriber
    from relay.worker.reads.answers import AnswerBook
    from relay.worker.reads.page_hashes import SeenPages
    from relay.worker.reads.reader import ReadResult
    from relay.worker.reads.schedule import Scheduler

log = structlog.get_logger(__name__)


class Announcements:
    """Processes Graph's notifications in order. The caller runs `take_in` when `put` returns True."""

    def __init__(
        self,
        tenant_id: TenantId,
        resources: Resources,
        ownership: Ownership,
        *,
        subscriber: Subscriber,
        opening: Opening,
        schedule: Scheduler,
        answers: AnswerBook,
        seen: SeenPages,
    ) -> None:
        self._tenant_id = tenant_id
        self._clock = resources.clock
        self._ownership = ownership
        self._book = subscriber.book
        self._coverage = subscriber.coverage
        self._opening = opening
        self._schedule = schedule
        self._answers = answers
        self._seen = seen

    def put(self, hint: Notified) -> bool:
        """Queue notifications; return whether to start `take_in`."""
        return self._opening.put(hint)

    @property
    def is_taken_in(self) -> bool:
        """True if no notification waits to be opened."""
        return self._opening.is_empty

    async def take_in(self) -> None:
        """Open and accept the queued notifications; return when none is left.

        Raises:
            StoreUnavailable, LeaseLost, HistoryLost: some answers were not stored; their users are read instead.
        """
        async with aclosing(self._opening.take()) as taken:
            async for hint in taken:
                with spans.TAKE_IN.follows(hint.trace) as span:
                    span.note("relay.notifications", len(hint.items))
                    span.note_tenant(self._tenant_id)
                    observations, contentless = await self._opening.open(hint)
                    span.note("relay.opened", len(observations))
                    self._note_announced(hint.route_id, {*contentless, *(one.user_id for one in observations)})
                    moved = await self._accept(observations, contentless)
                    self._coverage.note_moved(moved)
                    self._confirm(moved)

    def judge_read(self, result: ReadResult) -> None:
        """Judge an accepted read: changes that no notification announced count against the subscription."""
        now = self._clock.monotonic()
        self._coverage.note_read(result.users, result.moved)
        for user in result.moved:
            grant = self._book.responsible_for(user)
            if grant is None:
                continue
            if user in result.announced:
                grant.watchdog.confirmed(1, now)
            elif user in grant.read:
                grant.watchdog.found([user], now)
        for grant in self._book:
            held = grant.standing.held
            if held is not None and len(grant.read) < len(held.users):
                grant.read.update(set(held.users).intersection(result.users))

    def _note_announced(self, route_id: str, users: set[UserId]) -> None:
        grant = self._book.at(route_id)
        if grant is None or not users:
            return
        grant.watchdog.announced(users, self._clock.monotonic())
        if grant.standing.is_suspect:
            grant.standing = rules.heard(grant.standing)
            log.info("notifications_resumed", tenant_id=self._tenant_id, account_id=grant.account_id)
            self._book.refresh()
            self._schedule.cover(self._book.covered)

    def _confirm(self, moved: Iterable[UserId]) -> None:
        now = self._clock.monotonic()
        for user in moved:
            if (grant := self._book.responsible_for(user)) is not None:
                grant.watchdog.confirmed(1, now)

    async def _accept(self, observations: Collection[Observation], contentless: Collection[UserId]) -> list[UserId]:
        """Accept observations that are certainly newer, and have other users read; return the users whose state changed.

        Args:
            observations: observations of users, in the order of arrival.
            contentless: users of notifications without content.
        """
        # Users who are being read are read again: the order of read and notification is not known.
        held = self._schedule.plan.hold(dict.fromkeys(one.user_id for one in observations))
        try:
            return await self._accept_held(observations, set(held), contentless)
        finally:
            self._schedule.plan.let_go(held)

    async def _accept_held(
        self, observations: Collection[Observation], held: set[UserId], contentless: Collection[UserId]
    ) -> list[UserId]:
        lease, epoch = self._ownership.lease, self._ownership.epoch
        order = self._answers.next_order(lease)
        decision = self._answers.judge_notifications(one for one in observations if one.user_id in held)
        changed = decision.changed
        moved = self._answers.moved(changed)
        busy = [one.user_id for one in observations if one.user_id not in held]
        self._read_soon([*contentless, *decision.unsure, *busy])
        try:
            refused = await self._answers.accept(lease, epoch, order, changed, Source.NOTIFICATION, seen=decision.seen)
        except RelayError:
            self._read_soon(changed)
            raise
        self._seen.forget(changed)
        self._read_soon(refused)
        if changed:
            NOTIFICATIONS.add(len(changed) - len(refused), "accepted")
            CHANGED.add(len(changed) - len(refused))
        NOTIFICATIONS.add(max(0, len(held) - len(changed) - len(decision.unsure)), "unchanged")
        return [user for user in moved if user not in refused]

    def _read_soon(self, users: Iterable[UserId]) -> None:
        if read := self._schedule.mark_announced(users, carried()):
            NOTIFICATIONS.add(read, "read")
