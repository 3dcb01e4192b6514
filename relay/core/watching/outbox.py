"""The conflating outbox: the newest unsent value for each key of one reader."""

from __future__ import annotations

from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Outbox(Generic[K, V]):
    """The newest unsent value per key for one reader, oldest dirty key first. (Pure; `edge/` does the waiting.)

    It never blocks the writer and never holds two values for a key, so its size is at most the number of watched keys,
    however slow the reader is. A key keeps its place when its value is replaced, so no key starves.

    Attributes:
        values: key -> newest unsent value, in the order of sending. The fan-out's inner loop writes to it directly.
    """

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[K, V] = {}

    def put(self, key: K, value: V) -> bool:
        """Store `value`; return True if it replaced an unsent one."""
        replaced = key in self.values
        self.values[key] = value
        return replaced

    def discard(self, key: K) -> None:
        """Drop the unsent value of `key`, if any."""
        self.values.pop(key, None)

    def take(self, limit: int) -> list[tuple[K, V]]:
        """Remove and return up to `limit` pairs, oldest dirty first."""
        if len(self.values) <= limit:
            taken = list(self.values.items())
            self.values.clear()
            return taken
        taken = list(islice(self.values.items(), limit))
        for key, _ in taken:
            del self.values[key]
        return taken

    def clear(self) -> None:
        """Drop all unsent values."""
        self.values.clear()

    def __len__(self) -> int:
        return len(self.values)
