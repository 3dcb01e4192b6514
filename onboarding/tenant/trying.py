"""A consent is tried before it is kept, and what comes of it is said to whoever is in front of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onboarding.tenant.sign_ins import SignInFailed
from relay.consent.prove import tried
from relay.errors import AccessDenied, ConsentRequired, RequestRefused

if TYPE_CHECKING:
    from relay.core.presence import TenantId, UserId
    from relay.graph.client import GraphClient


async def proven(client: GraphClient, tenant_id: TenantId, account_id: UserId, token_cache: str) -> str:
    """The token cache after one read with it: what cannot read is not kept.

    Raises:
        SignInFailed: it cannot read.
        Retryable, CredentialRejected: as of `tried`.
    """
    try:
        return await tried(client, tenant_id, account_id, token_cache)
    except ConsentRequired as refused:
        raise SignInFailed("refused", str(refused)) from refused
    except (AccessDenied, RequestRefused) as refused:
        raise SignInFailed("proof_refused", str(refused)) from refused
