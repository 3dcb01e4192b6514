"""Subscriptions to change notifications for presence: create, list, read, renew, reauthorise, delete.

    POST ── malformed: 400 ── account not permitted: 403 ── handshake with both URLs fails: 400 ── one exists already: 409 ── 201

The order is assumed: texts that begin with "Operation: Create" come from the service behind Graph, after Graph's own checks.
https://learn.microsoft.com/graph/api/resources/subscription and https://learn.microsoft.com/graph/changenotifications-for-presence
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emulator.exchange import Answer, json_answer
from emulator.graph import subscription_requests as requests
from emulator.graph.errors import GraphError, bad_request
from emulator.notifications.subscription import Subscription
from emulator.notifications.subscriptions import SubscriptionExists

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.graph.access import Caller

PERMISSION: Final = "Presence.Read.All"
READ_ALL: Final = "Subscription.Read.All"


def route(
    cloud: Cloud, request: Request, caller: Caller, rest: Sequence[str]
) -> Answer | Coroutine[Any, Any, Answer] | None:
    """Answer a request below `/subscriptions`; None: there is no such path. If a webhook is involved, the answer is a coroutine.

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
    """Create a subscription, after the handshakes with its URLs.

    Raises:
        GraphError: it is refused.
    """
    wanted = requests.read_body(request, requests.SubscriptionRequest)
    requests.check(cloud, request, wanted)
    users = requests.users_of(cloud, caller, wanted.resource or "")
    certificate = requests.certificate_of(wanted)
    _demand(caller)
    expires_s, given = requests.expiry_of(cloud, wanted.expiration_date_time)
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
    except SubscriptionExists as error:
        raise _taken(cloud, caller) from error
    return json_answer(_told(cloud, request, subscription, secret=True, context="$entity"), 201)


def many(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """List the caller's subscriptions, a page at a time, without `clientState`."""
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
    """Renew a subscription or replace its certificate; both store the request's access token."""
    wanted = requests.read_body(request, requests.SubscriptionUpdate)
    subscription = _own(cloud, caller, subscription_id)
    _meet_refusal(cloud, subscription)
    if wanted == requests.SubscriptionUpdate():
        raise bad_request("There is nothing to update: expirationDateTime is required.", "ValidationError")
    certificate = requests.renewed_certificate(subscription, wanted)
    expires_s, given = subscription.expires_s, subscription.expiration(cloud.clock)
    if wanted.expiration_date_time is not None:
        expires_s, given = requests.expiry_of(cloud, wanted.expiration_date_time)
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
    """Store the request's access token for a subscription, without extending it."""
    subscription = _own(cloud, caller, subscription_id)
    _meet_refusal(cloud, subscription)
    cloud.notifications.reauthorise(subscription, caller.issued, cloud.clock.now() + _left_s(cloud, caller))
    return Answer(204)


def remove(cloud: Cloud, caller: Caller, subscription_id: str) -> Answer:
    """Delete one of the caller's subscriptions."""
    cloud.notifications.subscriptions.end(_own(cloud, caller, subscription_id), "deleted")
    return Answer(204)


def _page(request: Request) -> int:
    token = request.queries().get("$skiptoken", "0")
    if not token.isdecimal() or len(token) > 9:
        raise bad_request("The $skiptoken is not one of this service.")
    return int(token)


# Authorisation


def _demand(caller: Caller) -> None:
    """Refuse a caller who is not an account that may read presence."""
    if PERMISSION not in caller.scopes:
        raise requests.refused(403, "Forbidden", "The request is not authorized for this user or application.")


def _visible(subscription: Subscription, caller: Caller) -> bool:
    """Return whether the caller may see a subscription; see https://learn.microsoft.com/graph/api/subscription-list."""
    if subscription.tenant_id != caller.tenant.tenant_id:
        return False
    if caller.is_app:
        return subscription.app_id == caller.app_id
    own = subscription.creator is caller.person
    if READ_ALL in caller.scopes:
        return own or caller.person.role == "admin"
    return own and subscription.app_id == caller.app_id


def _own(cloud: Cloud, caller: Caller, subscription_id: str) -> Subscription:
    """Return a subscription of the caller."""
    subscription = cloud.notifications.subscriptions.find(subscription_id)
    if subscription is None or subscription.creator is not caller.person or subscription.app_id != caller.app_id:
        raise _not_found()
    if PERMISSION not in caller.scopes:
        raise GraphError(403, "Forbidden", "The request is not authorized for this user or application.")
    return subscription


def _left_s(cloud: Cloud, caller: Caller) -> float:
    """Return the remaining life of the caller's access token; from here on in the world's seconds."""
    return caller.expires - cloud.clock.utc()


# Answers


async def _handshake(cloud: Cloud, url: str) -> None:
    fault = await cloud.notifications.handshake(url)
    if fault:
        raise requests.invalid(fault)


def _meet_refusal(cloud: Cloud, subscription: Subscription) -> None:
    fault = cloud.notifications.faults.meet("renewal_refused", subscription)
    if fault is not None:
        raise GraphError(
            fault.status, "ExtensionError", "Operation: Update; Exception: [The renewal is refused by a fault.]"
        )


def _taken(cloud: Cloud, caller: Caller) -> GraphError:
    if cloud.switches.second_subscription == "forbidden_403":
        text = f"App '{caller.app_id}' has reached its limit of '1' 'presences' subscription on tenant '{caller.tenant.tenant_id}'"
        return requests.refused(403, "Forbidden", text)
    text = "A subscripton already exists. It must be deleted before a another can be made."  # Microsoft's spelling
    return requests.refused(409, "Conflict", text)


def _not_found() -> GraphError:
    return GraphError(404, "ResourceNotFound", "The object was not found.")


def _told(
    cloud: Cloud, request: Request, subscription: Subscription, *, secret: bool = False, context: str = ""
) -> dict[str, Any]:
    """Return a subscription in Graph's format; `clientState` only in the answer to the request that sent it."""
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
