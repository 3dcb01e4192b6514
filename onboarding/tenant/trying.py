"""A consent is tried before it is kept, and what comes of it is said to whoever is in front of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onboarding.tenant.sign_ins import SignInFailed
from relay.consent.prove import prove
from relay.errors import AccessDenied, ConsentRequired, RequestRefused

if TYPE_CHECKING:
    from relay.consent.prove import ProvenGrant
    from relay.core.consent.values import NewGrant
    from relay.graph.client import GraphClient


async def proven(client: GraphClient, new: NewGrant) -> ProvenGrant:
    """Prove a new grant, with refusals in the page's words: a grant that cannot read is not kept.

    Raises:
        SignInFailed: it cannot read.
        Retryable, CredentialRejected: see `prove`.
    """
    try:
        return await prove(client, new)
    except ConsentRequired as refused:
        raise SignInFailed("refused", str(refused)) from refused
    except (AccessDenied, RequestRefused) as refused:
        raise SignInFailed("proof_refused", str(refused)) from refused
