"""The plan of one application's presence subscriptions: those to create, extend and end next. Pure: the time is an argument.

A subscription lasts 30 minutes at most, and extending adds up to 30: https://learn.microsoft.com/skype-sdk/ucwa/presencesubscription_ref
It is extended ten minutes before its end, and at once when the server says that it is about to end. A server limits both the
number of subscriptions and of contacts (`LimitExceeded`), and Microsoft does not publish either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.agent.sources.sfb.answers import PresenceSubscription

PAGE: Final = 100
"""Contacts of one subscription. Microsoft publishes no limit; 100 addresses are a body of 5 kB."""
LASTS_MINUTES: Final = 30
LASTS_S: Final = LASTS_MINUTES * 60.0
LEAD_S: Final = 600.0
"""A subscription is extended so many seconds before its end: an outage of ten minutes loses none."""
AT_REST_S: Final = 300.0
"""Seconds after its start or extension in which an update of a subscription is no warning of its end: the least duration is 10 minutes."""
AGAIN_S: Final = 60.0
"""Seconds to wait after a subscription that ended early, so that a server that ends each at once is not flooded."""
LIMITED_S: Final = 600.0
"""Seconds to wait after the server reported that its limit is reached."""


@dataclass(frozen=True, slots=True)
class Create:
    """Subscribe to these contacts."""

    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Add:
    """Add these contacts to a subscription."""

    subscription: PresenceSubscription
    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extend:
    """Extend a subscription."""

    subscription: PresenceSubscription


@dataclass(frozen=True, slots=True)
class End:
    """End a subscription: none of its contacts is wanted any more, or some are not wanted when it expires."""

    subscription: PresenceSubscription


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing for so many seconds, unless something happens."""

    seconds: float


SubscriptionStep = Create | Add | Extend | End | Rest


@dataclass(slots=True)
class _Page:
    subscription: PresenceSubscription
    uris: set[str]
    began: float
    ends: float
    rested: float = field(init=False)
    """Time of the beginning or of the last extension."""

    def __post_init__(self) -> None:
        self.rested = self.began


class SubscriptionPlan:
    """The subscriptions of one application. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}
        self._pages: dict[str, _Page] = {}
        self._not_before = 0.0
        self._is_limited = False
        """Whether the server has said that its limit is reached."""
        self._unfit: set[str] = set()
        """Addresses that the server does not accept."""
        self._size = PAGE
        """Contacts of the next request: fewer while a rejected address is searched for."""

    @property
    def subscribed(self) -> set[str]:
        """Return the contacts who are in a subscription."""
        return {uri for page in self._pages.values() for uri in page.uris}

    def is_complete(self) -> bool:
        """Return True when all wanted contacts are in a subscription, up to the server's limit."""
        return self._is_limited or not self._missing()

    def left_out(self) -> list[str]:
        """Return the wanted contacts beyond the server's limit."""
        return self._missing() if self._is_limited else []

    def unfit(self) -> list[str]:
        """Return the contacts whose addresses the server rejects."""
        return list(self._unfit)

    def subscriptions_of(self, uris: Iterable[str]) -> list[PresenceSubscription]:
        """Return the subscriptions that any of these contacts are in."""
        wanted = set(uris)
        return [page.subscription for page in self._pages.values() if page.uris & wanted]

    def want(self, uris: Iterable[str]) -> set[str]:
        """Replace the wanted contacts; return the newly wanted ones that are still in a subscription."""
        before, self._wanted = self._wanted, dict.fromkeys(uris)
        self._unfit &= self._wanted.keys()
        new = self._wanted.keys() - before.keys()
        return new & self.subscribed if new else set()

    def step(self, now: float) -> SubscriptionStep:
        """Return what to do now."""
        for page in self._pages.values():
            if not page.uris & self._wanted.keys():
                return End(page.subscription)
            if page.ends - now <= LEAD_S:
                return Extend(page.subscription) if page.uris <= self._wanted.keys() else End(page.subscription)
        if now < self._not_before:
            return Rest(min(self._not_before - now, self._until_due(now)))
        self._is_limited = False
        return self._more() or Rest(self._until_due(now))

    def _more(self) -> Create | Add | None:
        missing = self._missing()[: self._size]
        if not missing:
            return None
        for page in self._pages.values():
            room = PAGE - len(page.uris)
            if page.subscription.adding and room > 0:
                return Add(page.subscription, tuple(missing[:room]))
        return Create(tuple(missing))

    def _missing(self) -> list[str]:
        has_place = self.subscribed | self._unfit
        return [uri for uri in self._wanted if uri not in has_place]

    def _until_due(self, now: float) -> float:
        due = min((page.ends - LEAD_S for page in self._pages.values()), default=now + LASTS_S)
        return max(0.0, due - now)

    # Results of the steps

    def created(self, subscription: PresenceSubscription, uris: Iterable[str], now: float) -> None:
        """Note that a subscription was created. Two with the same address are one."""
        before = self._pages.get(subscription.address)
        uris = {*uris, *(before.uris if before is not None else ())}
        self._pages[subscription.address] = _Page(subscription, uris, now, now + LASTS_S)
        self._size = min(PAGE, 2 * self._size)

    def added(self, subscription: PresenceSubscription, uris: Iterable[str]) -> None:
        """Note that contacts were added to a subscription."""
        if (page := self._pages.get(subscription.address)) is not None:
            page.uris.update(uris)
        self._size = min(PAGE, 2 * self._size)

    def rejected(self, uris: tuple[str, ...]) -> None:
        """Note that the server rejects these contacts together. Requests are halved until the wrong address is found."""
        if len(uris) == 1:
            self._unfit.update(uris)
        self._size = max(1, len(uris) // 2) if len(uris) > 1 or not self._pages else PAGE

    def extended(self, subscription: PresenceSubscription, now: float) -> None:
        """Note that a subscription was extended. The server adds to what is left, to 30 minutes in all."""
        if (page := self._pages.get(subscription.address)) is not None:
            page.ends, page.rested = now + LASTS_S, now

    def ending(self, address: str, now: float) -> None:
        """Note that the server updated a subscription, which may mean that it is about to end."""
        page = self._pages.get(address)
        if page is not None and now - page.rested >= AT_REST_S:
            page.ends = now

    def ended(self, subscription: PresenceSubscription) -> None:
        """Note that a subscription was ended on purpose."""
        self._pages.pop(subscription.address, None)

    def lost(self, address: str, now: float) -> set[str]:
        """Note that a subscription has ended at the server, and return its contacts."""
        page = self._pages.pop(address, None)
        if page is None:
            return set()
        if now - page.began < AGAIN_S:
            self._not_before = max(self._not_before, now + AGAIN_S)
        return page.uris

    def limited(self, now: float) -> None:
        """Note that the server's limit is reached. The next attempt is after `LIMITED_S`."""
        self._is_limited = True
        self._not_before = now + LIMITED_S

    def pause(self, until: float) -> None:
        """Begin no subscription before a time, because the server asks to wait."""
        self._not_before = max(self._not_before, until)

    def reset(self) -> None:
        """Note that the server has dropped all subscriptions."""
        self._pages.clear()
