"""The owner's answers to questions about one user, from state that only this process has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.store.presence import hints
from relay.store.presence.explanations import OwnerAnswer
from relay.worker.reads.schedule import ReadSchedule

if TYPE_CHECKING:
    from relay.core.presence import TenantId
    from relay.worker.context import Resources
    from relay.worker.grants.pool import GrantPool
    from relay.worker.ownership import Ownership
    from relay.worker.push.subscriber import Subscriber
    from relay.worker.reads.schedule import Scheduler
    from relay.worker.tenant.books import Books
    from relay.worker.tenant.trouble import TroubleLog


class Explainer:
    """Explains the state of one tenant's users. It changes nothing."""

    def __init__(
        self,
        tenant_id: TenantId,
        resources: Resources,
        ownership: Ownership,
        books: Books,
        schedule: Scheduler,
        pool: GrantPool,
        subscriber: Subscriber | None,
        trouble: TroubleLog,
    ) -> None:
        self._tenant_id = tenant_id
        self._resources = resources
        self._ownership = ownership
        self._names = books.names
        self._wanted = books.wanted
        self._schedule = schedule
        self._pool = pool
        self._subscriber = subscriber
        self._trouble = trouble

    async def answer(self, asked: hints.Explain, *, is_tenant_read: bool) -> None:
        """Store the answer to one request.

        Args:
            asked: the request, about a user or about names.
            is_tenant_read: whether the tenant's users are read.
        """
        user = asked.user_id or self._names.find_user(asked.names)
        names = set(self._names.names_of(user)) if user is not None else set(asked.names)
        now = self._resources.clock.monotonic()
        schedule = self._schedule.of(user, now) if user is not None else ReadSchedule()
        covering = self._subscriber.covering(user) if self._subscriber is not None and user is not None else None
        answer = OwnerAnswer(
            worker_id=self._resources.worker_id,
            user_id=user or "",
            names=tuple(sorted(names)[: hints.MAX_NAMES]),
            edges=tuple(sorted(self._wanted.edges_of(names))),
            is_read=is_tenant_read and schedule.next_read_s is not None,
            is_covered=schedule.is_covered,
            next_read_s=schedule.next_read_s,
            confirmed_s=schedule.confirmed_s,
            interval_s=schedule.interval_s,
            set_aside_s=schedule.set_aside_s,
            reading_account=self._pool.reading or "",
            covering_account=covering[0] if covering is not None else "",
            covered_until_ms=int(covering[1].timestamp() * 1000) if covering is not None else 0,
            trouble=self._trouble.text,
        )
        lease = self._ownership.lease
        await self._resources.explanations.answer_as_owner(lease, self._tenant_id, asked.request_id, answer)
