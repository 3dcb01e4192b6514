"""The contact of one tenant: the time since which Graph has confirmed everything shown, and the status that suites get."""

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
"""Extra time after the intervals that make a tenant stale; edges wait as long (`EdgeSettings.stale_grace`)."""


class Contact:
    """Reports the tenant's contact to the edges. The reported time moves only with a new confirmation."""

    def __init__(
        self,
        tenant_id: TenantId,
        resources: Resources,
        contacts: ContactWriter,
        schedule: Scheduler,
        names: NameBook,
        status: Status,
    ) -> None:
        """Begin with `status`; the first event reports it."""
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
        self._last: tuple[float | None, int] = (None, 0)  # last reported confirmation, and its ms since 1970
        self._inherited_interval_s = 0.0

    async def inherit(self, users: Iterable[UserId], answers: AnswerBook) -> None:
        """Take over the contact time of an earlier owner for the presences of these users, until Graph confirms them again."""
        contact = await self._presences.contact_of(self._tenant_id)
        contact_ms = contact.contact_ms if contact is not None else 0
        ago_s = max(0.0, self._store_clock.now_s() - contact_ms / 1000)
        at = self._clock.monotonic() - ago_s if contact_ms else float("-inf")
        self._inherited_interval_s = contact.interval_ms / 1000 if contact is not None else 0.0
        shown: list[UserId] = []
        async for some in in_slices(users):
            shown += filter(answers.has_presence, some)
        self._schedule.plan.inherit(shown, at)
        # With handed-over pages, that contact time belongs to their oldest confirmation.
        self._last = (self._schedule.plan.oldest_confirmation, contact_ms)

    @property
    def reported(self) -> Status:
        """The last status reported to the edges."""
        return self._reported

    @property
    def age_s(self) -> float | None:
        """The age in seconds of the last contact time reported to the edges, by the store's clock; None without one."""
        _, told_ms = self._last
        return max(0.0, self._store_clock.now_s() - told_ms / 1000) if told_ms else None

    @property
    def is_idle(self) -> bool:
        """True if no user is read and no name is being resolved, so that nothing needs to be confirmed."""
        return self._schedule.reads_nobody and self._names.is_idle

    def beats(self, now: float) -> bool:
        """Return whether the regular report of the contact is due; if so, start the next interval."""
        return self._heartbeat.take(now)

    def report(self, status: Status | None = None) -> None:
        """Report the tenant's status; None: the last one again."""
        self._status = self._status if status is None else status
        is_stale = self._status is Status.NONE and self._shows_old_presence()
        reported = Status.STALE if is_stale else self._status
        urgent, self._reported = reported is not self._reported, reported
        interval_ms = int(self._schedule.longest_interval(self._clock.monotonic()) * 1000)
        beat_ms = int(self._settings.heartbeat.total_seconds() * 1000)
        contact = TenantContact(self._tenant_id, self._contact_ms(), interval_ms, reported, beat_ms)
        self._contacts.put(contact, urgent=urgent)

    def _shows_old_presence(self) -> bool:
        """Return whether a presence of an earlier owner is shown that is now stale and was not confirmed to this one."""
        now, inherited_at = self._clock.monotonic(), self._schedule.plan.inherited_at
        interval_s = max(self._inherited_interval_s, self._schedule.longest_interval(now))
        limit_s = self._settings.stale_after_intervals * interval_s + _STALE_GRACE_S
        return inherited_at is not None and now - inherited_at > limit_s

    def _contact_ms(self) -> int:
        """Return the time since which Graph has confirmed all answers, in ms since 1970; 0 for never."""
        oldest = self._schedule.plan.oldest_confirmation
        if oldest is None and self.is_idle:
            # An idle tenant with trouble has no contact time.
            return self._wall_ms(None) if self._status is Status.NONE else 0
        return self._last[1] if oldest is None else self._wall_ms(oldest)

    def _wall_ms(self, at: float | None) -> int:
        """Convert an instant of the monotonic clock to ms since 1970; None: now.

        Equal instants give equal results at any time, because an unchanged contact time must not seem to move.
        """
        if at is None or self._last[0] != at:
            ago_s = 0.0 if at is None else self._clock.monotonic() - at
            wall_s = self._store_clock.now_s()
            self._last = (at, max(0, int((wall_s - min(ago_s, wall_s)) * 1000)))
        return self._last[1]
