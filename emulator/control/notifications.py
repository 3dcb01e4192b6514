"""Change notifications: subscriptions from beginning to end, every POST to a webhook, and what goes wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from emulator.control.operation import Area, Asked, Body, Name
from emulator.notifications.faults import NotificationFault
from emulator.notifications.sent import Counts, Sent
from emulator.notifications.subscription import SubscriptionLife

if TYPE_CHECKING:
    from emulator.cloud import Cloud

area = Area("notifications", "Subscriptions to change notifications, what was sent to webhooks, and faults of it.")

MOST_ENTRIES = 20_000


class Which(Body):
    """Which subscriptions; all conditions hold together."""

    tenant: Name = ""
    app: Name = ""
    live: Literal["", "true", "false"] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the newest."""


class Lives(msgspec.Struct):
    """Subscriptions with what happened to them, in the order of their beginnings."""

    subscriptions: list[SubscriptionLife]


class Ending(Body):
    """How a subscription ends."""

    haunts_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """For how many of the world's seconds its ghost is in the way of a new one."""


class Search(Body):
    """Which POSTs; all conditions hold together."""

    subscription: Name = ""
    kind: Literal["", "validation", "notification", "lifecycle"] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)] = 1000
    """Of many the newest."""


class Posts(msgspec.Struct):
    """The POSTs that were found, oldest first; the counts and `total` are of all since the log was cleared."""

    total: int
    counts: Counts
    endpoints: dict[str, str]
    """How hosts are judged: origin -> `normal`, `slow` or `drop`."""
    posts: list[Sent]


class Faulty(msgspec.Struct):
    """The faults in force, oldest first."""

    faults: list[NotificationFault]


@area.operation("GET", "subscriptions", query=Which, answer=Lives)
def list_subscriptions(cloud: Cloud, asked: Asked) -> Lives:
    """List the subscriptions that there were, ended ones too."""
    query: Which = asked.query
    found = [
        life
        for life in cloud.subscriptions()
        if query.tenant.lower() in {"", life.tenant.lower()}
        and query.app.lower() in {"", life.app.lower()}
        and query.live in {"", "true" if life.ended_s is None else "false"}
    ]
    return Lives(found[-query.limit :])


@area.operation("DELETE", "subscriptions/{subscription}", query=Ending)
def end_subscription(cloud: Cloud, asked: Asked) -> None:
    """End a live subscription without a word, as if it had expired, or make a ghost of it."""
    cloud.end_subscription(asked.where["subscription"], haunts_s=asked.query.haunts_s)


@area.operation("POST", "subscriptions/{subscription}/challenge")
def challenge(cloud: Cloud, asked: Asked) -> None:
    """Send `reauthorizationRequired` for a live subscription now."""
    cloud.challenge_subscription(asked.where["subscription"])


@area.operation("GET", "notifications", query=Search, answer=Posts)
def search_posts(cloud: Cloud, asked: Asked) -> Posts:
    """Search the POSTs to webhooks, handshakes and repetitions among them."""
    query: Search = asked.query
    log = cloud.notifications.log
    posts = log.search(subscription=query.subscription, kind=query.kind, limit=query.limit)
    return Posts(log.total, log.counts, cloud.notifications.delivery.states(), posts)


@area.operation("DELETE", "notifications")
def clear_posts(cloud: Cloud, _asked: Asked) -> None:
    """Forget the POSTs and begin to count anew."""
    cloud.notifications.log.clear()


@area.operation("GET", "notifications/faults", answer=Faulty)
def list_faults(cloud: Cloud, _asked: Asked) -> Faulty:
    """List what goes wrong with notifications on purpose."""
    return Faulty(cloud.notifications.faults.all())


@area.operation("POST", "notifications/faults", body=NotificationFault, answer=NotificationFault)
def add_fault(cloud: Cloud, asked: Asked) -> NotificationFault:
    """Let something go wrong with the notifications of the subscriptions that meet its conditions."""
    return cloud.add_notification_fault(asked.body)


@area.operation("DELETE", "notifications/faults")
def remove_faults(cloud: Cloud, _asked: Asked) -> None:
    """Remove every fault of notifications."""
    cloud.notifications.faults.remove()


@area.operation("DELETE", "notifications/faults/{number}")
def remove_fault(cloud: Cloud, asked: Asked) -> None:
    """Remove one fault of notifications, by the `id` that it was given."""
    number = asked.where["number"]
    if not number.isdecimal() or len(number) > 18:
        raise LookupError(f"there is no fault {number}")
    cloud.notifications.faults.remove(int(number))
