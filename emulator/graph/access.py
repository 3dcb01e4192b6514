"""The caller of a request: bearer tokens, their permissions, and their early end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from emulator.entra.tokens import GRAPH_ID
from emulator.graph.errors import GraphError, bad_request, challenged, unauthenticated
from emulator.hosts import CLOUDS
from emulator.world import Person

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.world import Tenant

_MOST_TOKENS: Final = 20_000
_AUDIENCES: Final = {GRAPH_ID, *(f"https://{cloud.graph}" for cloud in CLOUDS.values())}

# Events that end access at once for applications with continuous access evaluation, in addition to a disabled or deleted
# account and a changed password: https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation
_REVOKED: Final = {"sessions_revoked", "password_reset", "session_invalid", "session_revoked"}
_STEPPED_UP: Final = {
    "mfa_required", "mfa_enrolment_required", "conditional_access", "device_not_compliant", "device_not_joined",
    "security_policy", "security_defaults", "sign_in_frequency", "risk",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An access token's contents, its signature verified.

    Attributes:
        person: the signed-in user; for an application without a user, a placeholder that is in no directory.
        scopes: delegated permissions; empty without a user.
        roles: application permissions; empty with a user.
        is_app: whether the application calls without a user.
        continuous: whether the application supports continuous access evaluation and its challenges.
        issued: seconds since 1970, as `expires`.
    """

    tenant: Tenant
    person: Person
    app_id: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    is_app: bool = False
    continuous: bool = False
    audience: str = ""
    issued: float
    expires: float

    def may(self, permission: RequiredPermission) -> bool:
        """Return whether the token has one of a call's permissions of its kind, delegated or application."""
        return not (self.roles if self.is_app else self.scopes).isdisjoint(
            permission.application if self.is_app else permission.delegated
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredPermission:
    """The permissions that allow a call; one is enough. https://learn.microsoft.com/graph/permissions-reference"""

    delegated: tuple[str, ...]
    application: tuple[str, ...] = ()
    """For an application without a user; empty: not supported."""


class Access:
    """Reads access tokens. Verified ones are cached, because checking a signature costs more than a bulk read."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._known: dict[str, Caller] = {}

    def caller(self, request: Request) -> Caller:
        """Return the caller of a request.

        Raises:
            GraphError: 401, the token is missing, malformed, foreign, for another audience, expired or revoked.
        """
        scheme, _, token = request.header(b"authorization").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Access token is empty.")
        caller = self._known.get(token) or self._verified(token)
        if request.host:  # each cloud has separate tokens
            named = caller.audience in {GRAPH_ID, f"https://{CLOUDS[request.cloud].graph}"}
            if not named or caller.tenant.cloud != request.cloud:
                raise unauthenticated("Access token validation failure. Invalid audience.")
        if caller.expires <= request.utc:
            raise unauthenticated("Lifetime validation failed, the token is expired.")
        _check_still_good(caller, request.utc)
        return caller

    def _verified(self, token: str) -> Caller:
        if token.count(".") != 2:
            raise unauthenticated("JWT is not well formed, there are no dots (.).")
        claims = self._cloud.tokens.key.verify(token)
        if claims is None:
            raise unauthenticated("Signature validation failed. Signature verification failed.")
        if claims.get("aud") not in _AUDIENCES:
            raise unauthenticated("Access token validation failure. Invalid audience.")
        caller = self._caller(claims)
        if len(self._known) >= _MOST_TOKENS:
            self._known.clear()
        self._known[token] = caller
        return caller

    def _caller(self, claims: dict[str, Any]) -> Caller:
        tenant, oid = self._cloud.world.tenant(str(claims.get("tid"))), str(claims.get("oid"))
        if tenant is None:
            raise _unknown()
        is_app = claims.get("idtyp") == "app"
        person = Person(tenant, oid, "", "") if is_app else tenant.people.get(oid.lower())
        if person is None:
            raise _unknown()
        return Caller(
            tenant=tenant, person=person, app_id=str(claims.get("appid") or claims.get("azp") or ""),
            scopes=frozenset() if is_app else frozenset(str(claims.get("scp", "")).split()),
            roles=frozenset(claims.get("roles", ())) if is_app else frozenset(), is_app=is_app,
            continuous="cp1" in claims.get("xms_cc", ()), audience=str(claims["aud"]),
            issued=float(claims.get("iat_exact", claims.get("iat", 0))), expires=float(claims.get("exp", 0)),
        )  # fmt: skip


def demand(caller: Caller, permission: RequiredPermission, *, code: str = "Authorization_RequestDenied") -> None:
    """Refuse a caller without any of a call's permissions.

    Raises:
        GraphError: 403.
    """
    if not caller.may(permission):
        raise GraphError(403, code, "Insufficient privileges to complete the operation.")


def signed_in(caller: Caller) -> Person:
    """Return the signed-in user.

    Raises:
        GraphError: 400, the call has no user.
    """
    if caller.is_app:
        raise bad_request("/me request is only valid with delegated authentication flow.")
    return caller.person


def _check_still_good(caller: Caller, now: float) -> None:
    """Check that a token was not ended early. Without continuous access evaluation, only the control surface ends one early.

    Raises:
        GraphError: 401, with the claims for the request of a new token if the application supports them.
    """
    if caller.is_app:
        return
    person, tenant = caller.person, caller.tenant
    if caller.issued < person.access_valid_from:
        raise challenged("TokenIssuedBeforeRevocationTimestamp", continuous=caller.continuous, now=now)
    if not caller.continuous:
        if tenant.people.get(person.oid.lower()) is not person:
            raise _unknown()
        return
    if tenant.people.get(person.oid.lower()) is not person or not person.enabled:
        raise challenged("UserDisabledOrDeleted", continuous=True, now=now)
    if caller.issued < max(person.cookies_valid_from, person.tokens_valid_from if person.refusal in _REVOKED else 0.0):
        raise challenged("TokenIssuedBeforeRevocationTimestamp", continuous=True, now=now)
    if person.refusal in _STEPPED_UP:
        raise challenged("PolicyNotSatisfied", continuous=True, now=now)


def _unknown() -> GraphError:
    return unauthenticated("The identity of the calling application could not be established.")
