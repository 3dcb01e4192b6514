"""Everything that differs between Windows and other systems. No other module asks which system it runs on.

what                        elsewhere                         Windows
the stop of a service       SIGTERM, SIGINT                   Ctrl-C and Ctrl-Break events; asyncio cannot handle signals there
who may use a file          mode bits                         access control lists: `windows_rights`
a file that is opened       may be replaced and moved         may not, until whoever has it open closes it
a port                      SO_REUSEADDR: skips TIME_WAIT     SO_EXCLUSIVEADDRUSE; the other would let two programs share a port
locks on parts of a file    advisory, `fcntl`                 mandatory, `msvcrt`
secrets of a service        a folder of systemd's             none
a secret that must be       Linux: a file in memory           a temporary file
a file for a moment

asyncio's own loop serves everywhere: on Windows it is the proactor's, which has UDP, and which gRPC can use. The branches of Windows have
not run on Windows. What is told beside a function ran: its rules here, its calls for types only.
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
"""A scanner of viruses or an indexer has a file open for some milliseconds; a second is waited for it."""


def is_open_to_others(path: Path) -> bool:
    """Return True when others can read a file: on Windows also when its rights cannot be found out.

    The system's administrators are no others. A group is, unless the file is somebody else's: Kubernetes and systemd give secrets to the
    group of whoever shall read them.

    Raises:
        OSError: there is no such file.
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
    """Make an empty file that only this account can read, if there is none. The rights of a file that is there stay as they are.

    Raises:
        OSError: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    if sys.platform == "win32":
        windows_rights.set_list(str(path), windows_rights.private_list(windows_rights.this_account()))


@contextlib.contextmanager
def file_of_secret(content: bytes) -> Iterator[Path]:
    """Yield a file with a secret, for a library that reads from files only. It is in memory where the system has such files.

    Elsewhere it is a temporary one that only this account can read, and gone at the end.

    Raises:
        OSError: it cannot be made.
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
    """Return what a person does so that only this account can read a file, as the end of a sentence."""
    if sys.platform == "win32":
        return f'remove the others: icacls "{path}" /inheritance:r /grant:r "ACCOUNT:R", with the account of the agent'
    return "chmod 600 it"


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file as it is: opening a pipe would wait for somebody who writes into it. For `open(opener=…)`."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def replace_file(source: Path, target: Path) -> None:
    """Give a file another name, and take the place of what has it. On Windows a file that is in use is tried for a second.

    Raises:
        OSError: it is not possible.
    """
    if sys.platform == "win32":
        tried_again(lambda: source.replace(target), time.sleep)
    else:
        source.replace(target)


def tried_again(action: Callable[[], Any], wait: Callable[[float], None]) -> None:
    """Do something that fails while a file is in use, up to twenty times.

    Raises:
        OSError: it failed each time, or for another reason than `PermissionError`.
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
    """Return True when another process has locked a part of a file exclusively. Nothing is written.

    Never ask for a file that this process has open: elsewhere than on Windows, it would lose its own locks on it.

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
    """Prepare a socket so that it gets a port that an ended program had, and none that a running one has."""
    if sys.platform == "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def on_stop(stop: Callable[[], object]) -> None:
    """Call `stop` in the running loop whenever the system or a person asks this process to end. Nothing happens outside the main thread."""
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
    """Call `stop` in the running loop on signals, where asyncio cannot do it: the loop is woken by Python itself."""
    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(stop)

    try:
        for number in numbers:
            signal.signal(number, handle)
    except ValueError:  # not the main thread
        return


def credential(name: str) -> Path | None:
    """Return the file that systemd hands to a service under this name (`LoadCredential=`); None when there is none."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder or name in ("", ".", "..") or set(name) & set("/\\\0"):
        return None
    path = Path(folder) / name
    return path if path.is_file() else None
