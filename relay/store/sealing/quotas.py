"""Quotas: limits on the number of short-lived values of one kind at a time. On custody's server.

    rooms:<name>     sorted set: key of a value -> when it ends, in ms since 1970

Redis evicts nothing, so a flood of values with an expiry could fill it before they expire. A value enters a quota when
it is written. If the quota is full, the values that end first are deleted; no write is refused. A crash between the
steps leaves a value that is not counted until it expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from relay.store.server import keys

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.store.server.connection import Store


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of one kind of values.

    Attributes:
        name: name of the quota.
        most: most values in it.
    """

    name: str
    most: int

    @property
    def key(self) -> bytes:
        """The key of the sorted set."""
        return keys.quota(self.name)


async def enter(store: Store, quota: Quota, key: bytes, life: timedelta, *commands: tuple[Any, ...]) -> int:
    """Add a value to a quota, after `commands` in the same round trip; return how many other values were deleted.

    Repeating it updates the end of the value.
    """
    now = datetime.now(UTC)
    now_ms, ends_ms = (int(time.timestamp() * 1000) for time in (now, now + life))
    *_, count = await store.many(
        [
            *commands,
            ("ZADD", quota.key, ends_ms, key),
            ("ZREMRANGEBYSCORE", quota.key, "-inf", now_ms),
            ("ZCARD", quota.key),
        ],
        vault=True,
    )
    if count <= quota.most:
        return 0
    popped = await store.vault_command("ZPOPMIN", quota.key, count - quota.most)
    gone = [one for one, _ in _pairs(popped)]
    await store.many([("UNLINK", one) for one in gone], vault=True)
    return len(gone)


def left(quota: Quota, key: bytes) -> tuple[Any, ...]:
    """Return the command that removes a value from a quota."""
    return ("ZREM", quota.key, key)


def _pairs(popped: list[Any]) -> list[Any]:
    """Return a reply to ZPOPMIN as pairs, for RESP2 and RESP3."""
    if popped and not isinstance(popped[0], list | tuple):
        return list(zip(popped[::2], popped[1::2], strict=True))
    return popped
