"""Reduces gRPC's own log lines about unauthenticated calls: one a minute for each kind, without the client's bytes.

gRPC logs a traceback with the client's bytes for each metadata value that is not text, before the relay's code sees the
call. A traceback of a fault in the relay's methods is kept.
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
"""Prefix of gRPC's line -> our event. Some lines already contain their arguments."""


class StrangersQuiet(logging.Filter):
    """A filter for gRPC's logger."""

    def __init__(self) -> None:
        super().__init__()
        self._unsaid = dict.fromkeys(OF_STRANGERS, 0)
        self._said = dict.fromkeys(OF_STRANGERS, float("-inf"))

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if a record should be logged; remove the text of a record about an unauthenticated client."""
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
