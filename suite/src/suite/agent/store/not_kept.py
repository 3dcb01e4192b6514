"""The error of a store that failed to read or write."""

from __future__ import annotations

import sqlite3


class NotKept(Exception):
    """A read or write failed; nothing was changed.

    Attributes:
        is_full: True when there is no room on the disk.
    """

    def __init__(self, message: str, *, is_full: bool = False) -> None:
        super().__init__(message)
        self.is_full = is_full


def not_kept(error: sqlite3.Error) -> NotKept:
    """Convert an error of SQLite into this error."""
    is_full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return NotKept("the disk is full" if is_full else str(error), is_full=is_full)
