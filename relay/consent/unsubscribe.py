"""Deletes the subscriptions of a removed grant, while its token is still available. Best effort: they expire within an hour."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from relay.consent.patience import SHORT_PATIENCE
from relay.errors import RelayError
from relay.graph.auth.tokens import GrantTokens, discard
from relay.graph.push import subscriptions as graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.graph.client import GraphClient
    from relay.store.custody.vault import Grant
    from relay.store.presence.subscriptions import Subscription

log = structlog.get_logger(__name__)


async def end_subscriptions(
    client: GraphClient, subscriptions: Sequence[Subscription], grants: Sequence[Grant]
) -> bool:
    """Delete subscriptions at Microsoft with grants that are no longer stored; return True if none is left.

    The worker does the same when it notices the removal. Doing it here as well is harmless, and necessary when no worker runs.
    """
    of_account = {grant.account_id: grant for grant in grants if grant.token_cache}
    known = [one for one in subscriptions if one.subscription_id and one.account_id in of_account]
    if not known:
        return all(not one.subscription_id for one in subscriptions)
    try:
        async with asyncio.timeout(SHORT_PATIENCE.total_seconds()), GrantTokens(client.settings, discard) as tokens:
            done = await asyncio.gather(*(_end(client, tokens, one, of_account[one.account_id]) for one in known))
    except TimeoutError:
        return False
    return all(done) and len(known) == len(subscriptions)


async def _end(client: GraphClient, tokens: GrantTokens, subscription: Subscription, grant: Grant) -> bool:
    try:
        await graph.delete(client, tokens.source(grant.token_grant), subscription.subscription_id)
    except RelayError as error:
        log.info("subscription_orphaned", tenant_id=grant.tenant_id, error=type(error).__name__)
        return False
    return True
