"""Who consented: verification of the id token that Entra gave with a consent. MSAL does not verify it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from relay.core import names
from relay.core.presence import TenantId, UserId
from relay.errors import SourceUnreachable
from relay.graph.client import GraphClient


@dataclass(frozen=True, slots=True)
class VerifiedIdentity:
    """Who signed in, as Entra vouches for it; made by `verify` only.

    Attributes:
        tenant_id: the tenant that was signed in to.
        account_id: the account's object id in it.
        upn: the account's name for display. Not proof of anything outside its tenant: administrators can change it.
        roles: template ids of the directory roles that the account holds in the tenant (`wids`); empty unless the registration
            asks for the claim.
        is_guest: whether the account is at home in another place than `tenant_id`; its name then is of that place.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_guest: bool = False
    roles: tuple[str, ...] = ()


class UntrustedIdTokenError(Exception):
    """An id token that does not prove what it should; says which check failed, never what the token holds."""


async def verify(client: GraphClient, id_token: str, nonce: str) -> VerifiedIdentity:
    """Who signed in, if the token is Entra's, for us, of now, and of the flow that `nonce` was made for.

    The tenant's own discovery document says who may sign and under which name. The tenant is taken from the token itself,
    which is safe because issuer, signature and tenant must then agree with it.

    Raises:
        UntrustedIdTokenError: a check failed.
        Retryable: Entra's documents could not be read.
    """
    claims = _unverified(id_token)
    tenant = names.tenant_id(_text(claims, "tid"))
    if tenant is None:
        raise UntrustedIdTokenError("tenant")
    issuer, keys = await _discover(client, tenant)
    claims = _signed(id_token, keys)
    account = names.user_id(_text(claims, "oid"))
    checks = {
        "issuer": _text(claims, "iss") == issuer == f"{client.settings.authority_url}/{tenant}/v2.0",
        "tenant": names.tenant_id(_text(claims, "tid")) == tenant,
        "audience": claims.get("aud") == client.settings.client_id,
        "time": _is_now(claims),
        "nonce": bool(nonce) and hmac.compare_digest(_text(claims, "nonce").encode(), _hashed(nonce).encode()),
        "account": account is not None,
    }
    failed = [name for name, passed in checks.items() if not passed]
    if failed or account is None:
        raise UntrustedIdTokenError(", ".join(failed))
    # https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference: `idp` differs from the issuer for accounts
    # of other places; `acct`, 1 for guests, is there when the registration asks for it.
    is_guest = claims.get("acct") in (1, "1") or _text(claims, "idp") not in ("", issuer)
    upn = _text(claims, "preferred_username")[: names.MAX_NAME_CHARS]
    return VerifiedIdentity(tenant, account, upn, is_guest, _roles(claims))


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _Keys(msgspec.Struct):
    keys: list[dict[str, Any]]


async def _discover(client: GraphClient, tenant: TenantId) -> tuple[str, KeySet]:
    authority = client.settings.authority_url
    try:
        document = msgspec.json.decode(
            await client.fetch(f"{authority}/{tenant}/v2.0/.well-known/openid-configuration"), type=_Discovery
        )
        if not document.jwks_uri.startswith(f"{authority}/"):
            raise SourceUnreachable("Entra's keys are said to be at an address that is not Entra's")
        keys = msgspec.json.decode(await client.fetch(document.jwks_uri), type=_Keys)
        usable = [RSAKey.import_key({name: key[name] for name in _KEY_FIELDS}) for key in keys.keys if _is_usable(key)]
    except (msgspec.DecodeError, JoseError, ValueError) as error:
        raise SourceUnreachable("Entra's signing keys cannot be read") from error
    return document.issuer, KeySet(list(usable))


def _is_usable(key: dict[str, Any]) -> bool:
    return (
        key.get("kty") == "RSA"
        and key.get("use", "sig") == "sig"
        and all(isinstance(key.get(name), str) for name in _KEY_FIELDS)
    )


def _unverified(id_token: str) -> dict[str, Any]:
    """The claims as they stand there, to find out which tenant's keys to ask for; nothing else may rest on them."""
    try:
        payload = id_token.split(".")[1].encode()
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        raise UntrustedIdTokenError("form") from None
    return claims if isinstance(claims, dict) else {}


def _signed(id_token: str, keys: KeySet) -> dict[str, Any]:
    try:
        return jwt.decode(id_token, keys, algorithms=["RS256"]).claims
    except (JoseError, ValueError, RecursionError):
        raise UntrustedIdTokenError("signature") from None


def _is_now(claims: dict[str, Any]) -> bool:
    now = time.time()
    begins, ends = claims.get("nbf", 0), claims.get("exp")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float):
        return False
    return begins - _LEEWAY_S <= now < ends + _LEEWAY_S


def _hashed(nonce: str) -> str:
    """MSAL sends the hash of the nonce that it keeps in the flow."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def _roles(claims: dict[str, Any]) -> tuple[str, ...]:
    """Tenant-wide roles: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference (`wids`)."""
    value = claims.get("wids")
    found = value[:_MAX_ROLES] if isinstance(value, list) else []
    return tuple(role for one in found if isinstance(one, str) and (role := names.user_id(one)) is not None)


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


_KEY_FIELDS: Final = ("kty", "n", "e", "kid")
_MAX_ROLES: Final = 200
"""More than there are built-in roles (https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference)."""
_LEEWAY_S: Final = 120.0
"""Clocks may differ by this much."""
