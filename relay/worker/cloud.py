"""The worker's connection to Microsoft: one Graph client, and access tokens. New refresh tokens are saved to the vault."""

from __future__ import annotations

import copy
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from relay.core.presence import UserId
from relay.core.reading.widespread_refusals import WidespreadRefusals
from relay.graph.auth.tokens import GrantTokens
from relay.graph.client import GraphClient
from relay.store.custody.vault import VersionConflict

if TYPE_CHECKING:
    from datetime import datetime

    from relay.core.consent.values import TokenGrant
    from relay.graph.client import Gate
    from relay.graph.settings import GraphSettings
    from relay.store.custody.vault import Vault


class Cloud:
    """The Graph client and the token source of all tenants, as an async context manager.

    A refresh token that Entra renews is written to the vault before the new access token is used. If another process was faster, its
    version is used. `widespread_refusals` records which tenants Graph refuses at present.
    """

    def __init__(self, settings: GraphSettings, vault: Vault) -> None:
        self._vault = vault
        self.widespread_refusals = WidespreadRefusals()
        self._stack = AsyncExitStack()
        self.client = GraphClient(settings)
        self.tokens = GrantTokens(settings, self._keep)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.client)
        await self._stack.enter_async_context(self.tokens)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def behind(self, gate: Gate) -> Cloud:
        """Return a view of the same connections and tokens that calls a gate before each request. Do not enter the view."""
        view = copy.copy(self)
        view.client, view.tokens = self.client.behind(gate), self.tokens.behind(gate)
        return view

    async def _keep(self, grant: TokenGrant, token_cache: str, asked_at: datetime) -> TokenGrant:
        account = UserId(grant.account_id)
        kept = await self._vault.load(grant.tenant_id, account)
        if kept is None:
            return grant  # removed meanwhile: there is no record to update
        if kept.version != grant.version:
            return kept.token_grant
        # Only the pool writes the health of a grant: Graph may refuse a grant that Entra renews.
        renewed = replace(kept, token_cache=token_cache, last_refresh=asked_at)
        try:
            version = await self._vault.save(renewed, grant.version)
        except VersionConflict:
            kept = await self._vault.load(grant.tenant_id, account)
            return grant if kept is None else kept.token_grant
        return replace(grant, version=version, token_cache=token_cache)
