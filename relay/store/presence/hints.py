"""The hints in the inbox. A hint says where to look; the data is in sets and hashes, so a lost hint loses nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from relay.core.presence import Name, TenantId, UserId

MAX_NAMES: Final = 50
"""More names than this are not repeated in a hint: reading the set is cheaper than carrying them twice."""


class InterestChanged(msgspec.Struct, frozen=True, tag="i", array_like=True):
    """An edge's watched names changed. With neither `added` nor `removed`, read the edge's whole set."""

    tenant_id: TenantId
    edge: str
    added: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()


class GrantChanged(msgspec.Struct, frozen=True, tag="g", array_like=True):
    """A grant has a new version, or is gone. The worker that wrote it itself finds the version that it knows."""

    tenant_id: TenantId
    account_id: UserId


class TenantChanged(msgspec.Struct, frozen=True, tag="t", array_like=True):
    """A tenant's record came, changed or went."""

    tenant_id: TenantId


class Notified(msgspec.Struct, frozen=True, tag="n", array_like=True):
    """Change notifications of a subscription: that they are Microsoft's is verified, what they say is still encrypted."""

    tenant_id: TenantId
    route_id: str
    items: tuple[bytes, ...]
    """Each the JSON of one `changeNotification`, as Graph sent it."""
    trace: bytes = b""
    """What goes on with the trace of the POST (see `ops.span`); empty without one. Earlier releases ignore it, and leave it out."""


class Reauthorize(msgspec.Struct, frozen=True, tag="r", array_like=True):
    """Graph asks for a fresh token of a subscription, or says otherwise that all is not well with it."""

    tenant_id: TenantId
    route_id: str


class Explain(msgspec.Struct, frozen=True, tag="e", array_like=True):
    """Somebody wants to know what the owner knows of a user; see `explanations`."""

    tenant_id: TenantId
    request_id: str
    user_id: UserId | None
    """None for a name that stands for nobody yet."""
    names: tuple[Name, ...] = ()
    """The names that the user goes by, as far as the asker knows them."""


Hint = InterestChanged | GrantChanged | TenantChanged | Notified | Reauthorize | Explain

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Hint] = msgspec.msgpack.Decoder(Hint)


def weight(hint: Hint) -> int:
    """Return how much of its tenant's share of the inbox a hint takes: each notification counts by itself."""
    return len(hint.items) if isinstance(hint, Notified) else 1


def encode(hint: Hint) -> bytes:
    """Return the bytes of a hint; never empty."""
    return _encoder.encode(hint)


def decode(payload: bytes) -> Hint | None:
    """Return the hint, or None for one that this release does not know."""
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
