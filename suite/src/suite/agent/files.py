"""Read files from any editor, with any common encoding and line end, and notice changes."""

from __future__ import annotations

import codecs
import os
import stat
from typing import TYPE_CHECKING, Final

from suite.errors import ConfigError
from suite.system import open_without_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNDEFINED_IN_CP1252: Final = "replace"

LOOK_EVERY_S: Final = 2.0
"""Interval at which files are checked for changes."""
READ_ANYWAY: Final = 15
"""Number of checks after which a file is read again although it seems unchanged."""

Signature = tuple[int, int, int] | None
"""Size, modification time and inode of a file; None when the file does not exist."""


def read_bounded(path: Path, what: str, most_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: the file.
        what: name of the kind of file for messages: "settings file".
        most_bytes: limit of its size. No more is read.

    Raises:
        ConfigError: it is larger, cannot be read, or is not a regular file. Reading a pipe could block for ever.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"The {what} {path} is not a regular file.")
            raw = file.read(most_bytes + 1)
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror or error}.") from None
    if len(raw) > most_bytes:
        raise ConfigError(f"The {what} {path} is too large to be one: the limit is {most_bytes:,} bytes.")
    return raw


def decode(raw: bytes) -> str:
    """Decode a file: by its byte-order mark, else as UTF-8, else as Windows' cp1252, which accepts any bytes.

    Raises:
        UnicodeDecodeError: the file has a byte-order mark, but another encoding.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", _UNDEFINED_IN_CP1252)


def lines_of(text: str) -> list[str]:
    """Split a text into lines, with any line ends. Unicode's other separators do not end a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def signature(path: Path) -> Signature:
    """Return a value that changes when a file is written or replaced. The file is not read."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ino


class FileWatch:
    """Files that are checked for changes regularly, because editors replace files and network shares send no notifications.

    `is_due` is True when the files should be read again. A changed file is due at the next check that finds it unchanged,
    because a program may still be writing it. Every `READ_ANYWAY` checks all files are due: a share's times may be coarse.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._seen = {path: signature(path) for path in paths}
        self._is_settling = False
        self._looks = 0

    def is_due(self) -> bool:
        """Check the files once. Return True when they should be read now."""
        now = {path: signature(path) for path in self._seen}
        self._looks += 1
        if now != self._seen:
            self._seen, self._is_settling = now, True
            return False
        if not self._is_settling and self._looks % READ_ANYWAY:
            return False
        self._is_settling = False
        return True

    def follow(self, paths: Iterable[Path]) -> None:
        """Watch these files from now on. For files watched before, a change since the last check is still found."""
        self._seen = {path: self._seen[path] if path in self._seen else signature(path) for path in paths}
