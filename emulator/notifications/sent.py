"""The log of POSTs to webhooks with their outcomes, and counts of notifications by outcome."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

PostKind = Literal["validation", "notification", "lifecycle"]
Outcome = Literal["delivered", "refused", "timeout", "unreachable"]


class Sent(msgspec.Struct, gc=False, kw_only=True):
    """One POST to a webhook and its outcome."""

    at_s: float
    """The world's time when it was answered or given up, in seconds."""
    utc: float
    """Seconds since 1970."""
    kind: PostKind
    url: str
    subscriptions: list[str]
    tenants: list[str]
    items: int
    attempt: int
    """1 for the first."""
    status: int
    """0 without an answer."""
    ms: float
    outcome: Outcome
    reason: str
    """The reason for a missing answer or a failed handshake; empty otherwise."""


class Counts(msgspec.Struct, kw_only=True):
    """Counts of notifications by outcome; one notification may count in several fields."""

    announced: int = 0
    """A change that a live subscription covers."""
    silenced: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    held: int = 0
    """Kept because the subscription's token had expired."""
    delayed: int = 0
    """Delayed by ten minutes because the endpoint was slow."""
    dropped: int = 0
    """Thrown away because the endpoint was in the drop state, or because too many were waiting for it."""
    ended: int = 0
    """Not sent because the subscription had ended."""
    delivered: int = 0
    given_up: int = 0
    """Not delivered within four hours."""


class Log:
    """The newest POSTs, as many as fit, and the counts."""

    def __init__(self, size: int) -> None:
        self._sent: deque[Sent] = deque(maxlen=size)
        self.counts = Counts()
        self.total = 0

    def write(self, entry: Sent) -> None:
        """Add a POST to the log."""
        self.total += 1
        self._sent.append(entry)

    def clear(self) -> None:
        """Delete every POST and restart the counts."""
        self._sent.clear()
        self.counts = Counts()
        self.total = 0

    def search(self, *, subscription: str = "", kind: str = "", limit: int | None = None) -> list[Sent]:
        """The POSTs of a subscription, of a kind; oldest first, of many the newest `limit`."""
        found = [entry for entry in self._sent if _matches(entry, subscription, kind)]
        return found if limit is None else found[max(0, len(found) - limit) :]

    def __iter__(self) -> Iterator[Sent]:
        return iter(self._sent)

    def __len__(self) -> int:
        return len(self._sent)


def _matches(entry: Sent, subscription: str, kind: str) -> bool:
    return (not subscription or subscription in entry.subscriptions) and kind in {"", entry.kind}
