"""A renewed certificate is presented to new connections without a restart, at the edge and at pages and webhook."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import timedelta

import pytest
import trustme
from cryptography import x509

from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.http.serving import Listening, serving
from relay.ops.server_certificate import LOOK_EVERY, ServerCertificate
from relay.store.server.connection import Store, StoreSettings
from tests.support.clock import SteppedClock
from tests.support.ring import PUBLIC_MARKS
from tests.support.waiting import eventually

AUTHORITY = trustme.CA()


class Files:
    """A certificate and its key in files, as a Secret is mounted."""

    def __init__(self, folder) -> None:
        self.paths = folder / "tls.crt", folder / "tls.key"
        self.renew()

    def renew(self) -> int:
        """Put another certificate in their place; return its serial number."""
        leaf = AUTHORITY.issue_cert("localhost")
        self.pair = b"".join(pem.bytes() for pem in leaf.cert_chain_pems), leaf.private_key_pem.bytes()
        for path, content in zip(self.paths, self.pair, strict=True):
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").replace(path)
        return x509.load_pem_x509_certificate(self.pair[0]).serial_number


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path)


EVERY = timedelta(milliseconds=20)


def presented(port: int) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("localhost", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number


async def test_the_edge_presents_a_renewed_certificate(valkey, files):
    settings = EdgeSettings(
        host="localhost",
        port=0,
        tls_cert_pem=files.pair[0],
        tls_key_pem=files.pair[1],
        tls_files=files.paths,
        tls_look_every=EVERY,
        drain_delay=timedelta(),
    )
    async with Store(StoreSettings(url=valkey.url)) as store, EdgeServer(settings, store, PUBLIC_MARKS) as edge:
        before = await asyncio.to_thread(presented, edge.port)
        serial = files.renew()
        assert serial != before
        await eventually(lambda: _is_presented(edge.port, serial))


async def test_pages_and_webhook_present_a_renewed_certificate(files):
    async def app(scope, receive, send) -> None:
        raise AssertionError("nobody asks for anything")

    settings = Listening(
        host="localhost",
        port=0,
        tls_cert_pem=files.pair[0],
        tls_key_pem=files.pair[1],
        tls_files=files.paths,
        tls_look_every=EVERY,
        name="web",
        keep_alive=timedelta(seconds=5),
        head_bytes=8192,
        grace=timedelta(seconds=1),
    )
    async with serving(app, settings) as port:
        await asyncio.to_thread(presented, port)
        serial = files.renew()
        await eventually(lambda: _is_presented(port, serial))


async def _is_presented(port: int, serial: int) -> bool:
    return await asyncio.to_thread(presented, port) == serial


def certificate(files: Files, clock: SteppedClock) -> ServerCertificate:
    return ServerCertificate("edge", *files.pair, files.paths, clock=clock.monotonic)


def test_files_are_looked_at_every_ten_seconds_and_read_when_they_changed(files):
    clock = SteppedClock(is_stopped=True)
    one = certificate(files, clock)
    before = files.pair
    files.renew()
    assert (one.reload_if_changed(), one.cert_pem) == (False, before[0])
    clock.advance(LOOK_EVERY.total_seconds())
    assert (one.reload_if_changed(), (one.cert_pem, one.key_pem)) == (True, files.pair)
    clock.advance(LOOK_EVERY.total_seconds())
    assert one.reload_if_changed() is False


@pytest.mark.parametrize("broken", ["a key of another certificate", "no certificate", "no file", "half a file"])
def test_a_pair_that_cannot_be_used_leaves_the_one_before(files, broken):
    clock = SteppedClock(is_stopped=True)
    one = certificate(files, clock)
    before = files.pair
    chain, key = files.paths
    match broken:
        case "a key of another certificate":
            key.write_bytes(AUTHORITY.issue_cert("other").private_key_pem.bytes())
        case "no certificate":
            chain.write_text("soon")
        case "no file":
            chain.unlink()
        case "half a file":
            chain.write_bytes(before[0][:100])
    clock.advance(LOOK_EVERY.total_seconds())
    assert (one.reload_if_changed(), (one.cert_pem, one.key_pem)) == (False, before)
    files.renew()
    clock.advance(LOOK_EVERY.total_seconds())
    assert (one.reload_if_changed(), (one.cert_pem, one.key_pem)) == (True, files.pair)
