"""The values of a consent, as Graph client, store and pages pass them on until it is a stored grant."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.core.presence import TenantId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A consent just obtained, not yet proven or stored. The account is verified.

    Attributes:
        tenant_id: the account's tenant.
        account_id: the account's object id.
        upn: the account's name.
        token_cache: MSAL's cache, as text; empty in `repr`.
        scopes: the permissions that were granted.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    token_cache: str = field(repr=False)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGrant:
    """A grant, with the values that are needed to get access tokens.

    Attributes:
        tenant_id: the tenant.
        account_id: the account's object id.
        version: grows with each write to the vault; 0 for a grant that is not stored.
        token_cache: MSAL's cache, as text.
    """

    tenant_id: TenantId
    account_id: str
    version: int
    token_cache: str = field(repr=False)
