"""One tenant with open streams: its streams, its snapshots under way, and how fresh its presence is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from relay.core.presence import Status
from relay.edge.weighted_semaphore import WeightedSemaphore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from relay.core.presence import TenantId, UserId
    from relay.core.watching.values import AnswersEntry
    from relay.core.watching.watch import Watch
    from relay.edge.settings import EdgeSettings
    from relay.errors import RelayError
    from relay.store.presence.entries import TenantContact
    from relay.wire.decode import PresenceOrigin


class Listener(Protocol):
    """A stream, as the hub sees it."""

    @property
    def watch(self) -> Watch[bytes]:
        """Return the rules of the stream."""

    @property
    def key_id(self) -> str:
        """Return the id of the suite key that opened it."""

    def wake(self) -> None:
        """Look whether there is something to send."""

    def wake_if_unsent(self) -> None:
        """Send new answers, if there are any."""

    def look_up(self) -> None:
        """Look up names, if any wait for it."""

    def measure(self, user_id: UserId, origin: PresenceOrigin) -> None:
        """Record the age of this user's answer when it is written."""

    def follow(self, user_id: UserId, trace: bytes) -> None:
        """Continue a trace until this user's answer is written."""

    def end(self, error: RelayError | None) -> None:
        """End the stream; the first reason counts."""


@dataclass(slots=True, eq=False)
class Hold:
    """A snapshot under way, with the entries that the hub reads meanwhile. Compared by identity."""

    missed: list[AnswersEntry[bytes]] = field(default_factory=list)
    void: bool = False
    """The hub lost its place meanwhile: the snapshot must not be used."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """The state of a tenant, as it is sent to suites."""

    status: Status
    interval_ms: int
    """0: not known yet."""


class TenantView:
    """One tenant with open streams.

    Attributes:
        streams: the open streams.
        sinks: functions that take new answers in, one for each stream: the inner loop of the fan-out calls them.
        holds: snapshots under way.
        lookups: limits concurrent snapshots, so that one tenant with many streams does not delay others.
        contact: the newest contact time that the worker declared; None before the first.
        told: the freshness that streams report to their suites.
    """

    def __init__(self, tenant_id: TenantId, partition: int, settings: EdgeSettings, now: float) -> None:
        self.tenant_id = tenant_id
        self.partition = partition
        self.streams: dict[Listener, None] = {}
        self.sinks: list[Callable[[AnswersEntry[bytes]], None]] = []
        self.holds: list[Hold] = []
        self.lookups = WeightedSemaphore(settings.lookup_names_of_a_tenant)
        self.contact: TenantContact | None = None
        self._settings = settings
        self._moved_at = self._heard_at = now
        self.told = self.freshness(now)

    @property
    def contact_ms(self) -> int:
        """The contact time; 0 before the first."""
        return self.contact.contact_ms if self.contact else 0

    def contact_age_s(self, now: float) -> float | None:
        """Return the age of contact in seconds, with `now` by this edge's clock; None before the first contact.

        It is the age when the worker wrote it, by the worker's clock, plus the time since then by this edge's clock.
        """
        if self.contact is None or not self.contact.contact_ms:
            return None
        return self.contact.age_s + max(0.0, now - self._heard_at)

    def add(self, stream: Listener) -> None:
        """Add a stream that was opened."""
        self.streams[stream] = None
        self.sinks.append(stream.watch.on_answers)

    def remove(self, stream: Listener) -> None:
        """Remove a stream that was closed."""
        if stream in self.streams:
            del self.streams[stream]
            self.sinks = [other.watch.on_answers for other in self.streams]

    def void_holds(self) -> None:
        """Make all snapshots under way unusable."""
        for hold in self.holds:
            hold.void = True

    def set_contact(self, contact: TenantContact, now: float) -> None:
        """Take in the contact that the worker has just declared."""
        if self.contact is None or contact.contact_ms != self.contact.contact_ms:
            self._moved_at = now
        self._heard_at = now
        self.contact = contact
        self.judge(now)

    def set_kept_contact(self, contact: TenantContact, ago_s: float, now: float) -> None:
        """Take in the contact that the worker declared before this edge listened.

        So the first stream that joins gets the true age of presence, not the time since it joined. No two clocks are
        compared: the age of contact at the worker's write is by the worker's clock, and the time since that write is by
        the store's.

        Args:
            contact: from the store.
            ago_s: seconds since the worker wrote it.
            now: by this edge's clock.
        """
        if self.contact is None or contact.contact_ms != self.contact.contact_ms:
            # In normal operation contact is up to one interval old; it counts as moved just now.
            self._moved_at = now - ago_s - max(0.0, contact.age_s - contact.interval_ms / 1000)
        self._heard_at = now - ago_s
        self.contact = contact
        self.judge(now)

    def judge(self, now: float) -> None:
        """Recompute freshness, and wake the streams when it has changed."""
        freshness = self.freshness(now)
        if freshness != self.told:
            self.told = freshness
            for stream in self.streams:
                stream.wake()

    def freshness(self, now: float) -> Freshness:
        """Return the freshness of the tenant at `now`.

        A reason from the worker is more specific than STALE, which the edge finds itself: by its own clock it measures
        how long contact has not moved, and how long no worker has written anything. The second measure is much faster
        where users are read seldom because their changes are announced: without a worker nothing processes the announcements.
        """
        contact = self.contact
        interval_ms = contact.interval_ms if contact else 0
        if contact is not None and contact.status is not Status.NONE:
            return Freshness(contact.status, interval_ms)
        stale = now - self._moved_at > self._stale_after(interval_ms)
        if contact is not None and contact.beat_ms:
            stale = stale or now - self._heard_at > self._stale_after(contact.beat_ms)
        return Freshness(Status.STALE if stale else Status.NONE, interval_ms)

    def _stale_after(self, interval_ms: int) -> float:
        settings = self._settings
        interval = interval_ms / 1000 or _seconds(settings.poll_interval_assumed)
        return settings.stale_after_intervals * interval + _seconds(settings.stale_grace)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
