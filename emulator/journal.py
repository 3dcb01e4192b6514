"""The journal of requests, and the gaps between two reads of a user."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emulator.exchange import Answer, Request
    from emulator.world import Person


class Entry(msgspec.Struct, gc=False):
    """One request. For Entra's requests, query and body are omitted because they contain codes and tokens."""

    at: float
    """Monotonic seconds."""
    utc: float
    """Seconds since 1970."""
    method: str
    path: str
    query: str
    tenant: str
    app: str
    status: int
    ms: float
    count: int
    """Ids in a bulk read."""
    reason: str
    """The reason for a refusal; empty if it was not refused."""
    ids: list[str] | None = None
    """The ids of a bulk read, if the journal keeps them."""
    number: int = 0
    """Number of requests up to and including this one since the journal was cleared."""


MOST_IDS: Final = 1_000_000
"""Maximum number of ids of bulk reads that are kept, some 100 MB; for older reads only their number."""


class Journal:
    """The newest requests, up to a maximum."""

    def __init__(self, size: int = 20_000) -> None:
        self.keep_ids = False
        self._with_ids: deque[Entry] = deque()
        self._ids = 0
        self._entries: deque[Entry] = deque(maxlen=size)
        self.total = 0

    def write(self, request: Request, answer: Answer, began: float) -> None:
        """Record one request with its answer; `began` is by the monotonic clock."""
        now = time.monotonic()
        shown = request.query.decode("latin-1") if request.path.startswith("/v1.0/") else ""
        ids = list(request.ids) if self.keep_ids and request.ids else None
        ms = round((now - began) * 1000, 3)
        self.total += 1
        entry = Entry(began, time.time(), request.method, request.path, shown, request.tenant_id, request.app_id,
                      answer.status, ms, len(request.ids), request.reason, ids, self.total)  # fmt: skip
        self._entries.append(entry)
        if ids is not None:
            self._keep(entry, len(ids))

    def search(
        self, *, path: str = "", method: str = "", tenant: str = "", app: str = "", status: int | None = None,
        reason: str = "", since: float | None = None, after: int = 0, limit: int | None = None,
    ) -> list[Entry]:  # fmt: skip
        """Return the entries that match all conditions, oldest first.

        Args:
            path: text that the path contains.
            method: HTTP method.
            tenant: tenant id.
            app: client id.
            status: HTTP status.
            reason: text that the reason contains, in any case.
            since: seconds since 1970; answered then or later.
            after: the number of an entry; only later ones match.
            limit: maximum number of entries; the newest are returned.
        """
        wanted = [(name, value) for name, value in (("method", method), ("tenant", tenant), ("app", app)) if value]
        found: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.number <= after or (since is not None and entry.utc < since) or len(found) == limit:
                break
            if status is not None and status != entry.status:
                continue
            if all(getattr(entry, name) == value for name, value in wanted) and (
                path in entry.path and reason.lower() in entry.reason.lower()
            ):
                found.append(entry)
        found.reverse()
        return found

    def clear(self) -> None:
        """Delete every entry and restart the numbers."""
        self._entries.clear()
        self._with_ids.clear()
        self.total = self._ids = 0

    def _keep(self, entry: Entry, count: int) -> None:
        self._with_ids.append(entry)
        self._ids += count
        while self._ids > MOST_IDS or (self._with_ids and self._with_ids[0].number <= self.total - len(self._entries)):
            oldest = self._with_ids.popleft()
            self._ids -= oldest.count
            oldest.ids = None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


BUCKET_S = 0.01
"""Width of a bucket of the gap histogram: fine enough to distinguish 6.00 s from 6.05 s."""
BUCKETS = 12_000
"""Two minutes; longer gaps share the last bucket, and `max_s` is exact."""


class Gaps:
    """A histogram of the gaps between two reads of a user, all users together.

    Updated on each read, so its cost does not grow with time. The first read of a user since the last reset opens its
    first gap and does not count as one.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._since = 0.0
        self.reset()

    def reset(self) -> None:
        """Delete all gaps and restart; `enabled` does not change."""
        self._since = time.monotonic()
        self._buckets = [0] * (BUCKETS + 1)
        self._max_s = 0.0

    def read(self, people: Iterable[Person]) -> None:
        """Record a read of these people."""
        now = time.monotonic()
        since, buckets, longest = self._since, self._buckets, self._max_s
        for person in people:
            last = person.last_read
            person.last_read = now
            if last >= since:
                gap = now - last
                buckets[min(int(gap / BUCKET_S), BUCKETS)] += 1
                longest = max(gap, longest)
        self._max_s = longest

    def report(self, people: Iterable[Person]) -> dict[str, Any]:
        """Return the figures; `open_max_s` is the longest gap that is still open, of all people read since the reset."""
        now = time.monotonic()
        last = min((person.last_read for person in people if person.last_read >= self._since), default=now)
        count = sum(self._buckets)
        shares = {"p50_s": 0.5, "p99_s": 0.99, "p999_s": 0.999}
        return {
            "enabled": self.enabled,
            "over_s": round(now - self._since, 3),
            "count": count,
            **{name: self._quantile(share, count) for name, share in shares.items()},
            "max_s": round(self._max_s, 3),
            "open_max_s": round(now - last, 3),
            "histogram": [[round(i * BUCKET_S, 2), n] for i, n in enumerate(self._buckets) if n],
        }

    def _quantile(self, share: float, count: int) -> float | None:
        """Return the upper edge of the bucket that reaches the share, never above the exact maximum."""
        below = 0
        for index, size in enumerate(self._buckets):
            below += size
            if count and below >= share * count:
                return round(min((index + 1) * BUCKET_S, self._max_s) if index < BUCKETS else self._max_s, 3)
        return None
