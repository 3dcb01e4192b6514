"""Reduces gRPC's own log lines about unauthenticated calls: one a minute for each kind, without the caller's bytes.

gRPC writes a traceback with the caller's bytes for each piece of metadata that is not text, before any of our code sees the
call. A fault in one of our methods has a traceback too; that one is kept.
"""

from __future__ import annotations

import logging
import time
from typing import Final

NAME: Final = "grpc._cython.cygrpc"
_EVERY_S: Final = 60.0
OF_STRANGERS: Final = {
    "Invalid encoding on ": "grpc_metadata_is_no_text",
    "ExecuteBatchError raised in core by servicer method ": "grpc_call_broke_off",
}
"""How what gRPC writes begins -> the event that stands for it. Some of it has its arguments in the text already."""


class StrangersQuiet(logging.Filter):
    """A filter for gRPC's logger."""

    def __init__(self) -> None:
        super().__init__()
        self._unsaid = dict.fromkeys(OF_STRANGERS, 0)
        self._said = dict.fromkeys(OF_STRANGERS, float("-inf"))

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if a record is to be written; one about strangers loses its words."""
        kind = next((begins for begins in OF_STRANGERS if str(record.msg).startswith(begins)), None)
        if kind is None:
            return True
        self._unsaid[kind] += 1
        now = time.monotonic()
        if now - self._said[kind] < _EVERY_S:
            return False
        record.msg = f"{OF_STRANGERS[kind]} count={self._unsaid[kind]}"
        record.args, record.exc_info, record.exc_text = (), None, None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        self._unsaid[kind], self._said[kind] = 0, now
        return True
