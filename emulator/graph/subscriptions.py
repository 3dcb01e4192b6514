"""Subscriptions to change notifications, as far as presence goes: create, list, read, renew, reauthorise, delete.

    POST ── is it well-formed? 400 ── may its account? 403 ── handshake with both URLs: 400 ── is there one already? 409 ── 201

The order is assumed: texts that begin with "Operation: Create" come from the service behind, after Graph's own checks.
https://learn.microsoft.com/graph/api/resources/subscription and https://learn.microsoft.com/graph/changenotifications-for-presence
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from emulator.exchange import Answer, json_answer
from emulator.graph.errors import GraphError, bad_request
from emulator.notifications.crypto import Certificate, CertificateError, read_certificate
from emulator.notifications.dates import as_given, span_s
from emulator.notifications.subscription import LEAST_S, MOST_S, MOST_USERS, Subscription
from emulator.notifications.subscriptions import Taken

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.graph.access import Caller

T = TypeVar("T")

PERMISSION: Final = "Presence.Read.All"
READ_ALL: Final = "Subscription.Read.All"
MOST_CHARACTERS: Final = 128
"""Of `clientState` and `encryptionCertificateId`."""
MOST_URL: Final = 4096

_GUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ONE: Final = re.compile(rf"/?communications/presences(?:/({_GUID})|\('({_GUID})'\))/?")
_MANY: Final = re.compile(r"/?communications/presences/?\?(.*)", re.DOTALL)
_FILTER: Final = re.compile(r"id\s+in\s*\((.*)\)\s*", re.DOTALL)
_QUOTED: Final = re.compile(rf"\s*'({_GUID})'\s*")


class Wanted(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
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


class Change(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The body of a PATCH: nothing else of a subscription can be changed."""

    expiration_date_time: str | None = None
    encryption_certificate: str | None = None
    encryption_certificate_id: str | None = None


def route(
    cloud: Cloud, request: Request, caller: Caller, rest: Sequence[str]
) -> Answer | Coroutine[Any, Any, Answer] | None:
    """Answer a request below `/subscriptions`; None: there is no such path. What has to wait for a webhook is awaited.

    Raises (at once or when awaited):
        GraphError: it is refused.
    """
    match request.method, list(rest):
        case "POST", []:
            return create(cloud, request, caller)
        case "GET", []:
            return many(cloud, request, caller)
        case "GET", [subscription_id]:
            return one(cloud, request, caller, subscription_id)
        case "PATCH", [subscription_id]:
            return change(cloud, request, caller, subscription_id)
        case "DELETE", [subscription_id]:
            return remove(cloud, caller, subscription_id)
        case "POST", [subscription_id, "reauthorize"]:
            return reauthorise(cloud, caller, subscription_id)
    return None


