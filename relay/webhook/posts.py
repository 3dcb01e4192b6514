"""Parses a POST of Graph into notifications and validation tokens. Each notification keeps its original bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from relay.core import names
from relay.core.presence import TenantId
from relay.graph.errors import UNREADABLE


class Malformed(Exception):
    """A body that is not a collection of notifications."""


@dataclass(frozen=True, slots=True)
class Item:
    """One notification of a POST.

    Attributes:
        raw: its JSON.
        tenant_id: the tenant that it names.
        subscription_id: the subscription that it names.
        client_state: the client state that it contains.
        is_lifecycle: whether it is about the subscription itself.
    """

    raw: bytes = field(repr=False)
    tenant_id: TenantId
    subscription_id: str
    client_state: str = field(repr=False)
    is_lifecycle: bool


@dataclass(frozen=True, slots=True)
class Post:
    """One POST of notifications, as parsed.

    Attributes:
        items: the readable notifications, in their order.
        unreadable: the number of others.
        tokens: validation tokens.
    """

    items: tuple[Item, ...]
    unreadable: int
    tokens: tuple[str, ...] = field(repr=False)


def parse(body: bytes, max_items: int) -> Post:
    """Parse a body into notifications and tokens.

    Raises:
        Malformed: it is not a collection, or has more than `max_items`.
    """
    try:
        read = _BODY.decode(body)
    except UNREADABLE:
        raise Malformed from None
    if len(read.value) > max_items:
        raise Malformed
    items = [item for raw in read.value if (item := _item(raw)) is not None]
    return Post(tuple(items), len(read.value) - len(items), tuple(read.validation_tokens or ()))


class _Body(msgspec.Struct, rename="camel"):
    value: list[msgspec.Raw]
    validation_tokens: list[str] | None = None


class _Item(msgspec.Struct, rename="camel"):
    subscription_id: str
    tenant_id: str
    client_state: str | None = None
    lifecycle_event: str | None = None


_BODY: Final = msgspec.json.Decoder(_Body)
_ITEM: Final = msgspec.json.Decoder(_Item)


def _item(raw: msgspec.Raw) -> Item | None:
    try:
        read = _ITEM.decode(raw)
    except UNREADABLE:
        return None
    tenant_id = names.tenant_id(read.tenant_id)
    if tenant_id is None:
        return None
    return Item(bytes(raw), tenant_id, read.subscription_id, read.client_state or "", bool(read.lifecycle_event))
