"""The history of people's presence: each change with its instant. Tests compare a client's view with it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.clock import Clock
    from emulator.world import Person, Shown

SIZE: Final = 200_000
"""Changes that are kept, some 60 MB: a day of 2,000 people has about half as many."""


class PresenceChange(msgspec.Struct, gc=False):
    """A change of the presence that others see of a person."""

    number: int
    """Number of changes up to and including this one since the history was cleared."""
    at_s: float
    """The world's seconds."""
    utc: float
    """Seconds since 1970."""
    tenant: str
    person: str
    """Object id."""
    availability: str
    activity: str
    sequence_number: str


class History:
    """The newest changes, up to a maximum, recorded while `enabled`."""

    def __init__(self, clock: Clock, size: int = SIZE) -> None:
        self.enabled = False
        self.total = 0
        self._clock = clock
        self._changes: deque[PresenceChange] = deque(maxlen=size)

    def write(self, person: Person, seen: Shown) -> None:
        """Record a new presence of a person."""
        self.total += 1
        self._changes.append(
            PresenceChange(self.total, self._clock.now(), time.time(), person.tenant.tenant_id, person.oid, seen.availability,
                   seen.activity, person.sequence)
        )  # fmt: skip

    def search(
        self, *, tenant: str = "", person: str = "", after: int = 0, limit: int | None = None
    ) -> list[PresenceChange]:
        """Return the changes that match all conditions, oldest first; at most the oldest `limit`.

        Args:
            tenant: tenant id.
            person: object id.
            after: the number of a change; only later ones match.
            limit: maximum number of changes.
        """
        found: list[PresenceChange] = []
        for change in self._after(after):
            if len(found) == limit:
                break
            if tenant in {"", change.tenant} and person in {"", change.person}:
                found.append(change)
        return found

    def clear(self) -> None:
        """Delete every change and restart the numbers."""
        self._changes.clear()
        self.total = 0

    def _after(self, number: int) -> Iterator[PresenceChange]:
        older = max(0, number - (self.total - len(self._changes)))
        changes = iter(self._changes)
        for _ in range(min(older, len(self._changes))):
            next(changes)
        return changes

    def __len__(self) -> int:
        return len(self._changes)
