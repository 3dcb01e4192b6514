"""One subscription to a resource list that the server's administrator made (RFC 4662).

The server's notifications name the members. All other resources get subscriptions of their own; without such a list, all resources do.
After an unreadable document or a lost notification the subscription is started again; after repeated failures the list is given up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sip.resources import CONTENT_TYPES, ResourceId, SipResource
from suite.agent.sources.sip.states import (
    ERROR,
    REQUESTING,
    again_s,
    is_of_the_connection,
    reason_of,
)
from suite.sip.errors import BadDocument
from suite.sip.resource_lists import ListedResource, ListHeld, read_list
from suite.sip.subscriber import SubscriptionAccepted, SubscriptionTrouble, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd, retry_s
from suite.sip.uris import resource_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.sources.sip.resources import SipEvent
    from suite.sip.servers import SipServer
    from suite.sip.subscriber import Subscriber, Subscription, SubscriptionEvent

log = logging.getLogger(__name__)
PROVEN_S: Final = 60.0
"""After so many seconds a subscription counts as stable: the next pause is the shortest again."""
MOST_FAILURES: Final = 2
"""Failures in a row that are retried; one more, and the list is given up at this server."""


class SipList:
    """The subscription to a list.

    Attributes:
        is_refused: True when the server has no such list.
        changed: called with a resource whose state may have changed.
        alarm: called when the server may be gone.
        settled: called when the members become known, and when they change.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        settings: SipSimpleSettings,
        resources: Mapping[ResourceId, SipResource],
        *,
        changed: Callable[[SipResource], None],
        alarm: Callable[[], None],
        settled: Callable[[], None],
    ) -> None:
        self.is_refused = False
        self.changed = changed
        self.alarm = alarm
        self.settled = settled
        self._event: SipEvent = "presence" if settings.is_by_uri else settings.phone_event
        self._subscriber = subscriber
        self._settings = settings
        self._resources = resources
        self._server: SipServer | None = None
        self._subscription: Subscription | None = None
        self._held = ListHeld()
        self._members: frozenset[str] | None = None
        self._failures = 0
        self._began_at = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._waits_for_server = False

    def covers(self, resource: SipResource) -> bool:
        """Return True for a resource in the list, and for all of its event package while the members are not known."""
        if self.is_refused or resource.id.event != self._event:
            return False
        return self._members is None or resource.id.uri in self._members

    def use(self, server: SipServer) -> None:
        """Subscribe at another server."""
        self._server, self.is_refused, self._members, self._failures = server, False, None, 0
        self._begin()

    def server_is_back(self) -> None:
        """Resume at the same server, which did not answer for a while."""
        if self._waits_for_server:
            self._begin()
        elif self._subscription is not None:
            self._subscription.refresh()

    def try_it(self) -> bool:
        """Refresh the subscription; return False when there is none."""
        if self._subscription is not None:
            self._subscription.refresh()
        return self._subscription is not None

    def close(self) -> None:
        """Drop the subscription without unsubscribing."""
        self._cancel_retry()
        self._abandon()

    def replay(self, resource: SipResource) -> None:
        """Apply the list's last state to a resource that was added later."""
        held = self._held.resources.get(resource.id.uri)
        if held is not None and self.covers(resource):
            self._apply(resource, held)

    # ---- inside ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._cancel_retry()
        self._abandon()
        if self._server is None or self.is_refused:
            return
        wish = SubscriptionWish(
            uri=self._settings.list_uri,
            own_uri=self._settings.uri,
            event=self._event,
            accept=(CONTENT_TYPES[self._event],),
            expires_s=int(self._settings.expires.total_seconds()),
            resource_list=True,
        )

        def tell(happened: SubscriptionEvent) -> None:
            if begun is self._subscription:
                self._take(happened)

        begun = self._subscription = self._subscriber.subscribe(self._server, wish, tell)
        self._held = ListHeld()
        self._began_at = asyncio.get_running_loop().time()

    def _take(self, happened: SubscriptionEvent) -> None:
        match happened:
            case SubscriptionAccepted(lists=False) if self._members is None:
                self._refused("The server's answer does not confirm a list.")
            case Notification() if not happened.is_end and happened.body:
                self._notified(happened)
            case SubscriptionTrouble():
                self._in_doubt()
                self.alarm()
            case SubscriptionEnd():
                self._ended(happened)
            case _:
                pass

    def _notified(self, told: Notification) -> None:
        try:
            news = read_list(told.content_type_line, told.body)
            taken = self._held.take(news)
        except BadDocument as error:
            log.warning("sip: the list %s cannot be read: %s", self._settings.list_uri, error)
            self._ended(SubscriptionEnd(reason="probation"))
            return
        if taken == "gap":
            self._ended(SubscriptionEnd(reason="deactivated"))
        if taken != "taken":
            return
        for each in news.resources:
            uri = resource_key(each.uri)
            resource = self._resources.get(ResourceId(uri, self._event))
            held = self._held.resources.get(uri)
            if resource is not None and held is not None:
                self._apply(resource, held)
        members = frozenset(self._held.resources)
        if members != self._members:
            self._members = members
            self.settled()

    def _apply(self, resource: SipResource, held: ListedResource) -> None:
        """Apply the list's state of a resource."""
        if held.state == "terminated":
            reason = reason_of(SubscriptionEnd(reason=held.reason)) or REQUESTING
            resource.confirmed()
            resource.set_unknown(reason)
        elif not held.state:
            resource.confirmed()  # the server has no state of it yet
        elif not resource.apply(
            held.content_type, held.body or b"", datetime.now(UTC), is_pending=held.state == "pending"
        ):
            resource.set_unknown(ERROR)
        self.changed(resource)

    def _ended(self, end: SubscriptionEnd) -> None:
        loop = asyncio.get_running_loop()
        self._abandon()
        if loop.time() - self._began_at >= PROVEN_S:
            self._failures = 0
        if retry_s(end) is None or (self._failures >= MOST_FAILURES and not is_of_the_connection(end)):
            self._refused(end.text or end.reason)
            return
        pause = again_s(end, self._failures, random.random())  # noqa: S311 - spreads load
        self._failures += 1
        self._in_doubt()
        self._retry = loop.call_later(pause, self._begin)
        if is_of_the_connection(end):
            self._waits_for_server = True
            self.alarm()

    def _refused(self, why: str) -> None:
        """Give up the list at this server, so that all resources get subscriptions of their own."""
        log.warning(
            "sip: the list %s is not used: %s Each colleague gets a subscription.", self._settings.list_uri, why
        )
        self._abandon()
        self.is_refused, self._members = True, None
        self.settled()

    def _in_doubt(self) -> None:
        now = asyncio.get_running_loop().time()
        for resource in self._resources.values():
            if self.covers(resource):
                resource.in_doubt(now)

    def _abandon(self) -> None:
        before, self._subscription = self._subscription, None
        if before is not None:
            before.abandon()

    def _cancel_retry(self) -> None:
        self._waits_for_server = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
