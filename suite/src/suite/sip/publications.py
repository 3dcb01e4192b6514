"""The states that others publish to us (RFC 3903 6), without I/O: each has an entity tag, ends by itself, and is bounded in number.

PUBLISH, body, no tag  ──► a new one          200, SIP-ETag
PUBLISH, body, tag     ──► another state      200, a new SIP-ETag; 412 if the tag is not known
PUBLISH, tag           ──► it lives longer    200, a new SIP-ETag
PUBLISH, tag, 0 s      ──► it ends            200
"""

from __future__ import annotations

import heapq
import secrets
from dataclasses import dataclass, field
from typing import Final

PUBLISHED_S: Final = 3600.0
"""How long a state lives without Expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedState:
    """A state that somebody published."""

    resource: str
    """`uris.resource_key` of the Request-URI."""
    event: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAnswer:
    """The answer to a PUBLISH, and what it changed."""

    status: int
    reason: str
    tag: str = ""
    expires_s: int = 0
    changed: PublishedState | None = None
    """A new state, or another one."""
    ended: PublishedState | None = None
    """The state that this one replaces, or that ended."""


@dataclass(slots=True, eq=False)
class _Kept:
    state: PublishedState
    ends_at: float


@dataclass(slots=True, kw_only=True)
class Publications:
    """All states that are published to us."""

    shortest_s: int = 30
    longest_s: int = 24 * 3600
    most: int = 50_000
    longest_body: int = 64 * 1024
    most_bytes: int = 64 * 1024 * 1024
    """Of all bodies."""
    most_of_a_resource: int = 16
    """Of one user and event: several devices, and what a restarted publisher left behind, of which the oldest gives way."""
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _of: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    """User and event -> tags, the oldest first."""
    _due: list[tuple[float, str]] = field(default_factory=list)
    _bytes: int = 0

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self._kept)

    def publish(self, wanted: PublishedState, tag: str | None, expires_s: float | None, now: float) -> PublishAnswer:
        """Take a PUBLISH. `tag` is SIP-If-Match; an empty body means that the state stays."""
        seconds = int(PUBLISHED_S if expires_s is None else min(expires_s, self.longest_s))
        if 0 < seconds < self.shortest_s:
            return PublishAnswer(status=423, reason="Interval Too Brief", expires_s=self.shortest_s)
        if len(wanted.body) > self.longest_body:
            return PublishAnswer(status=413, reason="Request Entity Too Large")
        if tag is not None:
            return self._again(wanted, tag, seconds, now)
        if not wanted.body or not seconds:
            return PublishAnswer(status=400, reason="Nothing To Publish")
        same = self._of.get((wanted.resource, wanted.event), {})
        oldest = next(iter(same)) if len(same) >= self.most_of_a_resource else None
        gives_way = self._kept[oldest].state if oldest is not None else None
        freed = len(gives_way.body) if gives_way is not None else 0
        is_full = gives_way is None and len(self._kept) >= self.most
        if is_full or self._bytes + len(wanted.body) - freed > self.most_bytes:
            return PublishAnswer(status=503, reason="Too Many Publications")
        if oldest is not None:
            self._drop(oldest)
        made = self._keep(wanted, seconds, now)
        return PublishAnswer(status=200, reason="OK", tag=made, expires_s=seconds, changed=wanted, ended=gives_way)

    def _again(self, wanted: PublishedState, tag: str, seconds: int, now: float) -> PublishAnswer:
        kept = self._kept.get(tag)
        if kept is None or (kept.state.resource, kept.state.event) != (wanted.resource, wanted.event):
            return PublishAnswer(status=412, reason="Conditional Request Failed")
        if self._bytes + len(wanted.body) - len(kept.state.body) > self.most_bytes and wanted.body and seconds:
            return PublishAnswer(status=503, reason="Too Many Publications")
        self._drop(tag)
        if not seconds:
            return PublishAnswer(status=200, reason="OK", tag=tag, ended=kept.state)
        state = wanted if wanted.body else kept.state
        made = self._keep(state, seconds, now)
        if state == kept.state:
            return PublishAnswer(status=200, reason="OK", tag=made, expires_s=seconds)
        return PublishAnswer(status=200, reason="OK", tag=made, expires_s=seconds, changed=state, ended=kept.state)

    def clear(self) -> None:
        """Forget all states. Their tags are not known any more."""
        self._bytes = 0
        self._kept.clear()
        self._of.clear()
        self._due.clear()

    def expire(self, now: float) -> list[PublishedState]:
        """Return the states whose time is over; they are gone then."""
        ended: list[PublishedState] = []
        while self._due and self._due[0][0] <= now:
            _, tag = heapq.heappop(self._due)
            kept = self._kept.get(tag)
            if kept is not None:
                self._drop(tag)
                ended.append(kept.state)
        return ended

    def next_due(self) -> float | None:
        """Return when `expire` may have something to return."""
        return self._due[0][0] if self._due else None

    def _keep(self, state: PublishedState, seconds: int, now: float) -> str:
        tag = secrets.token_hex(12)
        self._kept[tag] = _Kept(state, now + seconds)
        self._bytes += len(state.body)
        self._of.setdefault((state.resource, state.event), {})[tag] = None
        heapq.heappush(self._due, (now + seconds, tag))
        if len(self._due) > 4 * len(self._kept) + 1024:
            self._due = [each for each in self._due if each[1] in self._kept]
            heapq.heapify(self._due)
        return tag

    def _drop(self, tag: str) -> None:
        state = self._kept.pop(tag).state
        self._bytes -= len(state.body)
        key = (state.resource, state.event)
        del self._of[key][tag]
        if not self._of[key]:
            del self._of[key]