async def create(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """Create a subscription; waits for its URLs to prove themselves.

    Raises:
        GraphError: it is refused.
    """
    wanted = _read(request, Wanted)
    _check(cloud, request, wanted)
    users = _users(cloud, caller, wanted.resource or "")
    certificate = _certificate(wanted)
    _demand(caller)
    expires_s, given = _expires(cloud, wanted.expiration_date_time)
    for url in filter(None, (wanted.notification_url, wanted.lifecycle_notification_url)):
        await _handshake(cloud, url)
    now_s = cloud.clock.now()
    subscription = Subscription(
        tenant_id=caller.tenant.tenant_id, app_id=caller.app_id, creator=caller.person, resource=wanted.resource or "",
        users=users, notification_url=wanted.notification_url or "",
        lifecycle_url=wanted.lifecycle_notification_url or "", client_state=wanted.client_state,
        certificate=certificate, tls_version=wanted.latest_supported_tls_version or "v1_2",
        issuer=f"{request.authority}/{caller.tenant.tenant_id}/v2.0", token_issued=caller.issued,
        token_expires_s=now_s + _left_s(cloud, caller), expires_s=max(expires_s, now_s),
    )  # fmt: skip
    try:
        cloud.notifications.begin(subscription, given)
    except Taken as error:
        raise _taken(cloud, caller) from error
    return json_answer(_told(cloud, request, subscription, secret=True, context="$entity"), 201)


def many(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """List the caller's subscriptions, a page at a time. `clientState` is not told."""
    found = [each for each in cloud.notifications.subscriptions if _visible(each, caller)]
    begin, size = _page(request), cloud.switches.subscription_page_size
    body: dict[str, Any] = {"@odata.context": f"{request.base}/v1.0/$metadata#subscriptions"}
    if len(found) > begin + size:
        body["@odata.nextLink"] = f"{request.base}/v1.0/subscriptions?$skiptoken={begin + size}"
    body["value"] = [_told(cloud, request, each) for each in found[begin : begin + size]]
    return json_answer(body)


def one(cloud: Cloud, request: Request, caller: Caller, subscription_id: str) -> Answer:
    """Read one of the caller's subscriptions."""
    subscription = cloud.notifications.subscriptions.find(subscription_id)
    if subscription is None or not _visible(subscription, caller):
        raise _not_found()
    return json_answer(_told(cloud, request, subscription, context="$entity"))


async def change(cloud: Cloud, request: Request, caller: Caller, subscription_id: str) -> Answer:
    """Renew a subscription, or give it another certificate; either remembers the request's access token."""
    wanted = _read(request, Change)
    subscription = _own(cloud, caller, subscription_id)
    _meet_refusal(cloud, subscription)
    if wanted == Change():
        raise bad_request("There is nothing to update: expirationDateTime is required.", "ValidationError")
    certificate = _renewed_certificate(subscription, wanted)
    expires_s, given = subscription.expires_s, subscription.expiration(cloud.clock)
    if wanted.expiration_date_time is not None:
        expires_s, given = _expires(cloud, wanted.expiration_date_time)
    if cloud.switches.renewal_handshake:
        await _handshake(cloud, subscription.notification_url)
    if not subscription.live:
        raise _not_found()
    subscription.certificate = certificate
    cloud.notifications.renew(subscription, expires_s, caller.issued, cloud.clock.now() + _left_s(cloud, caller), given)
    if cloud.switches.renewal_status == 204:
        return Answer(204)
    return json_answer(_told(cloud, request, subscription, context="$entity"))


def reauthorise(cloud: Cloud, caller: Caller, subscription_id: str) -> Answer:
    """Remember the request's access token for a subscription, without extending it."""
    subscription = _own(cloud, caller, subscription_id)
    _meet_refusal(cloud, subscription)
    cloud.notifications.reauthorise(subscription, caller.issued, cloud.clock.now() + _left_s(cloud, caller))
    return Answer(204)


def remove(cloud: Cloud, caller: Caller, subscription_id: str) -> Answer:
    """Delete a subscription."""
    cloud.notifications.subscriptions.end(_own(cloud, caller, subscription_id), "deleted")
    return Answer(204)


# What is asked for


def _read(request: Request, kind: type[T]) -> T:
    """A body; annotations such as `@odata.type`, which SDKs send, are passed over."""
    try:
        raw = msgspec.json.decode(request.body, type=dict[str, Any])
        return msgspec.convert({name: value for name, value in raw.items() if not name.startswith("@")}, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error


def _check(cloud: Cloud, request: Request, wanted: Wanted) -> None:
    """Check what can be checked without knowing who asks."""
    required = {"changeType": wanted.change_type, "notificationUrl": wanted.notification_url, "resource": wanted.resource,
                "expirationDateTime": wanted.expiration_date_time}  # fmt: skip
    if cloud.switches.client_state_required:
        required["clientState"] = wanted.client_state
    for name, value in required.items():
        if not value:
            raise _invalid(f"{name} is a required property for subscription creation")
    for name, url in (
        ("notificationUrl", wanted.notification_url),
        ("lifecycleNotificationUrl", wanted.lifecycle_notification_url),
    ):
        if url is not None and not _is_https(url):
            raise _invalid(f"The {name} must be a well-formed URL of the https scheme.")
    if request.cloud != "global":
        raise _invalid("Subscriptions to presence are not supported in this cloud.")
    if (wanted.change_type or "").lower() != "updated":
        raise _invalid(f"Unsupported change type '{wanted.change_type}': presence supports 'updated'.")
    for name, text in (
        ("clientState", wanted.client_state),
        ("encryptionCertificateId", wanted.encryption_certificate_id),
    ):
        if text is not None and len(text) > MOST_CHARACTERS:
            raise _invalid(f"{name} must not exceed {MOST_CHARACTERS} characters; it has {len(text)}.")


def _is_https(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MOST_URL:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _users(cloud: Cloud, caller: Caller, resource: str) -> frozenset[str]:
    """The object ids, in lower case, that a resource names."""
    single, several = _ONE.fullmatch(resource), _MANY.fullmatch(resource)
    if single is not None:
        ids = [single.group(1) or single.group(2)]
    elif several is not None:
        ids = _filtered(several.group(1))
    else:
        raise _invalid(f"The resource '{resource[:200]}' is not supported for change notifications.")
    users = frozenset(user_id.lower() for user_id in ids)
    if len(users) > MOST_USERS:
        raise _invalid(f"A subscription must not name more than {MOST_USERS} users; there are {len(users)}.")
    unknown = [user_id for user_id in users if user_id not in caller.tenant.people]
    if unknown and cloud.switches.subscription_unknown_ids == "refuse_400":
        raise _refused(400, "BadRequest", f"The users {', '.join(sorted(unknown)[:5])} were not found.")
    return users


def _filtered(query: str) -> list[str]:
    """The ids of `$filter=id in ('…','…')`; they have to be quoted."""
    name, _, value = query.partition("=")
    found = _FILTER.fullmatch(value) if name == "$filter" else None
    if found is None:
        raise _refused(
            400, "BadRequest", f"Invalid query: '{query[:100]}'; presence takes $filter=id in ('…') and nothing else."
        )
    ids = [_QUOTED.fullmatch(part) for part in found.group(1).split(",")]
    if None in ids:
        raise _refused(400, "BadRequest", "Invalid filter clause")
    return [each.group(1) for each in ids if each is not None]


def _certificate(wanted: Wanted) -> Certificate | None:
    """The certificate of a rich subscription; None for a basic one."""
    if not wanted.include_resource_data:
        return None
    for name, text in (
        ("encryptionCertificate", wanted.encryption_certificate),
        ("encryptionCertificateId", wanted.encryption_certificate_id),
    ):
        if not text:
            raise _invalid(f"{name} is required when includeResourceData is set to true.")
    return _certified(wanted.encryption_certificate or "", wanted.encryption_certificate_id or "")


def _renewed_certificate(subscription: Subscription, wanted: Change) -> Certificate | None:
    """The certificate after a change: another one, the same by another id, or the same."""
    if wanted.encryption_certificate is None and wanted.encryption_certificate_id is None:
        return subscription.certificate
    if subscription.certificate is None:
        raise _invalid("The subscription does not include resource data, so it has no encryption certificate.")
    name = wanted.encryption_certificate_id or ""
    if not name or len(name) > MOST_CHARACTERS or wanted.encryption_certificate is None:
        raise _invalid("encryptionCertificate and encryptionCertificateId must be updated together.")
    return _certified(wanted.encryption_certificate, name)


def _certified(text: str, certificate_id: str) -> Certificate:
    try:
        return read_certificate(text, certificate_id)
    except CertificateError as error:
        raise _invalid(str(error)) from error


def _expires(cloud: Cloud, text: str | None) -> tuple[float, str]:
    """When a subscription that is to expire then really expires, in the world's seconds, and how that is told.

    The text is empty where the date that was asked for is not when it expires: the life is lengthened, or the clock scaled.
    """
    try:
        date = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise _invalid(f"expirationDateTime is not a date: '{(text or '')[:50]}'.") from error
    if date.tzinfo is None:
        raise _invalid("expirationDateTime must have an offset from UTC, such as Z.")
    wanted_s = span_s(cloud.clock, date)
    if wanted_s > MOST_S:
        raise GraphError(
            400, "ExtensionError", f"Subscription expiration can only be {MOST_S // 60:.0f} minutes in the future."
        )
    given = as_given(text or "") if wanted_s >= LEAST_S and cloud.clock.speed == 1 else ""
    return cloud.clock.now() + max(wanted_s, LEAST_S), given


def _page(request: Request) -> int:
    token = request.queries().get("$skiptoken", "0")
    if not token.isdecimal() or len(token) > 9:
        raise bad_request("The $skiptoken is not one of this service.")
    return int(token)


# Who may


def _demand(caller: Caller) -> None:
    """Presence subscriptions are made on behalf of an account that may read presence."""
    if PERMISSION not in caller.scopes:
        raise _refused(403, "Forbidden", "The request is not authorized for this user or application.")


def _visible(subscription: Subscription, caller: Caller) -> bool:
    """https://learn.microsoft.com/graph/api/subscription-list says who sees what."""
    if subscription.tenant_id != caller.tenant.tenant_id:
        return False
    if caller.is_app:
        return subscription.app_id == caller.app_id
    own = subscription.creator is caller.person
    if READ_ALL in caller.scopes:
        return own or caller.person.role == "admin"
    return own and subscription.app_id == caller.app_id


def _own(cloud: Cloud, caller: Caller, subscription_id: str) -> Subscription:
    """A subscription that the caller made."""
    subscription = cloud.notifications.subscriptions.find(subscription_id)
    if subscription is None or subscription.creator is not caller.person or subscription.app_id != caller.app_id:
        raise _not_found()
    if PERMISSION not in caller.scopes:
        raise GraphError(403, "Forbidden", "The request is not authorized for this user or application.")
    return subscription


def _left_s(cloud: Cloud, caller: Caller) -> float:
    """How long the caller's access token is still good, which counts in the world's seconds from here on."""
    return caller.expires - cloud.clock.utc()


# Answers


async def _handshake(cloud: Cloud, url: str) -> None:
    fault = await cloud.notifications.handshake(url)
    if fault:
        raise _invalid(fault)


def _meet_refusal(cloud: Cloud, subscription: Subscription) -> None:
    fault = cloud.notifications.faults.meet("renewal_refused", subscription)
    if fault is not None:
        raise GraphError(
            fault.status, "ExtensionError", "Operation: Update; Exception: [The renewal is refused by a fault.]"
        )


def _taken(cloud: Cloud, caller: Caller) -> GraphError:
    if cloud.switches.second_subscription == "forbidden_403":
        text = f"App '{caller.app_id}' has reached its limit of '1' 'presences' subscription on tenant '{caller.tenant.tenant_id}'"
        return _refused(403, "Forbidden", text)
    text = "A subscripton already exists. It must be deleted before a another can be made."  # so Microsoft spells it
    return _refused(409, "Conflict", text)


def _refused(status: int, name: str, reason: str) -> GraphError:
    """A refusal of the service behind Graph."""
    text = f"Operation: Create; Exception: [Status Code: {name}; Reason: {reason}]"
    return GraphError(status, "ExtensionError", text)


def _invalid(text: str) -> GraphError:
    return GraphError(400, "ValidationError", text)


def _not_found() -> GraphError:
    return GraphError(404, "ResourceNotFound", "The object was not found.")


def _told(
    cloud: Cloud, request: Request, subscription: Subscription, *, secret: bool = False, context: str = ""
) -> dict[str, Any]:
    """A subscription as Graph shows it; `clientState` only to whoever just sent it."""
    head = {"@odata.context": f"{request.base}/v1.0/$metadata#subscriptions/{context}"} if context else {}
    certificate = subscription.certificate
    return {
        **head,
        "id": subscription.subscription_id,
        "resource": subscription.resource,
        "applicationId": subscription.app_id,
        "changeType": "updated",
        "clientState": subscription.client_state if secret else None,
        "notificationUrl": subscription.notification_url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": subscription.lifecycle_url or None,
        "expirationDateTime": subscription.expiration(cloud.clock),
        "creatorId": subscription.creator.oid,
        "includeResourceData": certificate is not None,
        "latestSupportedTlsVersion": subscription.tls_version,
        "encryptionCertificate": None,
        "encryptionCertificateId": certificate.certificate_id if certificate is not None else None,
        "notificationUrlAppId": None,
    }
