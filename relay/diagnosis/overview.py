"""All watched users of a tenant: the names that suites use, the users with these names, and the answers.

The overview is read as a whole, because filters need all users, and cached for five times as long as the read took. So
a tenant takes at most a fifth of one core, regardless of the number of viewers and users.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.core.names import folded, normalise
from relay.core.presence import Presence, Status
from relay.core.showing.diagnosis import Word, availability_word, word
from relay.store.presence.interest import Interest, is_page
from relay.store.presence.presences import Presences
from relay.wire.decode import decode, glance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relay.core.presence import Name, Resolution, TenantId, UserId
    from relay.store.presence.values import DirectoryEntry, StoredAnswer
    from relay.store.server.connection import Store

_LEAST_KEPT_S: Final = 1.0
_COST_SHARE: Final = 5
_MOST_TENANTS: Final = 20
_MOST_ROWS: Final = 300_000
"""Limits of the cache: the number of overviews, and of users in all of them. 100,000 users take some 100 MB."""
_READ_AT_ONCE: Final = 2
"""Concurrent reads of overviews: each takes a second or two of one core for 100,000 users."""
_DROPPED_AFTER_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class UserRow:
    """One watched user, or one name without a user.

    Attributes:
        user_id: None for a name without a user, or not resolved yet.
        upn: canonical; empty when not known.
        names: the names that suites use, sorted.
        word: the state of the user, in one word.
        status: the reason for missing presence; None with a presence.
        is_requested: whether a suite requests the user.
        is_shown: whether a page is watching the user.
        stored: the answer; None without one.
    """

    user_id: UserId | None
    upn: str
    names: tuple[Name, ...]
    word: Word
    status: Status | None
    is_requested: bool
    is_shown: bool
    stored: StoredAnswer | None = field(repr=False)

    @property
    def title(self) -> str:
        """The name to show for the user."""
        return self.upn or (self.names[0] if self.names else str(self.user_id))

    @property
    def presence(self) -> Presence | None:
        """The complete presence, decoded at each access."""
        answer = decode(self.stored.item) if self.stored is not None and self.status is None else None
        return answer if isinstance(answer, Presence) else None

    @property
    def since(self) -> datetime | None:
        """The time since which the answer is unchanged; None without one."""
        return None if self.stored is None else datetime.fromtimestamp((self.stored.revision >> 64) / 1000, tz=UTC)

    def mentions(self, text: str) -> bool:
        """Return True if a name or id contains this lower-case text."""
        return text in folded(self.upn) or any(text in name for name in self.names) or text in (self.user_id or "")


@dataclass(frozen=True, slots=True)
class FilteredRows:
    """The result of a filter: the first rows, the total of all, and the count of each word before the filter by words."""

    rows: Sequence[UserRow]
    total: int
    counts: Mapping[Word, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """All rows, in the order of their titles, as of one read."""

    rows: Sequence[UserRow]
    at: datetime

    def asked_as(self, text: str) -> str:
        """Return a name that suites use for the user with this object id or canonical name; otherwise the text itself."""
        name = normalise(text)
        for row in self.rows:
            if row.names and name is not None and name in (row.user_id, folded(row.upn)):
                return text if name in row.names else row.names[0]
        return text

    def find(self, text: str, words: Iterable[Word], limit: int) -> FilteredRows:
        """Return the rows whose names contain the text, filtered by these words; without words, all."""
        text, chosen = folded(text.strip()), frozenset(words)
        named = [row for row in self.rows if row.mentions(text)] if text else self.rows
        rows = [row for row in named if row.word in chosen] if chosen else named
        return FilteredRows(rows[:limit], len(rows), Counter(row.word for row in named))


async def read(store: Store, tenant_id: TenantId) -> Overview:
    """Read everything about a tenant's watched users. Not a consistent snapshot."""
    at = datetime.now(UTC)
    presences = Presences(store)
    interest = await Interest(store).read(tenant_id)
    directory = await presences.load_directory(tenant_id)
    answers = await presences.load(tenant_id)
    # On a thread: with 100,000 users it takes seconds, and other pages must not wait for that.
    return Overview(await asyncio.to_thread(_rows, interest, directory, answers), at)


