"""Everything that differs between Windows and other systems. No other module checks which system it runs on.

subject                     other systems                     Windows
stop of a service           SIGTERM, SIGINT                   Ctrl-C and Ctrl-Break events; asyncio cannot handle signals there
file permissions            mode bits                         access control lists: `windows_rights`
file that is open           can be replaced and moved         cannot, until every program has closed it
port                        SO_REUSEADDR: skips TIME_WAIT     SO_EXCLUSIVEADDRUSE; SO_REUSEADDR would let two programs share a port
locks on parts of a file    advisory, `fcntl`                 mandatory, `msvcrt`
secrets of a service        systemd's folder of credentials   none
secret that a library       Linux: a file in memory           a temporary file
reads from a file

asyncio's default loop is used on all systems: on Windows it is the proactor loop, which supports UDP and gRPC. The Windows branches have
not run on Windows. Elsewhere their pure rules are tested, and their system calls are checked for types only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from suite import windows_rights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TRIES: Final = 20
_BETWEEN_TRIES_S: Final = 0.05
"""A virus scanner or an indexer keeps a file open for some milliseconds; all tries together wait a second."""


def is_open_to_others(path: Path) -> bool:
    """Return True when other accounts can read a file; on Windows also when its permissions cannot be read.

    The system's administrators do not count as others. A group counts only if this account owns the file: Kubernetes and systemd own
    the files of secrets and give their readers access by the group.

    Raises:
        OSError: the file does not exist.
    """
    about = path.stat()
    if sys.platform == "win32":
        try:
            sddl, account = windows_rights.descriptor_of(str(path)), windows_rights.this_account()
        except OSError:
            return True
        return windows_rights.allows_others(sddl, account)
    is_ours = about.st_uid == os.getuid()
    return bool(about.st_mode & (stat.S_IRWXO | (stat.S_IRWXG if is_ours else 0)))


def make_private(path: Path) -> None:
    """Create an empty file that only this account can read. Leave an existing file and its permissions unchanged.

    Raises:
        OSError: it cannot be created.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    if sys.platform == "win32":
        windows_rights.set_list(str(path), windows_rights.private_list(windows_rights.this_account()))


@contextlib.contextmanager
def file_of_secret(content: bytes) -> Iterator[Path]:
    """Yield a file with a secret, for a library that reads only from files.

    On Linux the file is in memory. Elsewhere it is a temporary file that only this account can read, deleted at the end.

    Raises:
        OSError: it cannot be created.
    """
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("secret"), "wb") as memory:
            memory.write(content)
            memory.flush()
            yield Path(f"/proc/self/fd/{memory.fileno()}")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "secret"
        make_private(file)
        file.write_bytes(content)
        yield file


def how_to_close(path: Path) -> str:
    """Return the advice by which only this account can read a file, as the end of a sentence."""
    if sys.platform == "win32":
        return f'remove the others: icacls "{path}" /inheritance:r /grant:r "ACCOUNT:R", with the account of the agent'
    return "chmod 600 it"


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file without blocking: by default, opening a pipe waits for a writer. Use it with `open(opener=…)`."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def replace_file(source: Path, target: Path) -> None:
    """Rename a file, and replace a file that has that name. On Windows, retry for a second while one of them is in use.

    Raises:
        OSError: it cannot be renamed.
    """
    if sys.platform == "win32":
        tried_again(lambda: source.replace(target), time.sleep)
    else:
        source.replace(target)


def tried_again(action: Callable[[], Any], wait: Callable[[float], None]) -> None:
    """Call an action that fails while a file is in use, up to twenty times.

    Raises:
        OSError: each try failed, or one with another error than `PermissionError`.
    """
    for left in reversed(range(_TRIES)):
        try:
            action()
        except PermissionError:
            if not left:
                raise
            wait(_BETWEEN_TRIES_S)
        else:
            return


def is_locked_by_another(path: Path, start: int, length: int) -> bool:
    """Return True when another process holds an exclusive lock on a part of a file. Writes nothing.

    Never call it for a file that this process has open: except on Windows, the process would lose its own locks on it.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(start)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, length)
            except OSError:
                return True
            file.seek(start)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, length)
            return False
        import fcntl

        try:
            fcntl.lockf(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
        except (BlockingIOError, PermissionError):  # each of the two on some system
            return True
        return False


def claim_port(listener: socket.socket) -> None:
    """Configure a socket so that it can bind a port that a stopped program used, but none that a running program uses."""
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def on_stop(stop: Callable[[], object]) -> None:
    """Call `stop` in the running loop on each signal to stop this process. Does nothing outside the main thread."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        call_on_signals((signal.SIGINT, signal.SIGBREAK), stop)
        return
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
    except (NotImplementedError, RuntimeError, ValueError):  # another loop, or another thread
        call_on_signals((signal.SIGINT, signal.SIGTERM), stop)


def call_on_signals(numbers: tuple[signal.Signals, ...], stop: Callable[[], object]) -> None:
    """Call `stop` in the running loop on these signals, by Python's own handlers, where asyncio's do not work."""
    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(stop)

    try:
        for number in numbers:
            signal.signal(number, handle)
    except ValueError:  # not the main thread
        return


def credential(name: str) -> Path | None:
    """Return the file of a systemd credential (`LoadCredential=`) of this name; None when there is none."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder or name in ("", ".", "..") or set(name) & set("/\\\0"):
        return None
    path = Path(folder) / name
    return path if path.is_file() else None
