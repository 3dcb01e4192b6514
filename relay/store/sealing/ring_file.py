"""A key ring that follows its file, and how private files are written."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from relay.store.sealing.keyring import KeyRing, KeyRingInvalid, read_ring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 5.0
"""Longest time until a change of the file is noticed. Each check is one `stat`, a few microseconds."""
_MOST_BYTES: Final = 1 << 20
_GONE: Final = (0,)


class FollowedFile:
    """A file that may change while it is in use, and is then read again.

    Callers trigger the check, at most every `every_s`. So an idle process does nothing, and a rotation needs no
    restart.
    """

    def __init__(self, path: Path, every_s: float = LOOK_EVERY_S) -> None:
        """Follow `path`."""
        self.path = path
        self._every_s = every_s
        self._looked = float("-inf")
        self._seen: tuple[int, ...] | None = None

    def news(self, *, at_once: bool = False) -> bytes | None:
        """Return the content of the file if it has changed since the last call; None otherwise, and on an error."""
        now = time.monotonic()
        if not at_once and now - self._looked < self._every_s:
            return None
        self._looked = now
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return None
            self._seen = seen
            with self.path.open("rb") as file:
                return file.read(_MOST_BYTES)
        except OSError as error:
            if self._seen is not _GONE:
                log.warning("key_file_unreadable", error=error.strerror or type(error).__name__, path=str(self.path))
            self._seen = _GONE
            return None


class RingFile(KeyRing):
    """The ring in a file that may change while it is in use. It keeps the last ring if the file is missing or invalid.

    `FollowedFile` describes when the file is checked. It is also checked at once if a value needs a key that the ring
    lacks.
    """

    def __init__(
        self, path: Path, text: str | bytes, clock: Callable[[], float] = time.time, every_s: float = LOOK_EVERY_S
    ) -> None:
        """Begin with `text`, the content of `path` when the settings were read."""
        super().__init__(read_ring(text), clock)
        self._file = FollowedFile(path, every_s)

    def reload_if_changed(self, missing: str = "") -> None:
        """See `KeyRing.reload_if_changed`."""
        text = self._file.news(at_once=bool(missing) and missing not in self._keys)
        if text is None:
            return
        try:
            self._take(text)
        except KeyRingInvalid as error:
            log.warning("key_ring_unusable", error=str(error), path=str(self._file.path))

    def _take(self, text: bytes) -> None:
        keys = {key.kid: key for key in read_ring(text)}
        if [(key.kid, key.used_from_s) for key in keys.values()] == [
            (key.kid, key.used_from_s) for key in self._keys.values()
        ]:
            return
        self._keys = keys
        self.generation += 1
        log.info("key_ring_changed", keys=list(keys), in_use=self.newest)


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file, atomically: readers see the whole old or the whole new file. Only its owner may read it.

    Raises:
        OSError: the file was not changed.
    """
    _replace(path, content, 0o600)


def write_public(path: Path, content: str | bytes) -> None:
    """Replace a file that every user may read, like `write_private`.

    Raises:
        OSError: the file was not changed.
    """
    _replace(path, content, 0o644)


def _replace(path: Path, content: str | bytes, mode: int) -> None:
    # Always the same name, so that the next call removes the remains of a killed process.
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    try:
        with new_private(beside) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            os.fchmod(file.fileno(), mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _folder_to_disk(path.parent)


@contextmanager
def new_private(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file, readable only by its owner. It appears at `path`, on disk, only if the block succeeds.

    Until then it has no name, if the system supports that, so a killed process leaves no file.

    Raises:
        OSError: the file already exists, or cannot be created.
    """
    if path.exists():  # fail before the work if possible; the link below is the decisive check
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    number, name = _nameless(path)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(number)
            # With a folder's descriptor, because otherwise the system does not follow the link in /proc.
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.link(name or f"/proc/self/fd/{number}", path, dst_dir_fd=folder, follow_symlinks=True)
            finally:
                os.close(folder)
    finally:
        if name:
            Path(name).unlink(missing_ok=True)
    _folder_to_disk(path.parent)


def _nameless(path: Path) -> tuple[int, str]:
    """Open a new file on the file system of `path`; return its descriptor, and its name if it has one."""
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):  # not every file system has it
            return os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600), ""
    return tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)


def _folder_to_disk(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
