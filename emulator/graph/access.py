"""Who asks: bearer tokens and the permissions in them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from emulator.entra.tokens import GRAPH
from emulator.graph.errors import GraphError, unauthenticated

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.world import Person, Tenant

_MOST_TOKENS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An access token's contents, its signature verified."""

    tenant: Tenant
    person: Person
    app_id: str
    scopes: frozenset[str]
    issued: float
    expires: float


class Access:
    """Reads access tokens. Verified ones are remembered, for checking a signature costs more than a bulk read."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._known: dict[str, Caller] = {}

    def caller(self, authorization: str) -> Caller:
        """Who sent an `authorization` header.

        Raises:
            GraphError: 401, the token is missing, malformed, foreign, expired or revoked.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Access token is empty.")
        caller = self._known.get(token) or self._verified(token)
        if caller.expires <= time.time():
            raise unauthenticated("Lifetime validation failed, the token is expired.")
        if caller.issued < caller.person.access_valid_from:
            raise unauthenticated("Continuous access evaluation resulted in challenge with result: InteractionRequired")
        return caller

    def _verified(self, token: str) -> Caller:
        if token.count(".") != 2:
            raise unauthenticated("JWT is not well formed, there are no dots (.).")
        claims = self._cloud.tokens.key.verify(token)
        if claims is None:
            raise unauthenticated("Signature validation failed. Signature verification failed.")
        if claims.get("aud") != GRAPH:
            raise unauthenticated("Access token validation failure. Invalid audience.")
        caller = self._caller(claims)
        if len(self._known) >= _MOST_TOKENS:
            self._known.clear()
        self._known[token] = caller
        return caller

    def _caller(self, claims: dict[str, Any]) -> Caller:
        tenant = self._cloud.world.tenant(str(claims.get("tid")))
        person = tenant.people.get(str(claims.get("oid")).lower()) if tenant is not None else None
        if tenant is None or person is None:
            raise unauthenticated("The identity of the calling application could not be established.")
        return Caller(
            tenant=tenant, person=person, app_id=str(claims.get("appid")),
            scopes=frozenset(str(claims.get("scp", "")).split()),
            issued=float(claims.get("iat_exact", 0)), expires=float(claims.get("exp", 0)),
        )  # fmt: skip


def demand(caller: Caller, *one_of: str, code: str = "Authorization_RequestDenied") -> None:
    """Refuse a caller who has none of these permissions.

    Raises:
        GraphError: 403.
    """
    if caller.scopes.isdisjoint(one_of):
        raise GraphError(403, code, "Insufficient privileges to complete the operation.")
