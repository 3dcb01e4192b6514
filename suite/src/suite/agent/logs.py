"""The log of the agent: standard error, or a file of bounded size that only the agent's account can read.

At its size limit `agent.log` is renamed to `agent.log.1`, that one to `agent.log.2`, and the oldest is deleted. On Windows a file that a
program has open cannot be renamed. Its content is then copied and the file is emptied, so that the limit holds.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final

from suite.system import make_private

if TYPE_CHECKING:
    from io import TextIOWrapper

    from suite.agent.settings.groups.log import LogSettings

log = logging.getLogger(__name__)

LINE_CHARS: Final = 8192
"""Limit of an entry; a traceback is shorter."""
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


def begin_logging(settings: LogSettings) -> None:
    """Log to the file of the settings. Without a file, or if it cannot be opened, log to standard error."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for each request
    if settings.file is None:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_FORMAT)
        return
    try:
        handler: logging.Handler = BoundedLog(settings.file, settings.megabytes * 1024 * 1024, settings.files)
    except OSError as error:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_FORMAT)
        log.error("log: the file %s cannot be opened: %s.", settings.file, error.strerror or error)  # noqa: TRY400
        return
    logging.basicConfig(handlers=[handler], level=logging.INFO, format=_FORMAT)


def logs_to_standard_error() -> bool:
    """Return True when the log goes to standard error."""
    return not any(isinstance(handler, BoundedLog) for handler in logging.getLogger().handlers)


class BoundedLog(RotatingFileHandler):
    """A log file and a number of older ones, together at most `(files + 1) * most_bytes` bytes.

    With a full or broken disk, entries are lost but the agent continues. The first failure is printed on standard error, and each entry
    is tried again.
    """

    def __init__(self, path: Path, most_bytes: int, files: int) -> None:
        """Open the file. Create it and its folder if necessary.

        Raises:
            OSError: it cannot be opened.
        """
        self._failed = self._is_told = False
        super().__init__(path, maxBytes=most_bytes, backupCount=files, encoding="utf-8", errors="backslashreplace")

    def format(self, record: logging.LogRecord) -> str:
        """Return an entry as text, cut to `LINE_CHARS`."""
        text = super().format(record)
        return text if len(text) <= LINE_CHARS else f"{text[:LINE_CHARS]}…"

    def emit(self, record: logging.LogRecord) -> None:
        """Write an entry."""
        self._failed = False
        if not self._has_its_name():
            self._close_stream()  # the file was moved or removed: open one with the right name
        super().emit(record)
        if not self._failed:
            self._is_told = False

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802  the library's name
        """Return True when the file has no room for an entry. The library counts characters, this class bytes."""
        path = Path(self.baseFilename)
        size = path.stat().st_size if path.is_file() else 0
        needed = len(f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))
        return size > 0 and size + needed > self.maxBytes

    def doRollover(self) -> None:  # noqa: N802  the library's name
        """Rename the files and begin an empty one."""
        self._close_stream()
        path = Path(self.baseFilename)
        names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, self.backupCount + 1))]
        for source, target in reversed(list(itertools.pairwise(names))):
            with contextlib.suppress(FileNotFoundError):
                _move(source, target)
        self.stream = self._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the library's name
        """Print once that the file cannot be written, and reopen it for the next entry."""
        self._failed = True
        self._close_stream()
        if not self._is_told and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                print(f"The log file {self.baseFilename} cannot be written: {sys.exc_info()[1]}.", file=sys.stderr)  # noqa: T201
        self._is_told = True

    def _has_its_name(self) -> bool:
        """Return True while the open file still has its name."""
        if self.stream is None:
            return False
        try:
            return os.path.samestat(os.fstat(self.stream.fileno()), Path(self.baseFilename).stat())
        except (OSError, ValueError):
            return False

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        make_private(Path(self.baseFilename))
        return super()._open()

    def _close_stream(self) -> None:
        # The library opens the file again for the next entry. A buffer that a full disk could not take is discarded.
        stream, self.stream = self.stream, None
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()


def _move(source: Path, target: Path) -> None:
    """Rename a file. On Windows, a file that is open elsewhere is copied and emptied, or only emptied."""
    try:
        source.replace(target)
    except PermissionError:
        with contextlib.suppress(OSError):
            make_private(target)
            shutil.copyfile(source, target)
        with source.open("r+b") as file:
            file.truncate()
