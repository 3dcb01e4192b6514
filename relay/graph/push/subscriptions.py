"""Creates, renews, deletes and lists Graph's change-notification subscriptions.

https://learn.microsoft.com/graph/changenotifications-for-presence: one subscription for each application and signed-in user,
of at most 650 users, for at most 60 minutes; delegated permission only; its users cannot be changed afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

import msgspec

from relay.core.presence import UserId
from relay.errors import (
    AccessDenied,
    Bug,
    RelayError,
    RequestRefused,
    SourceUnreachable,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionRefused,
    WebhookUnreachable,
)
from relay.graph.client import GraphClient, TokenSource
from relay.graph.errors import UNREADABLE, error_code, translate
from relay.graph.push.certificates import Certificate

PATH: Final = "/v1.0/subscriptions"
MAX_USERS: Final = 650
MAX_LIFETIME: Final = timedelta(minutes=60)
"""Graph refuses more, and raises less than 45 minutes to 45. The value in its answer counts."""

_CREATE_PATIENCE: Final = timedelta(seconds=40)
"""Time limit: before it answers, Graph calls our webhook twice, with 10 s for each call."""
_MAX_FOLLOWED: Final = 50
"""Pages of a list that are read at most: an account has one subscription, and an endless list must not be followed."""
_MAX_SAID_CHARS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """A subscription to request.

    Attributes:
        users: the users that it covers, 1 to 650, each once.
        notification_url: where Graph sends notifications and lifecycle notifications.
        client_state: the secret that Graph repeats in each of them, at most 128 characters.
        certificate: the certificate that they are encrypted for.
        expires: at most 60 minutes ahead.
    """

    users: tuple[UserId, ...] = field(repr=False)
    notification_url: str = field(repr=False)
    client_state: str = field(repr=False)
    certificate: Certificate
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A subscription as Graph has it.

    Attributes:
        subscription_id: Graph's id.
        expires: when it ends unless it is renewed.
        notification_url: where its notifications go.
        resource: the users that it covers, in Graph's form.
        client_state: None where Graph leaves it out, as in lists.
        creator_id: object id of the account that created it; empty if Graph leaves it out.
    """

    subscription_id: str
    expires: datetime
    notification_url: str = field(repr=False)
    resource: str = field(repr=False)
    client_state: str | None = field(repr=False)
    creator_id: str


async def create(client: GraphClient, token: TokenSource, wanted: SubscriptionRequest) -> Subscribed:
    """Create a subscription. Graph calls the webhook before it answers.

    Raises:
        SubscriptionExists: the account has one already.
        SubscriptionRefused: a limit is reached.
        WebhookUnreachable: the webhook did not answer Graph's handshake.
        AccessDenied: Graph allows this account no subscription at all.
        RequestRefused: Graph calls the request bad.
        SourceUnreachable: no answer, or an invalid one. The subscription may exist; `list_all` shows it.
        RelayError: as `GraphClient` says.
    """
    if not 1 <= len(wanted.users) <= MAX_USERS:
        raise Bug(f"{len(wanted.users)} users in a subscription of 1 to {MAX_USERS}")
    body = {
        "changeType": "updated",
        "notificationUrl": wanted.notification_url,
        "lifecycleNotificationUrl": wanted.notification_url,
        "resource": _resource(wanted.users),
        "expirationDateTime": _zulu(wanted.expires),
        "clientState": wanted.client_state,
        "includeResourceData": True,
        "encryptionCertificate": wanted.certificate.public,
        "encryptionCertificateId": wanted.certificate.certificate_id,
    }
    status, answer = await client.send("POST", token, PATH, _encode(body), patience=_CREATE_PATIENCE)
    if 200 <= status < 300:
        return _subscribed(_decoded(answer))
    raise _refusal(status, answer)


async def renew(
    client: GraphClient,
    token: TokenSource,
    subscription_id: str,
    expires: datetime,
    certificate: Certificate | None = None,
) -> datetime:
    """Extend a subscription, which also extends Graph's permission to deliver to the life of the token; return the new end.

    Args:
        client: Graph.
        token: of the account that created it.
        subscription_id: Graph's id.
        expires: at most 60 minutes ahead.
        certificate: the certificate that notifications are encrypted for from now on; None leaves it unchanged.

    Raises:
        SubscriptionGone: there is no subscription with this id.
        RelayError: as `create`.
    """
    body = {"expirationDateTime": _zulu(expires)}
    if certificate is not None:
        body |= {
            "encryptionCertificate": certificate.public,
            "encryptionCertificateId": certificate.certificate_id,
        }
    status, answer = await client.send("PATCH", token, _path(subscription_id), _encode(body), patience=_CREATE_PATIENCE)
    if status in _GONE:
        raise SubscriptionGone("Graph knows no such subscription")
    if not 200 <= status < 300:
        raise _refusal(status, answer)
    # Older documentation says 204 without a body: then the requested end counts.
    return _subscribed(_decoded(answer)).expires if answer.strip() else expires


