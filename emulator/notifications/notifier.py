"""The entry point of change notifications: takes changes of people and requests of applications, schedules notifications."""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from emulator.notifications import items
from emulator.notifications.client import Client, handshake_fault, handshake_url, new_request_id
from emulator.notifications.delivery import REPEATED_S, Delivery, outcome_of
from emulator.notifications.faults import NotificationFaults
from emulator.notifications.sent import Log, Sent
from emulator.notifications.subscription import Notice
from emulator.notifications.subscriptions import Subscriptions
from emulator.notifications.tokens import ValidationTokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from emulator.clock import Clock
    from emulator.entra.keys import SigningKey
    from emulator.notifications.subscription import Subscription
    from emulator.switches import Switches
    from emulator.world import Person

MOST_HELD = 10_000
"""Maximum notifications that wait for one subscription's reauthorisation; beyond, the oldest are dropped."""
MOST_SENT = 20_000
"""Maximum number of POSTs in the log."""


class Notifications:
    """All change notifications of a cloud.

    Attributes:
        subscriptions: all subscriptions.
        faults: the injected faults.
        log: all sent POSTs, and the counts.
    """

    def __init__(
        self, clock: Clock, switches: Callable[[], Switches], key: Callable[[], SigningKey], *, ca_pem: bytes,
        ca_file: Path | None, seed: int,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._switches = switches
        self._chance = random.Random(seed)
        self._client = Client(ca_pem, ca_file)
        self.subscriptions = Subscriptions(clock, switches)
        self.faults = NotificationFaults(random.Random(seed))
        self.log = Log(MOST_SENT)
        tokens = ValidationTokens(clock, key, switches)
        self.delivery = Delivery(clock, switches, self._client, tokens, self.faults, self.log, random.Random(seed))

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send while the context lasts."""
        self.delivery.start()
        try:
            yield
        finally:
            await self.delivery.stop()
            await self._client.close()

    def snapshot(self) -> Callable[[], None]:
        """Save subscriptions, faults and random state; return a function that restores them.

        Notifications that were passed to delivery, and the states of endpoints, are not part of it.
        """
        subscriptions, faults, chance = self.subscriptions.snapshot(), self.faults.snapshot(), self._chance.getstate()

        def restore() -> None:
            subscriptions()
            faults()
            self._chance.setstate(chance)

        return restore

    def reset(self) -> None:
        """Delete subscriptions, faults and the log."""
        self.subscriptions.reset()
        self.faults.remove()
        self.delivery.reset()
        self.log.clear()

    # Subscriptions

    async def handshake(self, url: str) -> str:
        """Perform the handshake with a URL. Return Graph's error text; empty if it succeeded."""
        asked, text = handshake_url(url, new_request_id())
        reply = await self._client.post(asked, b"", "text/plain; charset=utf-8", self._switches().handshake_timeout_s)
        fault = handshake_fault(reply, text)
        self.log.write(
            Sent(
                at_s=self._clock.now(), utc=time.time(), kind="validation", url=url, subscriptions=[], tenants=[],
                items=0, attempt=1, status=reply.status, ms=round(reply.took_s * 1000, 3),
                outcome="refused" if fault and reply.status else outcome_of(reply), reason=reply.reason or fault,
            )
        )  # fmt: skip
        return fault

    def begin(self, subscription: Subscription, given: str = "") -> None:
        """Begin a subscription; `given` is the requested date of its expiry, if that is the real one.

        Raises:
            SubscriptionExists: there is already one.
        """
        self.subscriptions.add(subscription, given)
        self._remind(subscription)

    def renew(
        self, subscription: Subscription, expires_s: float, issued: float, token_expires_s: float, given: str = ""
    ) -> None:
        """Extend a subscription, with the access token of the request; `given` as for `begin`."""
        self.subscriptions.renewed(subscription, expires_s, given)
        self._authorise(subscription, issued, token_expires_s)

    def reauthorise(self, subscription: Subscription, issued: float, token_expires_s: float) -> None:
        """Store a new access token for a subscription, and send the notifications that waited for it."""
        self.subscriptions.reauthorised(subscription)
        self._authorise(subscription, issued, token_expires_s)

    def revoked(self, person: Person) -> None:
        """Request reauthorisation of an account's subscriptions after a revocation."""
        for subscription in self.subscriptions:
            if subscription.creator is person:
                self.challenge(subscription)

    def _authorise(self, subscription: Subscription, issued: float, token_expires_s: float) -> None:
        subscription.token_issued, subscription.token_expires_s = issued, token_expires_s
        self._remind(subscription)
        held, too_old_s = list(subscription.held), self._clock.now() - REPEATED_S
        subscription.held.clear()
        for notice in held:
            if notice.made_s < too_old_s:
                self.log.counts.given_up += 1
            else:
                self.delivery.put(notice)

    def _authorised(self, subscription: Subscription) -> bool:
        """Return whether the stored token still permits its application to read presence."""
        creator = subscription.creator
        known = creator.enabled and creator.tenant.people.get(creator.oid.lower()) is creator
        alive = known and subscription.token_issued >= creator.access_valid_from
        return alive and subscription.token_expires_s > self._clock.now()

    def _remind(self, subscription: Subscription) -> None:
        """Schedule the next request to reauthorise."""
        ends_s = min(subscription.token_expires_s, subscription.expires_s)
        wait_s = ends_s - self._switches().reauthorization_lead_s - self._clock.now()
        self._remind_after(subscription, max(0.0, wait_s))

    def _remind_after(self, subscription: Subscription, wait_s: float) -> None:
        if subscription.reminder is not None:
            subscription.reminder.cancel()
        subscription.reminder = self._clock.after(wait_s, lambda: self._remind_again(subscription))

    def _remind_again(self, subscription: Subscription) -> None:
        self.challenge(subscription)
        self._remind_after(subscription, self._switches().reauthorization_every_s)

    def challenge(self, subscription: Subscription) -> None:
        """Request reauthorisation of a subscription, if it has a lifecycle URL."""
        if not subscription.lifecycle_url or self.faults.meet("silence", subscription) is not None:
            return
        raw = items.lifecycle(subscription, "reauthorizationRequired", self._clock)
        self.delivery.put(Notice(subscription, "lifecycle", self._clock.now(), lambda: raw))

    # Notifications

    def changed(self, person: Person) -> None:
        """Notify the subscriptions to a person of a changed presence."""
        for subscription in self.subscriptions.holding(person):
            self._announce(subscription, person, self._switches())

    def _announce(self, subscription: Subscription, person: Person, switches: Switches) -> None:
        faults, counts = self.faults, self.log.counts
        counts.announced += 1
        if faults.meet("silence", subscription) is not None:
            counts.silenced += 1
            return
        if faults.meet("loss", subscription) is not None:
            counts.lost += 1
            return
        notice = self._notice(subscription, person, switches)
        delay = faults.meet("delay", subscription)
        self._send(notice, person.oid, self._delay_s(switches) + (delay.delay_s if delay is not None else 0.0))
        if faults.meet("duplicate", subscription) is not None:
            counts.duplicated += 1
            self._send(notice, person.oid, self._delay_s(switches))

    def _notice(self, subscription: Subscription, person: Person, switches: Switches) -> Notice:
        """Return a notification of the current presence; it is encoded when it is sent."""
        content = items.content_of(person, switches) if subscription.certificate is not None else b""
        user_id, fault = person.oid, self.faults.meet("tamper", subscription)
        tampering = fault.how if fault is not None else ""

        def encode() -> bytes:
            return items.notification(
                subscription, user_id, content, self._clock, self._switches(), tampering=tampering
            )

        return Notice(subscription, "notification", self._clock.now(), encode)

    def _delay_s(self, switches: Switches) -> float:
        """Return the delay of a notification, in seconds: exponentially distributed, cut off at the maximum."""
        mean_s, most_s = switches.notification_delay_s
        if not mean_s:
            return 0.0
        delay_s = self._chance.expovariate(1 / mean_s)
        return delay_s if delay_s <= most_s else self._chance.uniform(0.0, most_s)

    def _send(self, notice: Notice, user_id: str, delay_s: float) -> None:
        """Send a notification after a time, but not before an earlier one of the same person."""
        subscription, now_s = notice.subscription, self._clock.now()
        due_s = max(now_s + delay_s, subscription.last_due_s.get(user_id, 0.0))
        subscription.last_due_s[user_id] = due_s
        if due_s <= now_s:
            self._due(notice, user_id)
        else:
            self._clock.after(due_s - now_s, lambda: self._due(notice, user_id))

    def _due(self, notice: Notice, user_id: str) -> None:
        """Send a notification, or withhold it until the next one of the same person if a fault says so."""
        subscription = notice.subscription
        if not subscription.live:
            self.log.counts.ended += 1
            return
        earlier = subscription.withheld.pop(user_id, None)
        fault = self.faults.meet("reorder", subscription) if earlier is None else None
        if fault is None:
            self._deliver(notice)
        else:
            self.log.counts.reordered += 1
            subscription.withheld[user_id] = notice
            self._clock.after(fault.delay_s, lambda: self._let_go(notice, user_id))
        if earlier is not None:
            self._deliver(earlier)

    def _let_go(self, notice: Notice, user_id: str) -> None:
        if notice.subscription.withheld.get(user_id) is notice:
            del notice.subscription.withheld[user_id]
            self._deliver(notice)

    def _deliver(self, notice: Notice) -> None:
        subscription = notice.subscription
        if self._authorised(subscription):
            self.delivery.put(notice)
        elif self._switches().unauthorised_notifications == "lost":
            self.log.counts.lost += 1
        else:
            self.log.counts.held += 1
            if len(subscription.held) >= MOST_HELD:
                subscription.held.popleft()
                self.log.counts.dropped += 1
            subscription.held.append(notice)
