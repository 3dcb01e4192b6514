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
"""Time for which another ring may stay unnoticed. Each check is one `stat`, some microseconds."""
_MOST_BYTES: Final = 1 << 20
_GONE: Final = (0,)


class FollowedFile:
    """A file that is changed while it is in use: read again when it has changed.

    It is looked at when somebody asks, every `every_s` at most. So an idle process does nothing, and a rotation needs no restart.
    """

    def __init__(self, path: Path, every_s: float = LOOK_EVERY_S) -> None:
        """Follow `path`."""
        self.path = path
        self._every_s = every_s
        self._looked = float("-inf")
        self._seen: tuple[int, ...] | None = None

    def news(self, *, at_once: bool = False) -> bytes | None:
        """Return the content of the file if it has changed since; None otherwise, and when it cannot be read."""
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
    """The ring of a file that is changed while it is in use. A file that is broken or gone leaves the ring as it was.

    It is looked at as `FollowedFile` says, and at once when a value needs a key that is not there.
    """

    def __init__(
        self, path: Path, text: str | bytes, clock: Callable[[], float] = time.time, every_s: float = LOOK_EVERY_S
    ) -> None:
        """A ring that begins with `text`, what `path` held when settings were read."""
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
    """Put `content` in a file's place: a reader sees the whole old file or the whole new one; only its owner may read it.

    Raises:
        OSError: the file is as it was.
    """
    _replace(path, content, 0o600)


def write_public(path: Path, content: str | bytes) -> None:
    """The same for a file that everybody may read.

    Raises:
        OSError: the file is as it was.
    """
    _replace(path, content, 0o644)


def _replace(path: Path, content: str | bytes, mode: int) -> None:
    # Always the same name, so that what a killed process left of it is taken away by the next one.
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
    """Yield a file to write, for its owner alone, which is at `path`, whole and on disk, when the block ends well, else not at all.

    Until then it has no name, where the system knows such files, so a killed process leaves nothing behind.

    Raises:
        OSError: there is such a file already, or none can be made.
    """
    if path.exists():  # told before the work rather than after it; the link below is what holds
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    number, name = _nameless(path)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(number)
            # With a folder's descriptor, for only so the system follows the link that /proc has.
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
    """Open a new file on the file system of `path`; return it and its name if it must have one."""
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
