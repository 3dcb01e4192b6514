"""Reads the bodies of POST and PATCH /subscriptions, and checks them by Graph's rules for subscriptions to presence.

https://learn.microsoft.com/graph/api/resources/subscription and https://learn.microsoft.com/graph/changenotifications-for-presence
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from emulator.graph.errors import GraphError, bad_request
from emulator.notifications.crypto import Certificate, CertificateError, read_certificate
from emulator.notifications.dates import as_given, span_s
from emulator.notifications.subscription import LEAST_S, MOST_S, MOST_USERS, Subscription

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.graph.access import Caller

T = TypeVar("T")

MOST_CHARACTERS: Final = 128
"""Maximum length of `clientState` and `encryptionCertificateId`."""
MOST_URL: Final = 4096

_GUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ONE: Final = re.compile(rf"/?communications/presences(?:/({_GUID})|\('({_GUID})'\))/?")
_MANY: Final = re.compile(r"/?communications/presences/?\?(.*)", re.DOTALL)
_FILTER: Final = re.compile(r"id\s+in\s*\((.*)\)\s*", re.DOTALL)
_QUOTED: Final = re.compile(rf"\s*'({_GUID})'\s*")


class SubscriptionRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a POST."""

    change_type: str | None = None
    notification_url: str | None = None
    lifecycle_notification_url: str | None = None
    resource: str | None = None
    expiration_date_time: str | None = None
    client_state: str | None = None
    include_resource_data: bool | None = None
    encryption_certificate: str | None = None
    encryption_certificate_id: str | None = None
    latest_supported_tls_version: Literal["v1_0", "v1_1", "v1_2", "v1_3"] | None = None
    notification_query_options: None = None
    notification_url_app_id: None = None
    application_id: str | None = None
    creator_id: str | None = None
    id: str | None = None


