"""Validation tokens: proof that a POST comes from Graph, one for each application and tenant in it.

https://learn.microsoft.com/graph/change-notifications-with-resource-data#validation-tokens-in-the-change-notification
"""

from __future__ import annotations

import base64
import functools
import itertools
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.entra.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.clock import Clock
    from emulator.notifications.subscription import Subscription
    from emulator.switches import Switches

PUBLISHER: Final = "0bf30f3b-4a52-48df-9a82-234910c4a086"
"""Microsoft Graph's publisher of change notifications, the same in every tenant."""
LIFETIME_S: Final = 29_100
"""The value in Microsoft's example."""
KEPT_S: Final = 300.0
"""Time for which a token is reused: making one costs more than encrypting a notification. Assumed."""


class ValidationTokens:
    """Makes validation tokens. `key` is called each time and returns the signing key."""

    def __init__(self, clock: Clock, key: Callable[[], SigningKey], switches: Callable[[], Switches]) -> None:
        self._clock = clock
        self._key = key
        self._switches = switches
        self._turn = itertools.cycle(("1.0", "2.0"))
        self._kept: dict[tuple[str, str, str, str, float], tuple[float, str]] = {}

    def token(self, subscription: Subscription) -> str:
        """Return a token for the application and tenant of a subscription."""
        version = self._switches().validation_token_version
        version_now = next(self._turn) if version == "mixed" else version
        key = self._key()
        about = (subscription.app_id, subscription.tenant_id, version_now, key.kid, self._clock.ahead_s)
        made, token = self._kept.get(about, (0.0, ""))
        if time.monotonic() - made > KEPT_S or not token:
            token = key.sign(_claims(subscription, version_now, self._clock), typ="JWT")
            self._kept[about] = (time.monotonic(), token)
        return token

    def wrong(self, subscription: Subscription, how: str) -> list[str]:
        """Return the wrong tokens, one or none, for one of `faults.TOKEN_FAULTS`."""
        if how == "missing":
            return []
        version = self._switches().validation_token_version
        claims = _claims(subscription, "1.0" if version == "mixed" else version, self._clock)
        claims.update(_wrong_claims(claims, how))
        if how == "alg_none":
            return [f"{_text({'alg': 'none', 'typ': 'JWT'})}.{_text(claims)}."]
        key = _foreign_key() if how == "unknown_signer" else self._key()
        return [key.sign(claims, typ="JWT")]


def _claims(subscription: Subscription, version: str, clock: Clock) -> dict[str, Any]:
    tenant_id, now = subscription.tenant_id, int(clock.utc())
    issuer = f"https://sts.windows.net/{tenant_id}/"
    claims: dict[str, Any] = {
        "aud": subscription.app_id, "iss": issuer, "iat": now, "nbf": now, "exp": now + LIFETIME_S,
        "aio": secrets.token_urlsafe(24), "tid": tenant_id, "uti": secrets.token_urlsafe(16), "ver": version,
    }  # fmt: skip
    if version == "1.0":
        return {**claims, "appid": PUBLISHER, "appidacr": "2", "idp": issuer}
    return {**claims, "iss": subscription.issuer, "azp": PUBLISHER, "azpacr": "2"}


def _wrong_claims(claims: dict[str, Any], how: str) -> dict[str, Any]:
    other, now = str(uuid.uuid4()), claims["iat"]
    publisher = "appid" if "appid" in claims else "azp"
    wrong: dict[str, dict[str, Any]] = {
        "expired": {"iat": now - 90_000, "nbf": now - 90_000, "exp": now - 3_600},
        "not_yet_valid": {"iat": now + 3_600, "nbf": now + 3_600, "exp": now + 90_000},
        "other_audience": {"aud": other},
        "other_publisher": {publisher: other},
        "other_tenant": {"tid": other, "iss": claims["iss"].replace(claims["tid"], other)},
    }
    return wrong.get(how, {})


def _text(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


@functools.cache
def _foreign_key() -> SigningKey:
    """Return a key that is in no key document."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SigningKey(pem.decode())
