"""The spans of one stream's writes: only for changes whose source is traced, and only a few at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from relay.edge import spans

if TYPE_CHECKING:
    from collections.abc import Container

    from relay.core.presence import UserId
    from relay.ops.span import TracedWork

_MOST: Final = 8
"""Changes of one stream that are followed at the same time, which limits memory when a suite does not read."""


class TracedWrites:
    """Traced answers that wait in a stream's outbox, or are being written.

    Attributes:
        opened: carries the trace of the stream's opening; empty when it has none.
        waiting: user, span and start time of each; usually empty, and checked at each write.
    """

    def __init__(self) -> None:
        self.opened = b""
        self.waiting: list[tuple[UserId, TracedWork, float]] = []

    def follow(self, user_id: UserId, trace: bytes) -> None:
        """Follow this user's answer, which was just added to the outbox, until it is written."""
        if len(self.waiting) < _MOST:
            span = spans.WRITE.follows(trace, [self.opened] if self.opened else ())
            self.waiting.append((user_id, span, time.monotonic()))

    def written(self, unsent: Container[UserId], begun: float) -> None:
        """Note a write that ended.

        Args:
            unsent: users whose answers it did not carry.
            begun: when it began, by the process's clock.
        """
        for user_id, span, since in self.waiting:
            if user_id not in unsent:
                span.note("relay.wait", round(max(0.0, begun - since), 6))
                span.end()
        self.waiting = [each for each in self.waiting if each[0] in unsent]

    def stop(self) -> None:
        """End the spans of answers that were not written, because the stream has ended."""
        for _, span, _ in self.waiting:
            span.fail("stream_ended")
            span.end()
        self.waiting.clear()
