"""A new consent is tried before it is kept: its refresh token gives an access token, and that reads presence."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import stamina

from relay.errors import Retryable
from relay.graph.auth.tokens import Grant, GrantTokens
from relay.graph.presence.presences import read_presences

if TYPE_CHECKING:
    from relay.core.presence import TenantId, UserId
    from relay.graph.client import GraphClient

_PATIENCE: Final = timedelta(seconds=15)
"""A person is waiting in front of a page."""


async def tried(client: GraphClient, tenant_id: TenantId, account_id: UserId, token_cache: str) -> str:
    """The token cache of a consent after it was refreshed and has read the account's own presence.

    Raises:
        Retryable: Microsoft or Entra does not answer; repeating is safe.
        ConsentRequired, AccessDenied, RequestRefused: the consent does not work.
        CredentialRejected: the relay's registration is at fault.
    """
    grant = Grant(tenant_id=tenant_id, account_id=account_id, version=0, token_cache=token_cache)
    cache = token_cache

    async def remember(grant: Grant, changed: str) -> Grant:
        nonlocal cache
        cache = changed
        return grant

    async with GrantTokens(client.settings, remember) as tokens:
        # A consent cannot be asked for again as easily as a read: Microsoft may have a bad moment.
        async for attempt in stamina.retry_context(on=Retryable, attempts=4, timeout=_PATIENCE):
            with attempt:
                await tokens.refresh(grant)
                await read_presences(client, tokens.source(grant), [account_id])
    return cache
