"""One notification as JSON (basic, rich or lifecycle), and the POST that contains several.

https://learn.microsoft.com/graph/changenotifications-for-presence has the first two,
https://learn.microsoft.com/graph/change-notifications-lifecycle-events the third.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from emulator.notifications.crypto import sealed
from emulator.presence import encode, spell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulator.clock import Clock
    from emulator.notifications.crypto import Certificate
    from emulator.notifications.subscription import Subscription
    from emulator.switches import Switches
    from emulator.world import Person


def content_of(person: Person, switches: Switches) -> bytes:
    """Return the content that a rich notification encrypts: a person's current presence."""
    names = {"@odata.id": f"users/{person.oid}/presence", "@odata.type": "#microsoft.graph.presence"}
    if switches.notification_content == "presence":
        return b"".join((msgspec.json.encode(names)[:-1], b",", encode(person, switches)[1:]))
    shown = spell(person.shown, switches)
    value = {**names, "id": person.oid, "availability": shown.availability, "activity": shown.activity}
    if switches.notification_sequence_numbers:
        value["sequenceNumber"] = person.sequence
    return msgspec.json.encode(value)


def notification(
    subscription: Subscription, user_id: str, content: bytes, clock: Clock, switches: Switches, *, tampering: str = ""
) -> bytes:
    """Return the notification of a presence change; rich if the subscription has a certificate.

    `tampering` is one of `faults.TAMPERINGS`, or empty.
    """
    item: dict[str, Any] = {
        "subscriptionId": subscription.subscription_id,
        "clientState": "forged" if tampering == "client_state" else subscription.client_state,
        "changeType": "updated",
        "tenantId": subscription.tenant_id,
        "resource": _resource(subscription, user_id, switches),
        "subscriptionExpirationDateTime": subscription.expiration(clock),
        "resourceData": {
            "@odata.id": f"users/{user_id}/presence", "@odata.type": "#microsoft.graph.presence", "id": user_id,
        },
        "organizationId": subscription.tenant_id,
    }  # fmt: skip
    if subscription.certificate is not None:
        item["encryptedContent"] = _encrypted(content, subscription.certificate, tampering)
    return msgspec.json.encode(item)


def lifecycle(subscription: Subscription, event: str, clock: Clock) -> bytes:
    """Return a notification about a subscription itself."""
    return msgspec.json.encode(
        {
            "subscriptionId": subscription.subscription_id,
            "subscriptionExpirationDateTime": subscription.expiration(clock),
            "tenantId": subscription.tenant_id,
            "clientState": subscription.client_state,
            "lifecycleEvent": event,
        }
    )


def collection(items: Iterable[bytes], tokens: list[str]) -> bytes:
    """Return the body of a POST; without validation tokens it has no field for them."""
    end = b'],"validationTokens":' + msgspec.json.encode(tokens) + b"}" if tokens else b"]}"
    return b"".join((b'{"value":[', b",".join(items), end))


def _resource(subscription: Subscription, user_id: str, switches: Switches) -> str:
    if switches.notification_resource == "filter":
        return subscription.resource
    user = switches.notification_resource == "user"
    return f"users/{user_id}/presence" if user else f"communications/presences/{user_id}"


def _encrypted(content: bytes, certificate: Certificate, tampering: str) -> dict[str, str]:
    found = sealed(content, certificate, pad=tampering != "padding")
    if tampering in {"signature", "data", "key"}:
        setattr(found, tampering, _flipped(getattr(found, tampering)))
    elif tampering == "thumbprint":
        found.thumbprint = found.thumbprint[::-1]
    elif tampering == "certificate_id":
        found.certificate_id = f"not-{found.certificate_id}"
    return found.as_json()


def _flipped(raw: bytes) -> bytes:
    """Return the bytes with the last bit inverted."""
    return raw[:-1] + bytes((raw[-1] ^ 1,))
