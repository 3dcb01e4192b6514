"""An edge in a process of its own, so that its memory can be told from the attacker's; in plain text, or over TLS."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import trustme

from tests.abuse.http2 import tls_of
from tests.abuse.measured import rss
from tests.edge.suite import SuiteStream
from tests.edge.worker import PlayedWorker, name, user
from tests.support.ring import RING_JSON
from tests.support.valkey import UNTIL_PARENT_DIES, ValkeyServer, free_port

_START_S = 30.0
SHORT_TIMES = {"RELAY_EDGE_HANDSHAKE": "2s", "RELAY_EDGE_CONNECTION_AGE": "2s"}
"""So that a test need not wait long for them."""


@dataclass
class EdgeProcess:
    """An edge that listens on loopback: over TLS, or in plain text as it would behind a mesh.

    Attributes:
        ca_pem: to trust; None when it speaks plain text.
        before: its memory in bytes before any attack.
        ops: its ops port.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    ca_pem: bytes | None = None
    before: int = 0
    ops: int = 0

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a raw connection needs to speak TLS."""
        return None if self.ca_pem is None else tls_of(self.ca_pem)

    @property
    def grown(self) -> int:
        """Bytes of memory since before the attack."""
        return rss(self.process.pid) - self.before

    def is_well(self) -> None:
        """Fail when it died or logged what nobody foresaw."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        told = self.log.read_text()
        assert "Traceback" not in told, told[-4000:]
        assert '"level": "error"' not in told, told[-4000:]

    async def serves(self, worker: PlayedWorker, key: str) -> None:
        """Have a suite of somebody else connect, and see a change."""
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        address = f"127.0.0.1:{self.port}"
        made = (
            grpc.aio.insecure_channel(address, options=options)
            if self.ca_pem is None
            else grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(self.ca_pem), options=options)
        )
        async with (
            made as channel,
            SuiteStream(channel, key) as stream,
        ):
            await stream.open(name(0)).ready()
            await worker.found({user(0): (text := f"at {time.monotonic_ns()}")})
            await stream.shows({user(0): text})


@contextmanager
def edge_process(
    valkey: ValkeyServer, folder: Path, authority: trustme.CA | None = None, processes: int = 1, **settings: str
) -> Iterator[EdgeProcess]:
    """An edge while the context lasts, of several processes if need be; with an authority, over TLS. Settings by variable."""
    port, ops = free_port(), free_port()
    given: Mapping[str, str] = {
        "RELAY_REDIS_URL": valkey.url,
        "RELAY_VAULT_KEY_RING": RING_JSON,
        "RELAY_EDGE_HOST": "127.0.0.1",
        "RELAY_EDGE_PORT": str(port),
        **_tls(folder, authority),
        "RELAY_EDGE_DRAIN_DELAY": "0s",
        "RELAY_OPS_HOST": "127.0.0.1",
        "RELAY_OPS_PORT": str(ops),
        **settings,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    command = [str(Path(sys.executable).parent / "presence-relay"), "serve", "edge"]
    command += [] if processes == 1 else ["--processes", str(processes)]
    wrapped = [sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *command]
    log = folder / "edge.log"
    with log.open("wb") as out:
        process = subprocess.Popen(wrapped, env={**kept, **given}, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + _START_S
        with httpx.Client(verify=False, trust_env=False, timeout=2) as client:
            while True:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                with suppress(httpx.HTTPError):
                    if client.get(f"http://127.0.0.1:{ops}/readyz").status_code == 200:
                        break
                time.sleep(0.05)
        yield EdgeProcess(process, port, log, None if authority is None else authority.cert_pem.bytes(), ops=ops)
    finally:
        process.kill()
        process.wait()


def _tls(folder: Path, authority: trustme.CA | None) -> dict[str, str]:
    if authority is None:
        return {"RELAY_EDGE_PLAIN_TEXT": "true"}
    leaf = authority.issue_cert("127.0.0.1", "localhost", "relay.example")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    return {
        "RELAY_EDGE_TLS_CERT_FILE": str(folder / "chain.pem"),
        "RELAY_EDGE_TLS_KEY_FILE": str(folder / "key.pem"),
    }
