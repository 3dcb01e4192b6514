"""Tests a new grant before it is stored, and turns Microsoft's refusals into problems that a page can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pages.pending_sign_ins import SignInFailed
from relay.consent.prove import prove
from relay.errors import AccessDenied, ConsentRequired, RequestRefused

if TYPE_CHECKING:
    from relay.consent.prove import ProvenGrant
    from relay.core.consent.values import NewGrant
    from relay.graph.client import GraphClient


async def proven(client: GraphClient, new: NewGrant) -> ProvenGrant:
    """Return a new grant as proven, after testing that it can read presence.

    Raises:
        SignInFailed: the grant cannot read presence.
        Retryable, CredentialRejected: see `prove`.
    """
    try:
        return await prove(client, new)
    except ConsentRequired as refused:
        raise SignInFailed("refused", str(refused)) from refused
    except (AccessDenied, RequestRefused) as refused:
        raise SignInFailed("proof_refused", str(refused)) from refused
