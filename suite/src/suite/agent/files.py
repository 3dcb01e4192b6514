"""Read files that people write with whatever editor they have, and notice that one changed."""

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
"""The time between two looks whether a file changed."""
READ_ANYWAY: Final = 15
"""Every so many looks a file is read although nothing seems changed."""

Signature = tuple[int, int, int] | None
"""Size, time of change and inode of a file; None when there is no such file."""


def read_bounded(path: Path, what: str, most_bytes: int) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: the file.
        what: what it is, for messages: "settings file".
        most_bytes: limit of its size. No more than that is ever read.

    Raises:
        ConfigError: it is larger, cannot be read, or is not a regular file: a pipe would be waited for without end.
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
    """Return the text of a file: by its byte-order mark, else UTF-8, else Windows' cp1252, which can read anything.

    Raises:
        UnicodeDecodeError: the file has a byte-order mark, and is not what that says.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", _UNDEFINED_IN_CP1252)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, whichever line ends it has. Other separators of Unicode's do not end a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def signature(path: Path) -> Signature:
    """Return what changes when a file is written or replaced, without reading it."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ino


class FileWatch:
    """Files that are looked at every few seconds: editors replace files, and shares notify of nothing.

    `is_due` is True when the files are worth reading again. A file that changed is due at the next look that finds it as it was,
    because a program may still be writing it. Now and then files are due although nothing shows: a share's times may be coarse.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._seen = {path: signature(path) for path in paths}
        self._is_settling = False
        self._looks = 0

    def is_due(self) -> bool:
        """Look at the files once, and return True when they are to be read now."""
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
        """Watch these files from now on. Of those watched before, a change since the last look is still found."""
        self._seen = {path: self._seen[path] if path in self._seen else signature(path) for path in paths}
