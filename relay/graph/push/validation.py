"""Verifies that a POST of change notifications comes from Microsoft, by its validation tokens.

https://learn.microsoft.com/graph/change-notifications-with-resource-data: one JWT for each application and tenant in a POST,
signed by Entra, addressed to us, issued to Graph's publisher of notifications. There are two forms, version 1.0 (`appid`) and
2.0 (`azp`); Microsoft does not document which one it sends, so both are accepted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from relay.core.presence import TenantId
from relay.graph.auth import jwt
from relay.graph.auth.jwt import NotValid
from relay.graph.auth.signing_keys import SigningKeys

PUBLISHER: Final = "0bf30f3b-4a52-48df-9a82-234910c4a086"
"""Graph's publisher of change notifications, the same in every tenant."""
CLOCKS_DIFFER_S: Final = 900.0
"""A token is accepted for this long before and after its validity. Tokens are valid for hours, so a quarter of one adds
little for an attacker who replays one (a replay only makes the relay read again), and a clock that is ten minutes wrong
loses no notification."""
MAX_TOKENS: Final = 1000
"""Tokens in one POST: at most as many as it has notifications."""


class Validation:
    """Verifies validation tokens for one application."""

    def __init__(self, keys: SigningKeys, client_id: str) -> None:
        self._keys = keys
        self._client_id = client_id.lower()

    async def tenants(self, tokens: Iterable[str]) -> frozenset[TenantId]:
        """Return the tenants that the tokens prove. All tokens must be valid.

        Raises:
            NotValid: a token is not valid, which makes the whole POST suspicious. The reason is one of `jwt.verified`,
                or `audience`, `publisher`, `time`.
            SourceUnreachable: Entra's keys could not be fetched, so the tokens cannot be verified.
        """
        distinct = set(tokens)
        if len(distinct) > MAX_TOKENS:
            raise NotValid("form")
        return frozenset([await self._tenant(token) for token in distinct])

    async def _tenant(self, token: str) -> TenantId:
        tenant_id, claims = await jwt.verified(token, self._keys)
        if jwt.text(claims, "aud").lower() != self._client_id:
            raise NotValid("audience")
        if (jwt.text(claims, "appid") or jwt.text(claims, "azp")).lower() != PUBLISHER:
            raise NotValid("publisher")
        if not jwt.is_within(claims, time.time(), CLOCKS_DIFFER_S):
            raise NotValid("time")
        return tenant_id
