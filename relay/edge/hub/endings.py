"""The errors that end a stream because its suite key or its tenant has ended."""

from __future__ import annotations

from relay.errors import SuiteKeyRevoked, TenantRemoved


def revoked(key_id: str) -> SuiteKeyRevoked:
    """Return the error that ends the streams of a revoked suite key."""
    return SuiteKeyRevoked("This suite key was revoked", key_id=key_id)


def removed() -> TenantRemoved:
    """Return the error that ends the streams of a tenant that was removed."""
    return TenantRemoved("The tenant of this suite key has left the relay")