class SubscriptionUpdate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a PATCH: only these fields can be changed."""

    expiration_date_time: str | None = None
    encryption_certificate: str | None = None
    encryption_certificate_id: str | None = None


def read_body(request: Request, kind: type[T]) -> T:
    """Return a request's body; annotations such as `@odata.type`, which SDKs send, are ignored."""
    try:
        raw = msgspec.json.decode(request.body, type=dict[str, Any])
        return msgspec.convert({name: value for name, value in raw.items() if not name.startswith("@")}, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error


def check(cloud: Cloud, request: Request, wanted: SubscriptionRequest) -> None:
    """Check everything that does not depend on the caller."""
    required = {"changeType": wanted.change_type, "notificationUrl": wanted.notification_url, "resource": wanted.resource,
                "expirationDateTime": wanted.expiration_date_time}  # fmt: skip
    if cloud.switches.client_state_required:
        required["clientState"] = wanted.client_state
    for name, value in required.items():
        if not value:
            raise invalid(f"{name} is a required property for subscription creation")
    for name, url in (
        ("notificationUrl", wanted.notification_url),
        ("lifecycleNotificationUrl", wanted.lifecycle_notification_url),
    ):
        if url is not None and not _is_https(url):
            raise invalid(f"The {name} must be a well-formed URL of the https scheme.")
    if request.cloud != "global":
        raise invalid("Subscriptions to presence are not supported in this cloud.")
    if (wanted.change_type or "").lower() != "updated":
        raise invalid(f"Unsupported change type '{wanted.change_type}': presence supports 'updated'.")
    for name, text in (
        ("clientState", wanted.client_state),
        ("encryptionCertificateId", wanted.encryption_certificate_id),
    ):
        if text is not None and len(text) > MOST_CHARACTERS:
            raise invalid(f"{name} must not exceed {MOST_CHARACTERS} characters; it has {len(text)}.")


def _is_https(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MOST_URL:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def users_of(cloud: Cloud, caller: Caller, resource: str) -> frozenset[str]:
    """Return the object ids, in lower case, that a resource names."""
    single, several = _ONE.fullmatch(resource), _MANY.fullmatch(resource)
    if single is not None:
        ids = [single.group(1) or single.group(2)]
    elif several is not None:
        ids = _filtered(several.group(1))
    else:
        raise invalid(f"The resource '{resource[:200]}' is not supported for change notifications.")
    users = frozenset(user_id.lower() for user_id in ids)
    if len(users) > MOST_USERS:
        raise invalid(f"A subscription must not name more than {MOST_USERS} users; there are {len(users)}.")
    unknown = [user_id for user_id in users if user_id not in caller.tenant.people]
    if unknown and cloud.switches.subscription_unknown_ids == "refuse_400":
        raise refused(400, "BadRequest", f"The users {', '.join(sorted(unknown)[:5])} were not found.")
    return users


def _filtered(query: str) -> list[str]:
    """Return the ids of `$filter=id in ('…','…')`; they must be quoted."""
    name, _, value = query.partition("=")
    found = _FILTER.fullmatch(value) if name == "$filter" else None
    if found is None:
        raise refused(
            400, "BadRequest", f"Invalid query: '{query[:100]}'; presence takes $filter=id in ('…') and nothing else."
        )
    ids = [_QUOTED.fullmatch(part) for part in found.group(1).split(",")]
    if None in ids:
        raise refused(400, "BadRequest", "Invalid filter clause")
    return [each.group(1) for each in ids if each is not None]


def certificate_of(wanted: SubscriptionRequest) -> Certificate | None:
    """Return the certificate of a rich subscription; None for a basic one."""
    if not wanted.include_resource_data:
        return None
    for name, text in (
        ("encryptionCertificate", wanted.encryption_certificate),
        ("encryptionCertificateId", wanted.encryption_certificate_id),
    ):
        if not text:
            raise invalid(f"{name} is required when includeResourceData is set to true.")
    return _certified(wanted.encryption_certificate or "", wanted.encryption_certificate_id or "")


def renewed_certificate(subscription: Subscription, wanted: SubscriptionUpdate) -> Certificate | None:
    """Return the certificate after a change: a new one, the same with a new id, or the same."""
    if wanted.encryption_certificate is None and wanted.encryption_certificate_id is None:
        return subscription.certificate
    if subscription.certificate is None:
        raise invalid("The subscription does not include resource data, so it has no encryption certificate.")
    name = wanted.encryption_certificate_id or ""
    if not name or len(name) > MOST_CHARACTERS or wanted.encryption_certificate is None:
        raise invalid("encryptionCertificate and encryptionCertificateId must be updated together.")
    return _certified(wanted.encryption_certificate, name)


def _certified(text: str, certificate_id: str) -> Certificate:
    try:
        return read_certificate(text, certificate_id)
    except CertificateError as error:
        raise invalid(str(error)) from error


def expiry_of(cloud: Cloud, text: str | None) -> tuple[float, str]:
    """Return the real expiry for a requested date, in the world's seconds, and its text in answers.

    The text is empty if the subscription expires at another time than requested: its life is lengthened, or the clock scaled.
    """
    try:
        date = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise invalid(f"expirationDateTime is not a date: '{(text or '')[:50]}'.") from error
    if date.tzinfo is None:
        raise invalid("expirationDateTime must have an offset from UTC, such as Z.")
    wanted_s = span_s(cloud.clock, date)
    if wanted_s > MOST_S:
        raise GraphError(
            400, "ExtensionError", f"Subscription expiration can only be {MOST_S // 60:.0f} minutes in the future."
        )
    given = as_given(text or "") if wanted_s >= LEAST_S and cloud.clock.speed == 1 else ""
    return cloud.clock.now() + max(wanted_s, LEAST_S), given


def refused(status: int, name: str, reason: str) -> GraphError:
    """Return a refusal by the service behind Graph."""
    text = f"Operation: Create; Exception: [Status Code: {name}; Reason: {reason}]"
    return GraphError(status, "ExtensionError", text)


def invalid(text: str) -> GraphError:
    """Return a refusal of a subscription by Graph itself, before it calls the service behind."""
    return GraphError(400, "ValidationError", text)
