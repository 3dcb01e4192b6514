"""JSON Web Tokens that Entra signed, read so that nothing in one counts before its signature does.

    size        before anything is parsed
    form        three parts, strict base64, two JSON objects
    key         the one that `kid` names, if Entra publishes it; no token brings its own, and a flood of names costs no fetches
    signature   RS256 and nothing else, whatever the header says
    tenant      the issuer is Entra's for the very tenant of `tid`, and the key may sign for that tenant

The last is Microsoft's rule for applications of many tenants
(https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer): Entra publishes keys of personal accounts
beside those of organisations, and a key that says whose it is proves nothing about others.
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
"""Longer texts are not looked at. Entra puts 200 groups into a token at the most, which are 11 KB as base64."""
_LAST_SECOND: Final = 253_402_300_800  # the year 10000; later times are no times


class NotValid(RelayError):
    """A token that proves nothing.

    Attributes:
        reason: which check failed: `form`, `signer` (unknown), `signature`, `issuer`, or one of the caller's. Never what it holds.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"a token is not valid: {reason}")
        self.reason = reason


async def verified(token: str, keys: SigningKeys) -> tuple[TenantId, dict[str, Any]]:
    """Return the tenant that Entra vouches for, and the other claims, whose audience and time are the caller's to check.

    Raises:
        NotValid: Entra does not vouch for anything here.
        SourceUnreachable: Entra's keys could not be had, so nobody knows.
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
    """Return a claim that is a Unix time; None for everything else: texts, truths, endless numbers, none at all."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LAST_SECOND:
        return None
    return float(value)


def text(claims: dict[str, Any], name: str) -> str:
    """Return a claim that is a text which can be stored and shown; empty for everything else."""
    value = claims.get(name)
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _registry() -> jws.JWSRegistry:
    # Microsoft may put anything into a header (`nonce`, `x5t`, `x5c`, which is long); what is critical is refused all the same.
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
