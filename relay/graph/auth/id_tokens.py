"""Verifies the id token that Entra gives with a consent, which proves the account. MSAL does not verify it."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any, Final

import structlog

from relay.core import names
from relay.core.presence import TenantId, UserId
from relay.graph.auth import jwt
from relay.graph.auth.signing_keys import SigningKeys

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VerifiedIdentity:
    """The person who signed in, verified by Entra's signature. Only `verify` creates it.

    Attributes:
        tenant_id: the tenant of the sign-in.
        account_id: the account's object id in it.
        upn: the account's name, for display only: administrators of its tenant can change it.
        roles: template ids of the directory roles that the account holds in the tenant (`wids`); empty unless the registration
            asks for the claim.
        app_roles: values of the app roles of our registration that the account has (`roles`), assigned directly or by a group.
        groups: object ids of its groups (`groups`), if the registration asks for the claim.
        has_more_groups: whether there are too many groups for a token; `groups` is then empty.
        auth_time: when the password was entered, in seconds since 1970; None without the claim. Entra sends
            it after a request with `max_age`, or if the registration asks for the claim.
        is_guest: whether the account's home is not `tenant_id`; its name is then from its home tenant.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_guest: bool = False
    roles: tuple[str, ...] = ()
    auth_time: int | None = None
    app_roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    has_more_groups: bool = False


class UntrustedIdTokenError(Exception):
    """An id token failed a check. The text names the check and never contains token content."""


async def verify(keys: SigningKeys, id_token: str, nonce: str) -> VerifiedIdentity:
    """Return the person who signed in, if the token is from Entra, for us, current, and of the flow with this `nonce`.

    Raises:
        UntrustedIdTokenError: a check failed.
        Retryable: Entra's keys could not be fetched.
    """
    try:
        tenant, claims = await jwt.verified(id_token, keys)
    except jwt.NotValid as error:
        raise UntrustedIdTokenError(error.reason) from None
    # Entra's issuers for a tenant are two: an id token is of the second form.
    issuer = f"{keys.settings.authority_url}/{tenant}/v2.0"
    account = names.user_id(jwt.text(claims, "oid"))
    checks = {
        "issuer": jwt.text(claims, "iss") == issuer,
        "audience": claims.get("aud") == keys.settings.client_id,
        "time": jwt.is_within(claims, time.time(), _LEEWAY_S),
        "nonce": bool(nonce) and hmac.compare_digest(jwt.text(claims, "nonce").encode(), _hashed(nonce).encode()),
        "account": account is not None,
    }
    failed = [name for name, passed in checks.items() if not passed]
    if failed or account is None:
        log.warning("id_token_not_trusted", tenant_id=tenant, failed=failed, clock_behind_s=_behind_s(claims))
        raise UntrustedIdTokenError(", ".join(failed))
    # https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference: `idp` differs from the issuer for accounts
    # of other places; `acct`, 1 for guests, is there when the registration asks for it.
    homes = ("", issuer, *(f"https://{host}/{tenant}/" for host in _STS))
    is_guest = claims.get("acct") in (1, "1") or jwt.text(claims, "idp") not in homes
    upn = jwt.text(claims, "preferred_username")[: names.MAX_NAME_CHARS]
    return VerifiedIdentity(
        tenant,
        account,
        upn,
        is_guest,
        roles=_ids(claims, "wids"),
        auth_time=_auth_time(claims),
        app_roles=_app_roles(claims),
        groups=_ids(claims, "groups"),
        has_more_groups=_has_more_groups(claims),
    )


def _behind_s(claims: dict[str, Any]) -> int | None:
    """Return the seconds until a new token becomes valid, by which our clock is behind; None if unknown."""
    begins = jwt.seconds(claims.get("nbf"))
    return None if begins is None else max(0, round(begins - time.time()))


def _hashed(nonce: str) -> str:
    """Return the hash of a flow's nonce, which is what MSAL sends."""
    return hashlib.sha256(nonce.encode()).hexdigest()


def _app_roles(claims: dict[str, Any]) -> tuple[str, ...]:
    """Return the app roles of the claim `roles`: https://learn.microsoft.com/entra/identity-platform/howto-add-app-roles-in-apps."""
    value = claims.get("roles")
    found = value[:_MAX_ROLES] if isinstance(value, list) else []
    return tuple(one for one in found if isinstance(one, str))


def _has_more_groups(claims: dict[str, Any]) -> bool:
    """Return whether Entra left the groups out because there are more than 200: the groups overage claim of the same page as `groups`."""
    elsewhere = claims.get("_claim_names")
    return isinstance(elsewhere, dict) and "groups" in elsewhere


def _ids(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return the ids of `wids`, the tenant-wide roles, or of `groups`: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference."""
    value = claims.get(name)
    found = value[:_MAX_ROLES] if isinstance(value, list) else []
    return tuple(role for one in found if isinstance(one, str) and (role := names.user_id(one)) is not None)


def _auth_time(claims: dict[str, Any]) -> int | None:
    """Return the claim `auth_time`: https://openid.net/specs/openid-connect-core-1_0.html#IDToken."""
    value = claims.get("auth_time")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LATEST_S else None


_MAX_ROLES: Final = 200
"""More than there are built-in roles (https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference)."""
_LATEST_S: Final = 1 << 40
_STS: Final = ("sts.windows.net", "sts.chinacloudapi.cn")
"""Hosts with which Entra names a tenant in `idp`, and in the issuers of its older tokens. Other hosts belong to other providers."""
_LEEWAY_S: Final = 300.0
"""Clocks may differ by this much; the same as in Microsoft's own libraries."""
