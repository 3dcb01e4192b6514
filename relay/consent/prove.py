"""Proves a new grant before it is stored: it must give an access token that reads presence.

    NewGrant ──► GrantTrial: refreshed; reads users and presence, tries one subscription ──► ProvenGrant

Only a `ProvenGrant` can be admitted; see `admit`. Each step is retried for a while when Microsoft does not answer.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from relay.consent.patience import patiently
from relay.core.consent.values import TokenGrant
from relay.errors import Bug
from relay.graph.auth.tokens import GrantTokens
from relay.graph.presence.organisation import some_users
from relay.graph.presence.presences import read_presences
from relay.graph.push import subscriptions
from relay.store.presence.subscriptions import new_client_state, new_route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.core.consent.values import NewGrant
    from relay.core.presence import Observation, TenantId, UserId
    from relay.graph.client import GraphClient
    from relay.graph.presence.organisation import Colleague
    from relay.graph.push.settings import PushSettings

_SUBSCRIPTION_LIFE: Final = timedelta(minutes=45)
"""Lifetime of the test subscription: Graph's minimum. It is deleted at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenGrant:
    """A grant that has read presence and can be stored.

    Attributes:
        tenant_id: the account's tenant.
        account_id: the account's object id.
        upn: the account's name.
        token_cache: MSAL's cache as it is after the reads.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    token_cache: str = field(repr=False)


class GrantTrial:
    """Uses a new grant before it is stored, as an async context manager that first refreshes it, as the worker will.

    Raises (from every method): `Retryable` when Microsoft does not answer; `ConsentRequired`, `AccessDenied` or `RequestRefused`
    when the grant does not work; `CredentialRejected` when the relay's registration is at fault.
    """

    def __init__(self, client: GraphClient, new: NewGrant) -> None:
        self._client = client
        self._new = new
        self._grant = TokenGrant(
            tenant_id=new.tenant_id, account_id=new.account_id, version=0, token_cache=new.token_cache
        )
        self._token_cache = new.token_cache
        self._tokens = GrantTokens(client.settings, self._remember)
        self._token = self._tokens.source(self._grant)
        self._stack = AsyncExitStack()
        self._has_read = False

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._tokens)
        try:
            await patiently(lambda: self._tokens.refresh(self._grant))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def users(self, most: int) -> list[Colleague]:
        """Return up to `most` users that the account can see."""
        return await patiently(lambda: some_users(self._client, self._token, most))

    async def presences(self, users: Sequence[UserId]) -> Sequence[Observation]:
        """Return the presence of the given users, or of the account itself without any."""
        page = await patiently(lambda: read_presences(self._client, self._token, users or [self._new.account_id]))
        self._has_read = True
        return page.observations

    async def subscribe(self, push: PushSettings) -> None:
        """Create one subscription to the account and delete it again.

        Raises:
            SubscriptionExists: the account already has a subscription.
            SubscriptionRefused, WebhookUnreachable: Graph accepts no subscription now.
        """
        wanted = subscriptions.SubscriptionRequest(
            users=(self._new.account_id,),
            notification_url=push.url_base + new_route(self._new.tenant_id),
            client_state=new_client_state(),
            certificate=push.certificates.newest,
            expires=datetime.now(UTC) + _SUBSCRIPTION_LIFE,
        )
        made = await subscriptions.create(self._client, self._token, wanted)
        await subscriptions.delete(self._client, self._token, made.subscription_id)

    def proven(self) -> ProvenGrant:
        """Return the grant to store, after it has read presence."""
        if not self._has_read:
            raise Bug("A grant is proven by a read of presence")
        new = self._new
        return ProvenGrant(
            tenant_id=new.tenant_id, account_id=new.account_id, upn=new.upn, token_cache=self._token_cache
        )

    async def _remember(self, grant: TokenGrant, token_cache: str, _asked_at: datetime) -> TokenGrant:
        """Receive the changed token cache, to store it with the grant."""
        self._token_cache = token_cache
        return grant


async def prove(client: GraphClient, new: NewGrant) -> ProvenGrant:
    """Return a new grant after it was refreshed and has read the presence of its account.

    Raises:
        Retryable: Microsoft or Entra does not answer; repeating is safe.
        ConsentRequired, AccessDenied, RequestRefused: the consent does not work.
        CredentialRejected: the relay's registration is at fault.
    """
    async with GrantTrial(client, new) as tried:
        await tried.presences([])
        return tried.proven()
