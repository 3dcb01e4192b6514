"""One subscription, its history, and one notification on its way to it: the values that the other modules share."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from emulator.notifications.dates import graph_date

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.clock import Clock, Due
    from emulator.notifications.crypto import Certificate
    from emulator.notifications.sent import PostKind
    from emulator.world import Person

MOST_USERS: Final = 650
"""https://learn.microsoft.com/graph/changenotifications-for-presence"""
MOST_S: Final = 60 * 60.0
"""https://learn.microsoft.com/graph/api/resources/subscription#subscription-lifetime"""
LEAST_S: Final = 45 * 60.0
"""Shorter ones are made this long: https://learn.microsoft.com/graph/api/resources/subscription"""
EventKind = Literal["created", "renewed", "reauthorised", "expired", "deleted", "ghost", "reset"]


class Event(msgspec.Struct, gc=False):
    """Something that happened to a subscription."""

    what: EventKind
    at_s: float
    """The world's seconds."""
    utc: float
    """Seconds since 1970."""


class SubscriptionLife(msgspec.Struct, kw_only=True):
    """A subscription from its beginning to its end. `ended_s` is None while it is live."""

    id: str
    tenant: str
    app: str
    creator: str
    """Object id of the account that it was made for."""
    resource: str
    users: int
    notification_url: str
    rich: bool
    created_s: float
    expires_s: float
    """The world's seconds when it expires as things stand."""
    ended_s: float | None = None
    events: list[Event] = msgspec.field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    """One live subscription; all times ending in `_s` are the world's seconds."""

    tenant_id: str
    app_id: str
    creator: Person
    resource: str
    users: frozenset[str]
    """Object ids in lower case."""
    notification_url: str
    lifecycle_url: str
    """Empty: no lifecycle notifications."""
    client_state: str | None
    certificate: Certificate | None
    """None: basic notifications."""
    tls_version: str
    issuer: str
    """The issuer of validation tokens of version 2.0 for it."""
    token_issued: float
    """Seconds since 1970."""
    token_expires_s: float
    expires_s: float
    subscription_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    live: bool = True
    held: deque[Notice] = field(default_factory=deque)
    """Notifications that wait for reauthorisation."""
    last_due_s: dict[str, float] = field(default_factory=dict)
    """User id -> the time when their last notification is sent; the next one must not be sent before."""
    withheld: dict[str, Notice] = field(default_factory=dict)
    """User id -> the notification that a fault withholds until the next one."""
    expiry: Due | None = None
    reminder: Due | None = None
    last_expiration: tuple[tuple[float, ...], str] | None = None
    """The date of expiry in the last answer, and the clock's course at that time; None before the first answer."""
    life: SubscriptionLife = field(init=False)

    def __post_init__(self) -> None:
        self.life = SubscriptionLife(
            id=self.subscription_id, tenant=self.tenant_id, app=self.app_id, creator=self.creator.oid,
            resource=self.resource, users=len(self.users), notification_url=self.notification_url,
            rich=self.certificate is not None, created_s=0.0, expires_s=self.expires_s,
        )  # fmt: skip

    def expiration(self, clock: Clock) -> str:
        """Return the date of expiry in Graph's format: always the same text unless the clock is changed."""
        if self.last_expiration is not None and clock.speed and self.last_expiration[0] == clock.course:
            return self.last_expiration[1]
        text = graph_date(clock, self.expires_s)
        self.last_expiration = (clock.course, text)
        return text


class Target(NamedTuple):
    """The destination of a batch of notifications: one URL, with a separate batch for lifecycle notifications."""

    kind: PostKind
    url: str


@dataclass(slots=True, eq=False)
class Notice:
    """One scheduled notification. `encode` writes its JSON at the first POST, because encryption is most of the work."""

    subscription: Subscription
    kind: PostKind
    made_s: float
    encode: Callable[[], bytes]
    raw: bytes = b""

    @property
    def target(self) -> Target:
        """Return the destination of the notification."""
        subscription = self.subscription
        url = subscription.lifecycle_url if self.kind == "lifecycle" else subscription.notification_url
        return Target(self.kind, url)
