"""All subscriptions to presence, by id and by person, with their expiry.

create ──► live ──► expires (without notice) ──► gone
            │ ▲ renew, reauthorise
            ├──► deleted ──► gone
            └──► ghost: not found when requested, but it prevents a new one for a while
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from emulator.notifications.subscription import Event, SubscriptionLife

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emulator.clock import Clock
    from emulator.notifications.subscription import EventKind, Subscription
    from emulator.switches import Switches
    from emulator.world import Person

MOST_ENDED: Final = 20_000
"""Maximum number of ended subscriptions that are kept."""

_CHANGING: Final = (
    "certificate", "token_issued", "token_expires_s", "expires_s", "live", "held", "last_due_s", "withheld", "expiry", "reminder", "last_expiration",
)  # fmt: skip
"""The values of a subscription that change while it is live, for snapshots."""


class SubscriptionExists(Exception):
    """Another subscription exists for this application and account (or tenant)."""


class Subscriptions:
    """All subscriptions. They expire automatically, by the world's clock."""

    def __init__(self, clock: Clock, switches: Callable[[], Switches]) -> None:
        self._clock = clock
        self._switches = switches
        self._live: dict[str, Subscription] = {}
        self._holders: dict[tuple[str, str], list[Subscription]] = {}
        self._ghosts: list[tuple[float, Subscription]] = []
        self._ended: deque[SubscriptionLife] = deque(maxlen=MOST_ENDED)

    def add(self, subscription: Subscription, given: str = "") -> None:
        """Begin a subscription; `given` as for `expire_at`.

        Raises:
            SubscriptionExists: its application and account (or tenant) have one, or a ghost of one.
        """
        if any(self._in_the_way(other, subscription) for other in (*self._live.values(), *self._haunting())):
            raise SubscriptionExists
        self._put(subscription)
        self._note(subscription, "created")
        subscription.life.created_s = subscription.life.events[0].at_s
        self.expire_at(subscription, subscription.expires_s, given)

    def holding(self, person: Person) -> list[Subscription]:
        """Return the live subscriptions to a person."""
        return self._holders.get((person.tenant.tenant_id, person.oid.lower()), []) if self._holders else []

    def find(self, subscription_id: str) -> Subscription | None:
        """Return the live subscription with an id; None if there is none."""
        return self._live.get(subscription_id.lower())

    def __iter__(self) -> Iterator[Subscription]:
        """Iterate over the live subscriptions, oldest first; they may end meanwhile."""
        return iter(list(self._live.values()))

    def expire_at(self, subscription: Subscription, expires_s: float, given: str = "") -> None:
        """Set the expiry of a subscription; `given` is the requested date, if that is the real expiry."""
        subscription.last_expiration = (self._clock.course, given) if given else None
        if subscription.expiry is not None:
            subscription.expiry.cancel()
        subscription.expires_s = subscription.life.expires_s = expires_s
        wait_s = max(0.0, expires_s - self._clock.now())
        subscription.expiry = self._clock.after(wait_s, lambda: self.end(subscription, "expired"))

    def renewed(self, subscription: Subscription, expires_s: float, given: str = "") -> None:
        """Extend a subscription and record its renewal."""
        self.expire_at(subscription, expires_s, given)
        self._note(subscription, "renewed")

    def reauthorised(self, subscription: Subscription) -> None:
        """Record that a subscription was reauthorised without a renewal."""
        self._note(subscription, "reauthorised")

    def end(self, subscription: Subscription, how: EventKind, *, haunts_s: float = 0.0) -> None:
        """End a subscription; its ghost blocks a new one for `haunts_s`."""
        if not subscription.live:
            return
        subscription.live = False
        for due in (subscription.expiry, subscription.reminder):
            if due is not None:
                due.cancel()
        del self._live[subscription.subscription_id]
        for user_id in subscription.users:
            self._release((subscription.tenant_id, user_id), subscription)
        subscription.held.clear()
        subscription.withheld.clear()
        if haunts_s:
            self._ghosts.append((self._clock.now() + haunts_s, subscription))
        self._note(subscription, how)
        subscription.life.ended_s = subscription.life.events[-1].at_s
        self._ended.append(subscription.life)

    def release_ghosts(self) -> None:
        """Remove all ghosts, so that they no longer block new subscriptions."""
        self._ghosts.clear()

    def lives(self) -> list[SubscriptionLife]:
        """Return all subscriptions in the order of creation; of the ended ones, at most the newest are kept."""
        found = [*self._ended, *(subscription.life for subscription in self._live.values())]
        return sorted(found, key=lambda life: life.created_s)

    def snapshot(self) -> Callable[[], None]:
        """Save all subscriptions; return a function that restores them and removes those that began since."""
        live, ghosts, ended = list(self._live.values()), list(self._ghosts), list(self._ended)
        states = [{name: _copied(getattr(each, name)) for name in _CHANGING} for each in live]
        events = [(each.life.expires_s, list(each.life.events)) for each in live]

        def restore() -> None:
            for subscription in self._live.values():
                subscription.live = False
            self._ghosts, self._ended = list(ghosts), deque(ended, maxlen=MOST_ENDED)
            self._live, self._holders = {}, {}
            for subscription, state, (expires_s, happened) in zip(live, states, events, strict=True):
                for name, value in state.items():
                    setattr(subscription, name, _copied(value))
                life = subscription.life
                life.expires_s, life.ended_s, life.events = expires_s, None, list(happened)
                self._put(subscription)

        return restore

    def reset(self) -> None:
        """End all subscriptions, and delete their history."""
        for subscription in self:
            self.end(subscription, "reset")
        self._ghosts.clear()
        self._ended.clear()

    def _put(self, subscription: Subscription) -> None:
        self._live[subscription.subscription_id] = subscription
        for user_id in subscription.users:
            self._holders.setdefault((subscription.tenant_id, user_id), []).append(subscription)

    def _release(self, key: tuple[str, str], subscription: Subscription) -> None:
        others = [other for other in self._holders[key] if other is not subscription]
        if others:
            self._holders[key] = others
        else:
            del self._holders[key]

    def _haunting(self) -> Iterator[Subscription]:
        now = self._clock.now()
        self._ghosts = [(until, each) for until, each in self._ghosts if until > now]
        return iter([each for _, each in self._ghosts])

    def _in_the_way(self, other: Subscription, new: Subscription) -> bool:
        if (other.app_id, other.tenant_id) != (new.app_id, new.tenant_id):
            return False
        return self._switches().subscription_scope == "tenant" or other.creator.oid == new.creator.oid

    def _note(self, subscription: Subscription, what: EventKind) -> None:
        subscription.life.events.append(Event(what, self._clock.now(), time.time()))


def _copied(value: Any) -> Any:
    """Return a copy that later changes do not affect."""
    return value.copy() if isinstance(value, dict | deque) else value
