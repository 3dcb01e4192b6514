"""Operations on change notifications: subscriptions, the POSTs to webhooks, and faults of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from emulator.control.operation import Area, Body, ControlRequest, Name
from emulator.notifications.faults import NotificationFault
from emulator.notifications.sent import Counts, Sent
from emulator.notifications.subscription import SubscriptionLife

if TYPE_CHECKING:
    from emulator.cloud import Cloud

area = Area("notifications", "Subscriptions to change notifications, the POSTs to webhooks, and faults of both.")

MOST_ENTRIES = 20_000


class SubscriptionSearch(Body):
    """The conditions of a search for subscriptions; all must hold."""

    tenant: Name = ""
    app: Name = ""
    live: Literal["", "true", "false"] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the newest."""


class SubscriptionList(msgspec.Struct):
    """Subscriptions with their history, in the order in which they were created."""

    subscriptions: list[SubscriptionLife]


class SubscriptionEnd(Body):
    """The way in which a subscription ends."""

    haunts_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """The world's seconds for which its ghost blocks a new subscription."""


class PostSearch(Body):
    """The conditions of a search for POSTs; all must hold."""

    subscription: Name = ""
    kind: Literal["", "validation", "notification", "lifecycle"] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the newest."""


class PostList(msgspec.Struct):
    """The POSTs that match, oldest first; the counts and `total` cover all since the log was cleared."""

    total: int
    counts: Counts
    endpoints: dict[str, str]
    """States of hosts: origin -> `normal`, `slow` or `drop`."""
    posts: list[Sent]


class NotificationFaultList(msgspec.Struct):
    """The faults in force, oldest first."""

    faults: list[NotificationFault]


@area.operation("GET", "subscriptions", query=SubscriptionSearch, answer=SubscriptionList)
def list_subscriptions(cloud: Cloud, asked: ControlRequest) -> SubscriptionList:
    """List the subscriptions, including ended ones."""
    query: SubscriptionSearch = asked.query
    found = [
        life
        for life in cloud.subscriptions()
        if query.tenant.lower() in {"", life.tenant.lower()}
        and query.app.lower() in {"", life.app.lower()}
        and query.live in {"", "true" if life.ended_s is None else "false"}
    ]
    return SubscriptionList(found[-query.limit :])


@area.operation("DELETE", "subscriptions/{subscription}", query=SubscriptionEnd)
def end_subscription(cloud: Cloud, asked: ControlRequest) -> None:
    """End a live subscription without notice, as if it had expired, or make a ghost of it."""
    cloud.end_subscription(asked.where["subscription"], haunts_s=asked.query.haunts_s)


@area.operation("POST", "subscriptions/{subscription}/challenge")
def challenge(cloud: Cloud, asked: ControlRequest) -> None:
    """Send `reauthorizationRequired` for a live subscription now."""
    cloud.challenge_subscription(asked.where["subscription"])


@area.operation("GET", "notifications", query=PostSearch, answer=PostList)
def search_posts(cloud: Cloud, asked: ControlRequest) -> PostList:
    """Search the POSTs to webhooks, including handshakes and repetitions."""
    query: PostSearch = asked.query
    log = cloud.notifications.log
    posts = log.search(subscription=query.subscription, kind=query.kind, limit=query.limit)
    return PostList(log.total, log.counts, cloud.notifications.delivery.states(), posts)


@area.operation("DELETE", "notifications")
def clear_posts(cloud: Cloud, _asked: ControlRequest) -> None:
    """Delete the list of POSTs and restart the counts."""
    cloud.notifications.log.clear()


@area.operation("GET", "notifications/faults", answer=NotificationFaultList)
def list_faults(cloud: Cloud, _asked: ControlRequest) -> NotificationFaultList:
    """List the faults of notifications in force."""
    return NotificationFaultList(cloud.notifications.faults.all())


@area.operation("POST", "notifications/faults", body=NotificationFault, answer=NotificationFault)
def add_fault(cloud: Cloud, asked: ControlRequest) -> NotificationFault:
    """Put a fault in force for the notifications of the subscriptions that meet its conditions."""
    return cloud.add_notification_fault(asked.body)


@area.operation("DELETE", "notifications/faults")
def remove_faults(cloud: Cloud, _asked: ControlRequest) -> None:
    """Remove every fault of notifications."""
    cloud.notifications.faults.remove()


@area.operation("DELETE", "notifications/faults/{number}")
def remove_fault(cloud: Cloud, asked: ControlRequest) -> None:
    """Remove one fault of notifications, by its `id`."""
    number = asked.where["number"]
    if not number.isdecimal() or len(number) > 18:
        raise LookupError(f"there is no fault {number}")
    cloud.notifications.faults.remove(int(number))