def _rows(
    interest: Mapping[str, set[Name]], directory: Mapping[Name, DirectoryEntry], answers: Mapping[UserId, StoredAnswer]
) -> list[UserRow]:
    suites = {name for edge, names in interest.items() if not is_page(edge) for name in names}
    pages = {name for edge, names in interest.items() if is_page(edge) for name in names}
    names_of: dict[UserId | Name, list[Name]] = {}
    outcomes: dict[UserId | Name, Resolution] = {}
    for name in sorted(directory.keys() | suites | pages):
        entry = directory.get(name)
        outcome: Resolution = entry.outcome if entry is not None else Status.PENDING
        key = name if isinstance(outcome, Status) else outcome
        names_of.setdefault(key, []).append(name)
        outcomes[key] = outcome
    rows = [_row(outcomes[key], names, answers, suites, pages) for key, names in names_of.items()]
    return sorted(rows, key=lambda row: row.title.casefold())


def _row(
    outcome: Resolution, names: list[Name], answers: Mapping[UserId, StoredAnswer], suites: set[Name], pages: set[Name]
) -> UserRow:
    asked = tuple(name for name in names if name in suites)
    is_requested, is_shown = bool(asked), not pages.isdisjoint(names)
    shown = asked or tuple(names)
    if isinstance(outcome, Status):
        said = word(outcome) if is_requested or is_shown else Word.NOT_REQUESTED
        return UserRow(None, "", shown, said, outcome, is_requested, is_shown, None)
    stored = answers.get(outcome)
    upn, status, said = "", None, Word.REQUESTING
    try:
        if stored is not None:
            upn, availability, status = glance(stored.item)
            said = availability_word(availability) if availability is not None else word(status)
    except ValueError:  # written by another release: the worker will read it again
        stored = None
    if not is_requested and not is_shown:
        said = Word.NOT_REQUESTED
    return UserRow(
        outcome, upn, shown, said, Status.PENDING if stored is None else status, is_requested, is_shown, stored
    )


@dataclass(slots=True)
class _Kept:
    overview: Overview | None = None
    read_at: float = float("-inf")
    cost_s: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def rows(self) -> int:
        """The number of users in the overview."""
        return 0 if self.overview is None else len(self.overview.rows)


class Overviews:
    """A cache of overviews, each read again when it is older than a second and than five times its read time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[TenantId, _Kept] = {}
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)

    async def of(self, tenant_id: TenantId) -> Overview:
        """Return a tenant's overview, read only from the tenant's own keys."""
        self._drop_old(time.monotonic())
        kept = self._kept.setdefault(tenant_id, _Kept())
        async with kept.lock:
            if kept.overview is None or time.monotonic() - kept.read_at > max(_LEAST_KEPT_S, _COST_SHARE * kept.cost_s):
                async with self._reading:
                    kept.overview = None  # one read of a tenant at a time
                    began = time.monotonic()
                    kept.overview = await read(self._store, tenant_id)
                kept.read_at = time.monotonic()
                kept.cost_s = kept.read_at - began
            overview = kept.overview
        self._drop_old(time.monotonic())
        return overview

    def _drop_old(self, now: float) -> None:
        idle = {tenant: kept for tenant, kept in self._kept.items() if not kept.lock.locked()}
        gone = [tenant for tenant, kept in idle.items() if now - kept.read_at > _DROPPED_AFTER_S]
        oldest = sorted(idle, key=lambda tenant: idle[tenant].read_at)
        gone += oldest[: max(0, len(self._kept) - _MOST_TENANTS)]
        for tenant in gone:
            self._kept.pop(tenant, None)
        rows = sum(kept.rows for kept in self._kept.values())
        for tenant in oldest[:-1]:  # keeps the newest
            if rows <= _MOST_ROWS:
                break
            kept = self._kept.pop(tenant, None)
            rows -= 0 if kept is None else kept.rows
