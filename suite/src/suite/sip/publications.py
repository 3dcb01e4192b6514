"""Event states that others publish to us (RFC 3903 6), without I/O. Each has an entity tag, and expires; their number is bounded.

PUBLISH, body, no tag  ──► creates a state      200, SIP-ETag
PUBLISH, body, tag     ──► modifies the state   200, a new SIP-ETag; 412 if the tag is not known
PUBLISH, tag           ──► refreshes the state  200, a new SIP-ETag
PUBLISH, tag, 0 s      ──► removes the state    200
"""

from __future__ import annotations

import heapq
import secrets
from dataclasses import dataclass, field
from typing import Final

PUBLISHED_S: Final = 3600.0
"""Lifetime of a state that is published without Expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedState:
    """A published event state."""

    resource: str
    """`uris.resource_key` of the Request-URI."""
    event: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAnswer:
    """The response to a PUBLISH, and the change that it made."""

    status: int
    reason: str
    tag: str = ""
    expires_s: int = 0
    changed: PublishedState | None = None
    """The new or modified state."""
    ended: PublishedState | None = None
    """The state that was replaced or removed."""


@dataclass(slots=True, eq=False)
class _Kept:
    state: PublishedState
    ends_at: float


@dataclass(slots=True, kw_only=True)
class Publications:
    """All event states that are published to us."""

    shortest_s: int = 30
    longest_s: int = 24 * 3600
    most: int = 50_000
    longest_body: int = 64 * 1024
    most_bytes: int = 64 * 1024 * 1024
    """Of all bodies together."""
    most_of_a_resource: int = 16
    """Of one user and event: of several devices, and left by publishers that restarted. The oldest is dropped for a new one."""
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _of: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    """User and event -> tags, the oldest first."""
    _due: list[tuple[float, str]] = field(default_factory=list)
    _bytes: int = 0

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self._kept)

    def publish(self, wanted: PublishedState, tag: str | None, expires_s: float | None, now: float) -> PublishAnswer:
        """Take a PUBLISH. `tag` is SIP-If-Match; an empty body refreshes the state."""
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
        """Remove all states. Their tags are then unknown."""
        self._bytes = 0
        self._kept.clear()
        self._of.clear()
        self._due.clear()

    def expire(self, now: float) -> list[PublishedState]:
        """Remove and return the states that have expired."""
        ended: list[PublishedState] = []
        while self._due and self._due[0][0] <= now:
            _, tag = heapq.heappop(self._due)
            kept = self._kept.get(tag)
            if kept is not None:
                self._drop(tag)
                ended.append(kept.state)
        return ended

    def next_due(self) -> float | None:
        """Return when to call `expire`; None without states."""
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
