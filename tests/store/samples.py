"""Ids and values that the tests of the store share."""

from __future__ import annotations

from datetime import UTC, datetime

from relay.core.presence import Name, Source, TenantId, UserId
from relay.core.reading.ordering import Order
from relay.store.presence.values import DirectoryEntry, Observed
from relay.store.server import keys

TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tenant_in(partition: int, skip: int = 0) -> TenantId:
    """A tenant of a partition; `skip` picks different ones."""
    found = (TenantId(f"00000000-0000-4000-8000-{n:012x}") for n in range(1 << 20))
    return [t for t, _ in zip((t for t in found if keys.partition_of(t) == partition), range(skip + 1), strict=False)][
        skip
    ]


def user(number: int) -> UserId:
    return UserId(f"aaaaaaaa-0000-4000-8000-{number:012x}")


def name(number: int) -> Name:
    return Name(f"user{number}@contoso.com")


def seen(
    number: int,
    item: bytes = b"item",
    *,
    poll: int = 1,
    fence: int = 1,
    sequence: str = "",
    source: Source = Source.POLL,
) -> Observed:
    return Observed(user(number), item, Order(fence, poll), sequence, source)


def stands_for(outcome, expires: datetime = NOW) -> DirectoryEntry:  # type: ignore[no-untyped-def]
    return DirectoryEntry(outcome, expires)
