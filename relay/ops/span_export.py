"""Sends spans to a collector, from a thread of its own.

A span that ends is put into a queue without blocking. The queue is bounded: while the collector is unreachable, slow or
refuses, newer spans are dropped and counted. The failure is logged once, and the recovery once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from relay.ops.span_metrics import SPANS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 2048
"""Length of the queue, in spans of some 2 KB."""
_AT_ONCE: Final = 512
_GATHER_S: Final = 1.0
"""Spans that end within this time are sent together."""
_LIBRARY: Final = "opentelemetry.exporter"
"""Logs each failure, and each retry of one."""


class SpanExport(SpanProcessor):
    """Collects ended spans, and sends them through an exporter."""

    def __init__(self, exporter: SpanExporter, place: str) -> None:
        """Start the thread, which waits for spans.

        Args:
            exporter: sends spans, and may block for any time.
            place: the collector's address, for the log.
        """
        logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL)
        self._exporter = exporter
        self._place = place
        self._changed = threading.Condition()
        self._waiting: deque[ReadableSpan] = deque()
        self._is_over = False
        self._is_failing = False
        self._thread = threading.Thread(target=self._send_all, name="spans", daemon=True)
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: only spans that ended are sent."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or drop it when too many wait."""
        with self._changed:
            waiting = len(self._waiting)
            if waiting >= MOST_WAITING or self._is_over:
                SPANS.add_in_thread(1, "dropped")
                return
            self._waiting.append(span)
            if waiting in (0, _AT_ONCE - 1):
                self._changed.notify()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: every span is sent soon."""
        return True

    def finish(self) -> None:
        """Send the waiting spans, then stop; `shutdown` waits for that."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def shutdown(self, timeout_s: float = 3.0) -> None:
        """Stop, and return when the waiting spans are sent or the time is over."""
        self.finish()
        self._thread.join(max(0.0, timeout_s))
        self._exporter.shutdown()

    def _send_all(self) -> None:
        while batch := self._next():
            begun = time.monotonic()
            try:
                is_sent = self._exporter.export(batch) is SpanExportResult.SUCCESS
                trouble = "" if is_sent else "the collector does not take them"
            except Exception as error:  # a bug of the library must not end the thread
                trouble = type(error).__name__
            SPANS.add_in_thread(len(batch), "refused" if trouble else "sent")
            self._note(trouble, time.monotonic() - begun)
            if trouble and self._is_over:
                return

    def _next(self) -> list[ReadableSpan]:
        """Return the spans to send next; empty when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            self._changed.wait_for(lambda: len(self._waiting) >= _AT_ONCE or self._is_over, _GATHER_S)
            return [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]

    def _note(self, trouble: str, took_s: float) -> None:
        was_failing, self._is_failing = self._is_failing, bool(trouble)
        if trouble and not was_failing:
            log.warning("spans_not_sent", collector=self._place, error=trouble, waited_s=round(took_s, 1))
        elif was_failing and not trouble:
            log.info("spans_sent_again", collector=self._place)
