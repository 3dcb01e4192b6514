"""Sends metrics to a collector, from a thread of its own.

The event loop reads the metrics, because it changes them, and the thread sends them. A collector that is unreachable,
slow or refuses does not delay the loop, and takes memory for one reading: a newer reading replaces an unsent one. The
failure is logged once, and the recovery once.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import structlog
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

log = structlog.get_logger(__name__)

_LIBRARY: Final = "opentelemetry.exporter"
"""Logs each failure, and each retry of one."""


class CollectorExport(MetricExporter):
    """Accepts readings without blocking, and sends the newest through another exporter."""

    def __init__(self, exporter: MetricExporter, place: str) -> None:
        """Start the thread, which waits for readings.

        Args:
            exporter: sends a reading, and may block for any time.
            place: the collector's address, for the log.
        """
        super().__init__()
        logging.getLogger(_LIBRARY).setLevel(logging.CRITICAL)
        self._exporter = exporter
        self._place = place
        self._changed = threading.Condition()
        self._unsent: MetricsData | None = None
        self._is_over = False
        self._is_failing = False
        self._thread = threading.Thread(target=self._send_all, name="metrics", daemon=True)
        self._thread.start()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Schedule a reading to be sent, replacing an unsent one."""
        with self._changed:
            self._unsent = metrics_data
            self._changed.notify()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing: every reading is sent at once."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Send the last reading, and return when it is sent or the time is over."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(timeout_millis / 1000)
        self._exporter.shutdown(0)

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsent is not None or self._is_over)
                reading, self._unsent = self._unsent, None
            if reading is None:
                return
            try:
                outcome = self._exporter.export(reading)
            except Exception as error:  # a bug of the library must not end the thread
                self._note(type(error).__name__)
            else:
                self._note("" if outcome is MetricExportResult.SUCCESS else "the collector does not take them")

    def _note(self, trouble: str) -> None:
        was_failing, self._is_failing = self._is_failing, bool(trouble)
        if trouble and not was_failing:
            log.warning("metrics_not_sent", collector=self._place, error=trouble)
        elif was_failing and not trouble:
            log.info("metrics_sent_again", collector=self._place)
