"""Pages and webhook, each a process of its own as in production, and sockets to send them whatever there is.

The webhook speaks plain HTTP, as behind an ingress, the pages TLS: so both ways into the server are tried.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import trustme

from relay.core.presence import TenantId
from relay.graph.push.certificates import make
from relay.http.paths import NOTIFICATIONS
from relay.store.presence.subscriptions import new_route
from relay.store.sealing.keyring import make_ring
from tests.abuse.measured import rss
from tests.chaos.processes import Process
from tests.support.valkey import ValkeyServer, free_port
from tests.support.waiting import eventually_in_thread

ROLES = ("webhook", "web")
_TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")


@dataclass
class Served:
    """One role at work.

    Attributes:
        head: a request line with the headers that an honest client sends, without the empty line at the end.
        redis_url: where its store is.
    """

    role: str
    port: int
    tls: ssl.SSLContext | None
    process: Process
    head: bytes
    redis_url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.process.log.read_text(errors="replace")

    def rss(self) -> int:
        return rss(self.pid)

    def descriptors(self) -> int:
        return psutil.Process(self.pid).num_fds()

    def connect(self, source: str = "127.0.0.1", *, tls: bool = True, timeout_s: float = 20) -> socket.socket:
        """A connection, with its TLS handshake done unless `tls` is false; `source` is one of the loopback addresses."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s, source_address=(source, 0))
        if self.tls is None or not tls:
            return raw
        return self.tls.wrap_socket(raw, server_hostname="localhost")

    def answers(self, source: str = "127.0.0.9") -> bool:
        """Whether somebody else, on a connection of their own, is served."""
        with suppress(OSError, http.client.HTTPException), self.connect(source) as connection:
            connection.sendall(self.head + b"Connection: close\r\n\r\n")
            return connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        return False

    def is_well(self) -> None:
        """It lives, serves others and tells no traceback."""
        assert not self.process.died(), self.process.died()
        assert self.answers(), f"{self.role} serves nobody: {self.log[-2000:]}"
        assert "Traceback" not in self.log, self.log[-4000:]


@contextmanager
def served(folder: Path, only: Sequence[str] = ROLES, **settings: str) -> Iterator[Mapping[str, Served]]:
    """Both roles, or one of them, ready."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "certificates").mkdir()
    (folder / "certificates" / "first.pem").write_bytes(make("first", datetime.now(UTC)))
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "valkey").mkdir()
    tls = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    ports = {role: free_port() for role in ROLES}
    nobody = f"https://127.0.0.1:{free_port()}"  # Microsoft is away: nobody here has a key that it would be asked about
    with ValkeyServer(folder / "valkey") as valkey:
        common = {
            "RELAY_REDIS_URL": valkey.url,
            "RELAY_VAULT_KEY_RING": make_ring("abuse", now_s=0),
            "RELAY_CLOUD": "custom",
            "RELAY_CLOUD_AUTHORITY_URL": nobody,
            "RELAY_CLOUD_GRAPH_URL": nobody,
            "RELAY_CLOUD_CA_FILE": str(folder / "ca.pem"),
            "RELAY_CLOUD_CLIENT_ID": "11111111-2222-4333-8444-555555555555",
            "RELAY_CLOUD_CLIENT_SECRET": "not-looked-at",
            "RELAY_WEBHOOK_URL": "https://hook.example",
            "RELAY_WEBHOOK_HOST": "127.0.0.1",
            "RELAY_WEBHOOK_PORT": str(ports["webhook"]),
            "RELAY_WEBHOOK_CERTIFICATES": str(folder / "certificates"),
            "RELAY_WEB_PUBLIC_URL": f"https://localhost:{ports['web']}",
            "RELAY_WEB_SUITE_ADDRESS": "relay.example:443",
            "RELAY_WEB_HOST": "127.0.0.1",
            "RELAY_WEB_PORT": str(ports["web"]),
            "RELAY_WEB_TLS_CERT_FILE": str(folder / "chain.pem"),
            "RELAY_WEB_TLS_KEY_FILE": str(folder / "key.pem"),
            "RELAY_OPS_HOST": "127.0.0.1",
            **settings,
        }
        handshake = f"POST {NOTIFICATIONS}{new_route(_TENANT)}?validationToken=x HTTP/1.1\r\nHost: hook\r\nContent-Length: 0\r\n"
        heads = {"webhook": handshake, "web": f"GET /onboarding HTTP/1.1\r\nHost: localhost:{ports['web']}\r\n"}
        program = str(Path(sys.executable).parent / "presence-relay")
        roles: dict[str, Served] = {}
        try:
            for role in only:
                environment = {**common, "RELAY_OPS_PORT": str(free_port())}
                process = Process([program, "serve", role], environment, folder / f"{role}.log")
                process.start()
                roles[role] = Served(
                    role, ports[role], tls if role == "web" else None, process, heads[role].encode(), valkey.url
                )
            for one in roles.values():
                eventually_in_thread(one.answers, 60, lambda one=one: one.process.died() or one.log)  # type: ignore[misc]
            yield roles
        finally:
            for one in roles.values():
                one.process.kill()