_GONE: Final = (404, 410)


async def delete(client: GraphClient, token: TokenSource, subscription_id: str) -> None:
    """Delete a subscription; a missing one is no error."""
    status, answer = await client.send("DELETE", token, _path(subscription_id))
    if not 200 <= status < 300 and status not in _GONE:
        raise _refusal(status, answer)


async def list_all(client: GraphClient, token: TokenSource) -> list[Subscribed]:
    """Return all subscriptions of this application and account."""
    path, found = PATH, []
    for _ in range(_MAX_FOLLOWED):
        page = _page(await client.get(token, path))
        found += [_subscribed(one) for one in page.value]
        if not page.next_link:
            return found
        path = page.next_link
    raise SourceUnreachable("Graph's list of subscriptions never ends")


class _Subscription(msgspec.Struct, rename="camel"):
    id: str
    expiration_date_time: str
    notification_url: str | None = None
    resource: str | None = None
    client_state: str | None = None
    creator_id: str | None = None


class _Page(msgspec.Struct):
    value: list[_Subscription]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


class _Error(msgspec.Struct):
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error


_encode: Final = msgspec.json.Encoder().encode
_SUBSCRIPTION: Final = msgspec.json.Decoder(_Subscription)
_PAGE: Final = msgspec.json.Decoder(_Page)
_ERROR: Final = msgspec.json.Decoder(_ErrorBody)

_LIMIT: Final = re.compile(r"\b(limit|quota|maximum|exceed)", re.IGNORECASE)
_EXISTS: Final = re.compile(r"already exists", re.IGNORECASE)
_HANDSHAKE: Final = re.compile(r"validation|validate|notification ?(url|endpoint)", re.IGNORECASE)
"""`Subscription validation request failed. …` and `… timed out`: the error code of such an answer is general."""
_FRACTION: Final = re.compile(r"(\.\d{6})\d+")


def _resource(users: tuple[UserId, ...]) -> str:
    # The ids must be quoted: `invalid filter clause` otherwise.
    quoted = ",".join([f"'{user}'" for user in users])
    return f"/communications/presences?$filter=id in ({quoted})"


def _path(subscription_id: str) -> str:
    return f"{PATH}/{quote(subscription_id, safe='')}"


def _decoded(body: bytes) -> _Subscription:
    try:
        return _SUBSCRIPTION.decode(body)
    except UNREADABLE as error:
        raise SourceUnreachable("Graph's answer is not a subscription") from error


def _page(body: bytes) -> _Page:
    try:
        return _PAGE.decode(body)
    except UNREADABLE as error:
        raise SourceUnreachable("Graph's answer is not a list of subscriptions") from error


def _subscribed(one: _Subscription) -> Subscribed:
    return Subscribed(
        subscription_id=one.id,
        expires=_instant(one.expiration_date_time),
        notification_url=one.notification_url or "",
        resource=one.resource or "",
        client_state=one.client_state,
        creator_id=(one.creator_id or "").lower(),
    )


def _refusal(status: int, body: bytes) -> RelayError:
    """Return the error for a refused call."""
    said = _said(body)
    words = f"Graph answered {status} {error_code(body)}: {said}"
    if status == 409 or _EXISTS.search(said):
        return SubscriptionExists(words)
    error = translate(status, body)
    if isinstance(error, AccessDenied) and _LIMIT.search(said):
        return SubscriptionRefused(words)
    if isinstance(error, RequestRefused) and status == 400 and _HANDSHAKE.search(said):
        return WebhookUnreachable(words)
    return error


def _said(body: bytes) -> str:
    """Return Graph's message about a subscription, truncated: it names the limit or our webhook's answer, and no user."""
    try:
        text = _ERROR.decode(body).error.message
    except UNREADABLE:
        return ""
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_SAID_CHARS])


def _zulu(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    """Graph writes seven digits after the decimal point."""
    try:
        found = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError:
        raise SourceUnreachable("Graph's subscription has no readable end") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
