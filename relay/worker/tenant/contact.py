"""The contact of one tenant: the time since which Graph has confirmed everything shown, and the status that suites are sent of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.core.presence import Status
from relay.ops.cadence import Cadence
from relay.ops.turns import in_slices
from relay.store.presence.entries import TenantContact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.core.presence import TenantId, UserId
    from relay.worker.contacts import ContactWriter
    from relay.worker.context import Resources
    from relay.worker.reads.answers import AnswerBook
    from relay.worker.reads.schedule import Scheduler
    from relay.worker.tenant.names import NameBook

_STALE_GRACE_S: Final = 2.0
"""Grace after the intervals that make a tenant stale; edges wait as long (`EdgeSettings.stale_grace`)."""


class Contact:
    """Reports the tenant's contact to the edges. Contact that has not moved never seems to."""

    def __init__(
        self,
        tenant_id: TenantId,
        resources: Resources,
        contacts: ContactWriter,
        schedule: Scheduler,
        names: NameBook,
        status: Status,
    ) -> None:
        """Begin with `status`, which is reported no sooner than something happens."""
        self._tenant_id = tenant_id
        self._settings = resources.settings
        self._presences = resources.presences
        self._clock = resources.clock
        self._store_clock = resources.store_clock
        self._contacts = contacts
        self._schedule = schedule
        self._names = names
        self._status = status
        self._reported = status
        self._heartbeat = Cadence(resources.settings.heartbeat.total_seconds())
        self._last: tuple[float | None, int] = (None, 0)  # the oldest confirmation, and when that was, as reported last
        self._inherited_interval_s = 0.0

    async def inherit(self, users: Iterable[UserId], answers: AnswerBook) -> None:
        """Take over the contact of an earlier owner: the presences of these users are that old, until Graph confirms them again."""
        contact = await self._presences.contact_of(self._tenant_id)
        contact_ms = contact.contact_ms if contact is not None else 0
        ago_s = max(0.0, self._store_clock.now_s() - contact_ms / 1000)
        at = self._clock.monotonic() - ago_s if contact_ms else float("-inf")
        self._inherited_interval_s = contact.interval_ms / 1000 if contact is not None else 0.0
        shown: list[UserId] = []
        async for some in in_slices(users):
            shown += filter(answers.has_presence, some)
        self._schedule.plan.inherit(shown, at)
        # Where pages were handed over, their oldest confirmation is what that contact time is of.
        self._last = (self._schedule.plan.oldest_confirmation, contact_ms)

    @property
    def reported(self) -> Status:
        """The status that the edges were told last."""
        return self._reported

    @property
    def age_s(self) -> float | None:
        """The age of the contact time that the edges were told last, by the store's clock; None when there was none."""
        _, told_ms = self._last
        return max(0.0, self._store_clock.now_s() - told_ms / 1000) if told_ms else None

    @property
    def is_idle(self) -> bool:
        """True if nobody is read and no name asked for: then nothing needs to be confirmed."""
        return self._schedule.reads_nobody and self._names.is_idle

    def beats(self, now: float) -> bool:
        """Return whether the contact is to be reported again although nothing happened, and begin to wait for the next time."""
        return self._heartbeat.take(now)

    def report(self, status: Status | None = None) -> None:
        """Report the tenant's status; None: the one of before, again."""
        self._status = self._status if status is None else status
        is_stale = self._status is Status.NONE and self._shows_old_presence()
        reported = Status.STALE if is_stale else self._status
        urgent, self._reported = reported is not self._reported, reported
        interval_ms = int(self._schedule.longest_interval(self._clock.monotonic()) * 1000)
        beat_ms = int(self._settings.heartbeat.total_seconds() * 1000)
        contact = TenantContact(self._tenant_id, self._contact_ms(), interval_ms, reported, beat_ms)
        self._contacts.put(contact, urgent=urgent)

    def _shows_old_presence(self) -> bool:
        """Return whether presence of an earlier owner is shown that is stale by now, and not confirmed to this one."""
        now, inherited_at = self._clock.monotonic(), self._schedule.plan.inherited_at
        interval_s = max(self._inherited_interval_s, self._schedule.longest_interval(now))
        limit_s = self._settings.stale_after_intervals * interval_s + _STALE_GRACE_S
        return inherited_at is not None and now - inherited_at > limit_s

    def _contact_ms(self) -> int:
        """Return since when all that is held is confirmed by Graph, as ms since 1970; 0 when it never was."""
        oldest = self._schedule.plan.oldest_confirmation
        if oldest is None and self.is_idle:
            # A tenant in trouble has no contact either.
            return self._wall_ms(None) if self._status is Status.NONE else 0
        return self._last[1] if oldest is None else self._wall_ms(oldest)

    def _wall_ms(self, at: float | None) -> int:
        """Convert an instant of the monotonic clock to ms since 1970; None: now.

        The same instant is the same whenever it is asked for, because contact that has not moved must not seem to.
        """
        if at is None or self._last[0] != at:
            ago_s = 0.0 if at is None else self._clock.monotonic() - at
            wall_s = self._store_clock.now_s()
            self._last = (at, max(0, int((wall_s - min(ago_s, wall_s)) * 1000)))
        return self._last[1]
