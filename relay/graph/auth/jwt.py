"""Verifies JSON Web Tokens that Entra signed: no claim counts before the signature is verified.

    size        before anything is parsed
    form        three parts, strict base64, two JSON objects
    key         the one that `kid` names, if Entra publishes it; a token cannot bring one, and a flood of names causes no fetches
    signature   RS256 only, regardless of the header
    tenant      the issuer is Entra's for the tenant in `tid`, and the key may sign for that tenant

The last is Microsoft's rule for applications of many tenants
(https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer): Entra publishes keys of
personal accounts together with those of organisations, and a key that is bound to one tenant proves nothing about others.
"""

from __future__ import annotations

import json
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError

from relay.core import names
from relay.core.presence import TenantId
from relay.errors import RelayError
from relay.graph.auth.signing_keys import SigningKey, SigningKeys

MAX_CHARS: Final = 32 * 1024
"""Longer texts are rejected unread. Entra puts at most 200 groups into a token, which are 11 KB as base64."""
_LAST_SECOND: Final = 253_402_300_800  # the year 10000; later values are not times


class NotValid(RelayError):
    """A token is not valid.

    Attributes:
        reason: the check that failed: `form`, `signer` (unknown), `signature`, `issuer`, or one of the caller's. Never
            contains token content.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"a token is not valid: {reason}")
        self.reason = reason


async def verified(token: str, keys: SigningKeys) -> tuple[TenantId, dict[str, Any]]:
    """Return the verified tenant and the other claims. The caller must check audience and time.

    Raises:
        NotValid: the token is not a valid token of Entra.
        SourceUnreachable: Entra's keys could not be fetched, so the token cannot be verified.
    """
    signed = _parsed(token)
    kid = text(signed.protected, "kid")
    published = await keys.with_key(kid)
    key = published.keys.get(kid)
    if key is None:
        raise NotValid("signer")
    claims = _claims(signed, key)
    tenant_id = names.tenant_id(text(claims, "tid"))
    if tenant_id is None or text(claims, "iss") not in published.issuers_of(tenant_id):
        raise NotValid("issuer")
    if key.only_for not in (None, tenant_id):
        raise NotValid("issuer")
    return tenant_id, claims


def is_within(claims: dict[str, Any], now: float, leeway_s: float) -> bool:
    """Return True if a token is valid at `now`, a Unix time; clocks may differ by `leeway_s`. A token without an end is not valid."""
    begins, ends = seconds(claims.get("nbf", 0)), seconds(claims.get("exp"))
    return begins is not None and ends is not None and begins - leeway_s <= now < ends + leeway_s


def seconds(value: object) -> float | None:
    """Return a claim that is a Unix time; None for any other value: texts, booleans, infinite numbers, a missing claim."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST_SECOND:
        return None
    return float(value)


def text(claims: dict[str, Any], name: str) -> str:
    """Return a claim that is a text that can be stored and shown; empty for any other value."""
    value = claims.get(name)
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _registry() -> jws.JWSRegistry:
    # Microsoft may put any fields into a header (`nonce`, `x5t`, the long `x5c`); critical ones are still refused.
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    registry.max_header_length = MAX_CHARS
    return registry


_REGISTRY: Final = _registry()
_UNREADABLE: Final = (JoseError, ValueError, TypeError, RecursionError)


def _parsed(token: str) -> jws.CompactSignature:
    if len(token) > MAX_CHARS:
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
