"""Subscriptions to single resources at the current server, started again when they end.

A subscription that ends is started again after a pause, which grows while subscriptions keep ending soon. Starts and refreshes are paced,
so that no server is flooded. After a planned change of the server, an old subscription ends at the first notification of the new one.
"""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sip.listed import SipList
from suite.agent.sources.sip.resources import CONTENT_TYPES, SipResource, made, wanted
from suite.agent.sources.sip.states import (
    ERROR,
    REQUESTING,
    again_s,
    is_of_the_connection,
    reason_of,
)
from suite.sip.subscriber import SubscriptionTrouble, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.sources.sip.resources import ResourceId
    from suite.agent.users.reading import Colleague
    from suite.names import Key
    from suite.sip.servers import SipServer
    from suite.sip.subscriber import Subscriber, Subscription, SubscriptionEvent

PROVEN_S: Final = 60.0
"""After so many seconds a subscription counts as stable: the next pause is the shortest again."""
LOOK_AT_ALL_S: Final = 300.0
"""Shortest time in seconds between two refreshes of all subscriptions. The server's loss of one subscription causes them."""


class SipAsking:
    """All subscriptions to single resources.

    Attributes:
        resources: the wanted resources.
        changed: called with a resource whose state or doubt may have changed.
        alarm: called when the server may be gone, or may refuse the agent.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        settings: SipSimpleSettings,
        changed: Callable[[SipResource], None],
        alarm: Callable[[], None],
    ) -> None:
        self.resources: dict[ResourceId, SipResource] = {}
        self.changed = changed
        self.alarm = alarm
        self._subscriber = subscriber
        self._settings = settings
        self._server: SipServer | None = None
        self._retries: dict[SipResource, asyncio.TimerHandle] = {}
        self._waits_for_server: set[SipResource] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._look_at_all_at = 0.0
        self._list: SipList | None = None
        if settings.list_uri:
            self._list = SipList(
                subscriber,
                settings,
                self.resources,
                changed=lambda resource: self.changed(resource),
                alarm=lambda: self.alarm(),
                settled=self._list_settled,
            )

    # ---- called by the source -------------------------------------------------------------------------------------------

    def follow(self, colleagues: Iterable[tuple[Key, Colleague]]) -> list[Key]:
        """Subscribe to these colleagues and to no others; return the board's keys of the colleagues who were dropped."""
        found = wanted(colleagues, self._settings)
        before = {key for each in self.resources.values() for key in each.keys}
        for gone in self.resources.keys() - found.keys():
            self._remove(self.resources.pop(gone))
        for resource_id, (uri, keys) in found.items():
            resource = self.resources.get(resource_id)
            if resource is None:
                resource = self.resources[resource_id] = made(resource_id, uri, self._settings)
                if self._list is not None:
                    resource.is_listed = self._list.covers(resource)
                    self._list.replay(resource)
                self._begin(resource)
            resource.keys = keys
        return list(before - {key for each in self.resources.values() for key in each.keys})

    def use(self, server: SipServer, *, is_planned: bool) -> None:
        """Subscribe at another server.

        Args:
            server: the new server.
            is_planned: True when the previous server still works, so that its states are not in doubt.
        """
        self._server = server
        if self._list is not None:
            self._list.use(server)
        for resource in self.resources.values():
            before, resource.subscription = resource.subscription, None
            resource.is_listed = self._list is not None and self._list.covers(resource)
            if before is not None and is_planned and resource.former is None and not resource.is_listed:
                resource.former = before
            elif before is not None:
                before.abandon()
            if not is_planned:
                self._drop_former(resource)
                resource.in_doubt(self._now())
            self._begin(resource)

    def broke(self) -> None:
        """Mark all states as unconfirmed until the server answers again."""
        for resource in self.resources.values():
            resource.in_doubt(self._now())

    def server_is_back(self) -> None:
        """Resume at the same server, which did not answer for a while."""
        if self._list is not None:
            self._list.server_is_back()
        waiting, self._waits_for_server = self._waits_for_server, set()
        for resource in waiting:
            self._begin(resource)
        for resource in self.resources.values():
            if resource.subscription is not None and resource.unconfirmed_since is not None:
                resource.subscription.refresh()

    def try_one(self) -> None:
        """Refresh one subscription, to detect a server that lost its subscriptions."""
        if self._list is not None and self._list.try_it():
            return
        lasting = [each for each in self.resources.values() if _is_established(each.subscription)]
        if lasting and (chosen := random.choice(lasting).subscription) is not None:  # noqa: S311 - any one will do
            chosen.refresh()

    async def close(self) -> None:
        """Drop all subscriptions without unsubscribing."""
        if self._list is not None:
            self._list.close()
        for timer in self._retries.values():
            timer.cancel()
        for task in list(self._beside):
            task.cancel()
        if self._beside:
            await asyncio.wait(self._beside)

    # ---- subscriptions --------------------------------------------------------------------------------------------------

    def _begin(self, resource: SipResource) -> None:
        self._cancel_retry(resource)
        if self._server is None or resource.is_listed or resource.subscription is not None:
            return
        event = resource.id.event
        wish = SubscriptionWish(
            uri=resource.uri,
            own_uri=self._settings.uri,
            event=event,
            accept=(CONTENT_TYPES[event],),
            expires_s=int(self._settings.expires.total_seconds()),
        )

        def tell(happened: SubscriptionEvent) -> None:
            self._take(resource, begun, happened)

        begun = self._subscriber.subscribe(self._server, wish, tell)
        resource.subscription = begun
        resource.began_at = self._now()
        resource.begun_anew()

    def _take(self, resource: SipResource, subscription: Subscription, happened: SubscriptionEvent) -> None:
        if subscription is resource.former:
            if isinstance(happened, Notification) and not happened.is_end:
                self._notified(resource, happened)
            elif isinstance(happened, SubscriptionEnd):
                resource.former = None
            return
        if subscription is not resource.subscription:
            return
        match happened:
            case Notification() if not happened.is_end:
                self._drop_former(resource)
                if not self._notified(resource, happened):
                    resource.subscription = None
                    subscription.abandon()
                    self._ended(resource, SubscriptionEnd(reason="deactivated"))
            case SubscriptionTrouble():
                resource.in_doubt(self._now())
                self.changed(resource)
                self.alarm()
            case SubscriptionEnd():
                self._ended(resource, happened)
            case _:
                pass

    def _notified(self, resource: SipResource, told: Notification) -> bool:
        whole = resource.apply(told.content_type, told.body, datetime.now(UTC), is_pending=told.state == "pending")
        self.changed(resource)
        return whole

    def _ended(self, resource: SipResource, end: SubscriptionEnd) -> None:
        now = self._now()
        resource.subscription = None
        if now - resource.began_at >= PROVEN_S:
            resource.failures = 0
        pause = again_s(end, resource.failures, random.random())  # noqa: S311 - spreads load
        resource.failures += 1
        reason = reason_of(end)
        if reason == ERROR:
            # One failure does not withdraw the known state; `ServerTrust` does, if failures last.
            resource.failing_since = resource.failing_since if resource.failing_since is not None else now
            if resource.reason == REQUESTING:
                resource.set_unknown(ERROR)
        elif reason:
            resource.set_unknown(reason)
        resource.in_doubt(now)
        self._retry(resource, pause)
        self.changed(resource)
        if is_of_the_connection(end):
            self._waits_for_server.add(resource)
            self.alarm()
        elif end.reason == "denied":
            self.alarm()
        elif end.reason == "gone":
            self._forgot(now)

    def _forgot(self, now: float) -> None:
        """Restart the unconfirmed subscriptions, and refresh the others: the server lost one, and may have lost all."""
        lasting = [each for each in self.resources.values() if _is_established(each.subscription)]
        for resource in lasting:
            if resource.unconfirmed_since is not None:
                self._anew(resource)
        if now >= self._look_at_all_at:
            self._look_at_all_at = now + max(LOOK_AT_ALL_S, 2 * len(lasting) / self._settings.per_s)
            for resource in lasting:
                if resource.subscription is not None and resource.unconfirmed_since is None:
                    resource.in_doubt(now)
                    resource.subscription.refresh()

    def _list_settled(self) -> None:
        """Subscribe to the resources that the list does not have, and unsubscribe from those that it has."""
        assert self._list is not None
        for resource in self.resources.values():
            was_listed, resource.is_listed = resource.is_listed, self._list.covers(resource)
            if was_listed and not resource.is_listed:
                self._begin(resource)
            elif resource.is_listed and not was_listed:
                self._cancel_retry(resource)
                before, resource.subscription = resource.subscription, None
                if before is not None:
                    self._run(self._leave(before))

    def _anew(self, resource: SipResource) -> None:
        """Replace the subscription of a resource by a new one."""
        before, resource.subscription = resource.subscription, None
        if before is not None:
            before.abandon()
        resource.in_doubt(self._now())
        self._begin(resource)

    def _retry(self, resource: SipResource, pause_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._retries[resource] = loop.call_later(pause_s, self._begin, resource)

    def _cancel_retry(self, resource: SipResource) -> None:
        self._waits_for_server.discard(resource)
        timer = self._retries.pop(resource, None)
        if timer is not None:
            timer.cancel()

    # ---- leaving --------------------------------------------------------------------------------------------------------

    def _remove(self, resource: SipResource) -> None:
        self._cancel_retry(resource)
        before, resource.subscription = resource.subscription, None
        self._drop_former(resource)
        if before is not None:
            self._run(self._leave(before))

    def _drop_former(self, resource: SipResource) -> None:
        former, resource.former = resource.former, None
        if former is not None:
            self._run(self._leave(former))

    async def _leave(self, subscription: Subscription) -> None:
        """Unsubscribe, at the pace of all requests."""
        if _is_established(subscription):
            await self._subscriber.turns.take()
        await subscription.unsubscribe()

    def _run(self, leaving: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(leaving, name="sip leaving")
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_established(subscription: Subscription | None) -> bool:
    """Return True when the server has answered for a subscription."""
    return subscription is not None and bool(subscription.state.dialog.remote_tag)
