"""The folder of `presence-relay dev`, kept between runs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import trustme

from relay.errors import RelayError
from relay.graph.push.certificates import SUFFIX, make
from relay.store.sealing.keyring import make_ring
from relay.store.server import acl
from relay.store.server.layout import Client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES: Final = ("localhost", "127.0.0.1")
PREFERRED: Final = {"edge": 8443, "cloud": 8444, "web": 8445, "webhook": 8446, "console": 8447, "ops": 9464}
"""The ports of a first run; later runs take those of the run before."""
_USER: Final = "relay-all"
_LONGEST_SOCKET: Final = 103
"""Bytes: Linux takes 107, macOS 103."""
_PATIENCE_S: Final = 6.0
"""Time limit for the children of a killed run to end."""


class DevTrouble(RelayError):
    """A relay cannot run here; the text states the reason and the remedy."""


class Folder:
    """The folder of one relay. Secrets in it are readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ca_file = path / "ca.pem"
        self.key_file = path / "suite.key"
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as error:
            raise DevTrouble(
                f"{path} cannot be used to keep state: {error.strerror}. Choose another with --state."
            ) from error

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Lock the folder; yield the lock's descriptor.

        Children inherit the descriptor, so the folder is free only when all of them have ended as well.
        """
        with (self.path / "lock").open("w") as file:
            self._take(file.fileno())
            yield file.fileno()

    def _take(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    trouble = (
                        f"A relay is running already with its state in {self.path}. Stop it, or choose another folder"
                    )
                    raise DevTrouble(f"{trouble} with --state.") from None
                time.sleep(0.1)
            else:
                return

    def ports(self, asked: Mapping[str, int]) -> dict[str, int]:
        """Return a free port for each part: the requested one, or that of the last run if it is still free.

        Raises:
            DevTrouble: a requested port is taken.
        """
        kept = {**PREFERRED, **self._json("ports.json"), **asked}
        ports = {part: _free(kept[part]) for part in PREFERRED}
        for part, port in asked.items():
            if port not in (0, ports[part]):
                raise DevTrouble(
                    f"Port {port} is taken. Set RELAY_{part.upper()}_PORT to another, or to 0 for a free one."
                )
        self.write("ports.json", json.dumps(ports).encode())
        return ports

    def certificate(self) -> tuple[Path, Path]:
        """Files with a certificate chain for this machine and its private key, by the folder's own CA."""
        chain, key = self.path / "server.pem", self.path / "server.key"
        if not (self.ca_file.exists() and chain.exists() and key.exists()):
            # The CA will sign nothing else, so its key is not stored.
            authority = trustme.CA(organization_name="Presence relay on this machine")
            leaf = authority.issue_cert(*NAMES)
            self.write(key.name, leaf.private_key_pem.bytes())
            self.write(chain.name, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
            self.write(self.ca_file.name, authority.cert_pem.bytes())
        return chain, key

    def notification_certificates(self) -> Path:
        """Return the folder of certificates that notifications are encrypted for; create one if there is none."""
        folder = self.path / "certificates"
        folder.mkdir(mode=0o700, exist_ok=True)
        if not any(folder.iterdir()):
            self.write(f"{folder.name}/dev-1{SUFFIX}", make("dev-1", datetime.now(UTC)))
        return folder

    def key_ring(self) -> str:
        """Return the JWK set that grants are encrypted with."""
        with suppress(FileNotFoundError):
            return (self.path / "key-ring.json").read_text()
        ring = make_ring("dev-1", now_s=int(time.time()))
        self.write("key-ring.json", ring.encode())
        return ring

    @property
    def socket(self) -> Path:
        """The socket of Valkey, in the folder that only its owner can read.

        Raises:
            DevTrouble: the folder's path is too long for a socket.
        """
        path = self.path.resolve() / "valkey.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise DevTrouble(f"{self.path} has too long a path for a socket in it. Choose another with --state.")
        return path

    @property
    def redis_url(self) -> str:
        """The socket as a `RELAY_REDIS_URL`, with the only user."""
        return f"unix://{_USER}:{self._redis_password()}@{quote(str(self.socket))}"

    def acl_file(self) -> Path:
        """Valkey's users: one with the rights of all roles and of the operator, as in production. Written again for each run."""
        line = acl.aclfile_line(_USER, acl.rules(list(Client)), acl.hashed(self._redis_password()))
        self.write("users.acl", f"user default off\n{line}\n".encode())
        return self.path.resolve() / "users.acl"

    def console_token(self) -> str:
        """Return the sign-in token of the console, the same in each run, so that an open page stays signed in."""
        with suppress(FileNotFoundError):
            return (self.path / "console.token").read_text()
        token = secrets.token_hex(32)
        self.write("console.token", token.encode())
        return token

    def _redis_password(self) -> str:
        with suppress(FileNotFoundError):
            return (self.path / "redis.password").read_text()
        password = secrets.token_hex(32)
        self.write("redis.password", password.encode())
        return password

    def read_key(self) -> str:
        """Return the suite key of the last run; empty when there is none."""
        with suppress(FileNotFoundError):
            return self.key_file.read_text().strip()
        return ""

    def write(self, name: str, content: bytes) -> None:
        """Write a file in one step, readable only by its owner."""
        beside = (self.path / name).with_name(f".{Path(name).name}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        beside.replace(self.path / name)

    def _json(self, name: str) -> dict[str, int]:
        try:
            found = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return {key: value for key, value in found.items() if isinstance(value, int)} if isinstance(found, dict) else {}


def _free(port: int) -> int:
    """Return the port if it is free, otherwise another free one."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError, OverflowError):
                probe.bind(("127.0.0.1", candidate))
                return int(probe.getsockname()[1])
    raise DevTrouble("No port of this machine's loopback address is free.")
