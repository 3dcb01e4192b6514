"""Whether a POST of change notifications comes from Microsoft: its validation tokens.

https://learn.microsoft.com/graph/change-notifications-with-resource-data: one JWT for each application and tenant in a POST,
signed by Entra, meant for us, made for Graph's publisher of notifications. There are two forms, of version 1.0 (`appid`) and
2.0 (`azp`); which one comes is not documented, so both are taken.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError

from relay.core import names
from relay.core.presence import TenantId
from relay.errors import RelayError
from relay.graph.signing import SigningKey, SigningKeys

PUBLISHER: Final = "0bf30f3b-4a52-48df-9a82-234910c4a086"
"""Graph's publisher of change notifications, the same in every tenant."""
CLOCKS_DIFFER_S: Final = 900.0
"""A token is taken for so long before its time and after it. Tokens live for hours, so a quarter of one adds little for
who replays one (a replay only makes the relay look again), and a clock that is ten minutes wrong costs no notification."""
MAX_TOKENS: Final = 1000
"""In one POST: as many as it has notifications at the very most."""
MAX_TOKEN_CHARS: Final = 16 * 1024


class NotValid(RelayError):
    """A validation token that proves nothing; the whole POST is suspicious then.

    Attributes:
        reason: `form`, `signer` (unknown), `signature`, `issuer`, `audience`, `publisher`, `time`. Never what it holds.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"a validation token is not valid: {reason}")
        self.reason = reason


class Validation:
    """Verifies validation tokens for one application."""

    def __init__(self, keys: SigningKeys, client_id: str) -> None:
        self._keys = keys
        self._client_id = client_id.lower()

    async def tenants(self, tokens: Iterable[str]) -> frozenset[TenantId]:
        """The tenants that the tokens vouch for, all of which must be valid.

        Raises:
            NotValid: one is not.
            SourceUnreachable: Entra's keys could not be had, so nobody knows.
        """
        distinct = set(tokens)
        if len(distinct) > MAX_TOKENS:
            raise NotValid("form")
        return frozenset([await self._tenant(token) for token in distinct])

    async def _tenant(self, token: str) -> TenantId:
        signed = _parsed(token)
        published = await self._keys.knowing(kid := _text(signed.protected, "kid"))
        key = published.keys.get(kid)
        if key is None:
            raise NotValid("signer")
        claims = _claims(signed, key)
        tenant_id = names.tenant_id(_text(claims, "tid"))
        if tenant_id is None or _text(claims, "iss") not in published.issuers_of(tenant_id):
            raise NotValid("issuer")
        if key.only_for not in (None, tenant_id):
            raise NotValid("issuer")
        if _text(claims, "aud").lower() != self._client_id:
            raise NotValid("audience")
        if (_text(claims, "appid") or _text(claims, "azp")).lower() != PUBLISHER:
            raise NotValid("publisher")
        if not _is_now(claims):
            raise NotValid("time")
        return tenant_id


def _registry() -> jws.JWSRegistry:
    # Microsoft may put anything into a header (`nonce`, `x5t`, `x5c`, which is long); what is critical is refused all the same.
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    registry.max_header_length = MAX_TOKEN_CHARS
    return registry


_REGISTRY: Final = _registry()
_UNREADABLE: Final = (JoseError, ValueError, TypeError, RecursionError)


def _parsed(token: str) -> jws.CompactSignature:
    if len(token) > MAX_TOKEN_CHARS:
        raise NotValid("form")
    try:
        signed = jws.extract_compact(token.encode(), registry=_REGISTRY)
    except _UNREADABLE:
        raise NotValid("form") from None
    if not isinstance(signed.protected, dict):
        raise NotValid("form")
    return signed


def _claims(signed: jws.CompactSignature, key: SigningKey) -> dict[str, Any]:
    if signed.protected.get("alg") != "RS256":
        raise NotValid("signature")
    try:
        is_signed = jws.validate_compact(signed, key.key, registry=_REGISTRY)
    except _UNREADABLE:
        is_signed = False
    if not is_signed:
        raise NotValid("signature")
    try:
        claims = json.loads(signed.payload or b"")
    except _UNREADABLE:
        raise NotValid("form") from None
    return claims if isinstance(claims, dict) else {}


def _is_now(claims: dict[str, Any]) -> bool:
    now = time.time()
    begins, ends = claims.get("nbf", 0), claims.get("exp")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float):
        return False
    return begins - CLOCKS_DIFFER_S <= now < ends + CLOCKS_DIFFER_S


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
