"""Messages of Graph's, made by hand after Microsoft's documents: notifications, validation tokens, and forgeries of both."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from emulator import Cloud
from emulator.demo import CLIENT_ID
from relay.graph.push.certificates import Certificate
from relay.store.presence.subscriptions import Subscription

PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


def encrypted(content: bytes, certificate: Certificate, *, pad: bool = True) -> dict[str, str]:
    """The `encryptedContent` of a notification."""
    key = os.urandom(32)
    missing = 16 - len(content) % 16
    padded = content + bytes([missing if pad else 255]) * missing
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    data = encryptor.update(padded) + encryptor.finalize()
    return {
        "data": _text(data),
        "dataSignature": _text(hmac.digest(key, data, "sha256")),
        "dataKey": _text(certificate.private_key.public_key().encrypt(key, OAEP)),
        "encryptionCertificateId": certificate.certificate_id,
        "encryptionCertificateThumbprint": certificate.thumbprint,
    }


def presence(user: str, availability: str = "Busy", activity: str = "InACall") -> bytes:
    """Return the encrypted part: the five documented fields."""
    names = {"@odata.id": f"users/{user}/presence", "@odata.type": "#Microsoft.Graph.presence"}
    return json.dumps({**names, "id": user, "availability": availability, "activity": activity}).encode()


def item(subscription: Subscription, user: str, certificate: Certificate | None, **changes: Any) -> dict[str, Any]:
    """One notification; without a certificate a basic one."""
    found = {
        "subscriptionId": subscription.subscription_id,
        "clientState": subscription.client_state,
        "changeType": "updated",
        "tenantId": subscription.tenant_id,
        "resource": f"communications/presences/{user}",
        "subscriptionExpirationDateTime": "2026-11-20T11:00:00.0000000Z",
        "resourceData": {
            "@odata.id": f"users/{user}/presence", "@odata.type": "#microsoft.graph.presence", "id": user,
        },
    }  # fmt: skip
    if certificate is not None:
        found["encryptedContent"] = encrypted(presence(user), certificate)
    return {**found, **changes}


def lifecycle(subscription: Subscription, **changes: Any) -> dict[str, Any]:
    """A notification about the subscription itself."""
    return {
        "subscriptionId": subscription.subscription_id,
        "subscriptionExpirationDateTime": "2026-11-20T11:00:00.0000000Z",
        "tenantId": subscription.tenant_id,
        "clientState": subscription.client_state,
        "lifecycleEvent": "reauthorizationRequired",
        **changes,
    }


def claims(cloud: Cloud, tenant: str, version: str = "1.0", **changes: Any) -> dict[str, Any]:
    """Return the claims of a validation token."""
    now = int(time.time())
    common = {"aud": CLIENT_ID, "iat": now, "nbf": now, "exp": now + 28_800, "tid": tenant, "ver": version}
    if version == "1.0":
        found = {**common, "iss": f"https://sts.windows.net/{tenant}/", "appid": PUBLISHER, "appidacr": "2"}
    else:
        found = {**common, "iss": f"{cloud.url}/{tenant}/v2.0", "azp": PUBLISHER, "azpacr": "2"}
    return {**found, **changes}


def token(cloud: Cloud, tenant: str, version: str = "1.0", **changes: Any) -> str:
    """A validation token, signed by Entra."""
    return cloud.tokens.key.sign(claims(cloud, tenant, version, **changes), typ="JWT")


def signed(cloud: Cloud, claims: dict[str, Any], **header: Any) -> str:
    """A token signed by Entra's key whatever its header says."""
    key = load_pem_private_key(cloud.tokens.key.pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    head = {"alg": "RS256", "typ": "JWT", "kid": cloud.tokens.key.kid, **header}
    text = ".".join(_url_text(json.dumps(part).encode()) for part in (head, claims))
    return f"{text}.{_url_text(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def unsigned(claims: dict[str, Any], **header: str) -> str:
    """A token that nobody signed."""
    parts = [json.dumps({"alg": "none", "typ": "JWT", **header}).encode(), json.dumps(claims).encode(), b""]
    return ".".join(_url_text(part) for part in parts)


def post(*items: dict[str, Any], tokens: list[str] | None = None) -> bytes:
    """The body of a POST."""
    return json.dumps({"value": items, **({} if tokens is None else {"validationTokens": tokens})}).encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _url_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
