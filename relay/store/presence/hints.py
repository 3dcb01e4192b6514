"""The hints in the inbox. A hint only says what to read again, so a lost hint loses no data."""

from __future__ import annotations

from typing import Final

import msgspec

from relay.core.presence import Name, TenantId, UserId

MAX_NAMES: Final = 50
"""Most names in a hint. For more names, reading the whole set is cheaper."""


class InterestChanged(msgspec.Struct, frozen=True, tag="i", array_like=True):
    """The watched names of an edge changed. If `added` and `removed` are empty, read the edge's whole set."""

    tenant_id: TenantId
    edge: str
    added: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()


class GrantChanged(msgspec.Struct, frozen=True, tag="g", array_like=True):
    """A grant has a new version, or was removed. A worker that wrote the version itself finds no change."""

    tenant_id: TenantId
    account_id: UserId


class TenantChanged(msgspec.Struct, frozen=True, tag="t", array_like=True):
    """A tenant's record was created, changed or removed."""

    tenant_id: TenantId


class Notified(msgspec.Struct, frozen=True, tag="n", array_like=True):
    """Change notifications of a subscription: verified to be Microsoft's, and still encrypted."""

    tenant_id: TenantId
    route_id: str
    items: tuple[bytes, ...]
    """Each the JSON of one `changeNotification`, as Graph sent it."""
    trace: bytes = b""
    """The trace context of the POST (see `ops.span`); empty without a trace. Earlier releases ignore and omit it."""


class Reauthorize(msgspec.Struct, frozen=True, tag="r", array_like=True):
    """Graph requests a fresh token for a subscription, or reports a problem with it."""

    tenant_id: TenantId
    route_id: str


class Explain(msgspec.Struct, frozen=True, tag="e", array_like=True):
    """A question about the owner's data on a user; see `explanations`."""

    tenant_id: TenantId
    request_id: str
    user_id: UserId | None
    """None for a name that does not resolve to a user yet."""
    names: tuple[Name, ...] = ()
    """The user's names, as far as the questioner knows them."""


Hint = InterestChanged | GrantChanged | TenantChanged | Notified | Reauthorize | Explain

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Hint] = msgspec.msgpack.Decoder(Hint)


def weight(hint: Hint) -> int:
    """Return how much of its tenant's share of the inbox a hint uses: each notification counts as one."""
    return len(hint.items) if isinstance(hint, Notified) else 1


def encode(hint: Hint) -> bytes:
    """Return the bytes of a hint; never empty."""
    return _encoder.encode(hint)


def decode(payload: bytes) -> Hint | None:
    """Return the hint; None for one that this release does not know."""
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        return None


def of_interest(
    tenant_id: TenantId, edge: str, *, added: tuple[Name, ...] = (), removed: tuple[Name, ...] = ()
) -> Hint:
    """Return the hint that an edge's interest changed by these names."""
    if len(added) + len(removed) > MAX_NAMES:
        return InterestChanged(tenant_id, edge)
    return InterestChanged(tenant_id, edge, added, removed)
