"""Ends at Microsoft what a grant was used for, as long as its token is at hand. Best effort: it ends by itself within the hour."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import RelayError
from relay.graph.auth.tokens import Grant, GrantTokens
from relay.graph.push import subscriptions as graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.graph.client import GraphClient
    from relay.store.custody.vault import Grant as KeptGrant
    from relay.store.presence.subscriptions import Subscription

log = structlog.get_logger(__name__)

_PATIENCE: Final = timedelta(seconds=8)
"""A person is waiting in front of a page."""


async def end_subscriptions(
    client: GraphClient, subscriptions: Sequence[Subscription], grants: Sequence[KeptGrant]
) -> bool:
    """Delete subscriptions at Microsoft with grants that are not kept any more; whether none is left.

    The worker does the same when it sees that they are gone. Doing it here as well does no harm, and is all that happens when
    no worker is there.
    """
    of_account = {grant.account_id: grant for grant in grants if grant.token_cache}
    known = [one for one in subscriptions if one.subscription_id and one.account_id in of_account]
    if not known:
        return all(not one.subscription_id for one in subscriptions)
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()), GrantTokens(client.settings, _forget) as tokens:
            done = await asyncio.gather(*(_end(client, tokens, one, of_account[one.account_id]) for one in known))
    except TimeoutError:
        return False
    return all(done) and len(known) == len(subscriptions)


async def _end(client: GraphClient, tokens: GrantTokens, subscription: Subscription, kept: KeptGrant) -> bool:
    grant = Grant(
        tenant_id=kept.tenant_id, account_id=kept.account_id, version=kept.version, token_cache=kept.token_cache
    )
    try:
        await graph.delete(client, tokens.source(grant), subscription.subscription_id)
    except RelayError as error:
        log.info("subscription_left_behind", tenant_id=kept.tenant_id, error=type(error).__name__)
        return False
    return True


async def _forget(grant: Grant, _changed: str) -> Grant:
    """A token that came along is not kept: the grant is gone."""
    return grant
