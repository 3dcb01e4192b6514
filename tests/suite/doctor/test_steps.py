"""Each step against servers that are wrong in one way: real sockets, real TLS, and the real client at the end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading

import grpc
import pytest
import trustme

from suite.doctor.idle import Idling
from suite.doctor.line import Failed, resolve
from suite.doctor.rows import State
from suite.doctor.tunnel import read_date
from suite.doctor.values import Fault, Hop
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.doctor import KEY, failed, state, told
from tests.support.loopback import LoopbackServer, pump
from tests.support.waiting import eventually

BRIEF_S = 0.4
"""How long a step may take that is to be silent."""


class Server(LoopbackServer):
    """Waits for the first bytes, says something, and hangs up or stays."""

    def __init__(self, says: bytes = b"", *, stays: bool = False, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.heard = b""
        self._says, self._stays = says, stays

    async def serve(self, reader, writer):
        self.heard += await reader.read(65536)
        writer.write(self._says)
        await writer.drain()
        while self._stays and (data := await reader.read(65536)):
            self.heard += data


class Drip(LoopbackServer):
    """Says a byte at a time, for ever."""

    def __init__(self, says: bytes) -> None:
        super().__init__()
        self._says = says

    async def serve(self, reader, writer):
        writer.write(self._says)
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()
            await asyncio.sleep(0)


class Tunnel(LoopbackServer):
    """A proxy that connects, with more in its answer than it must have."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.heads: list[bytes] = []
        self._answer = answer

    async def serve(self, reader, writer):
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = self.heads[-1].split()[1].decode().rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(self._answer)
        await asyncio.gather(pump(reader, back), pump(there, writer))


def context_of(cert: trustme.LeafCert, *alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


# Name and route


async def test_a_name_that_does_not_exist(ca_pem):
    report = await told("nosuch.invalid:443", ca_pem)
    assert failed(report) == [Hop.NAME]


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "x..y", "\udcff.example"])
async def test_a_name_that_cannot_be_one(ca_pem, name):
    assert (await told(f"{name}:443", ca_pem)).verdict.hop is Hop.NAME


async def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: asked.wait(60) and [])
    with pytest.raises(Failed) as failure:
        await resolve("relay.test", 443, BRIEF_S)
    # The end of the program does not wait for it either.
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "suite-doctor-name")
    asked.set()
    assert failure.value.fault is Fault.NO_NAME_SERVER


async def test_a_resolver_that_nobody_answers(monkeypatch):
    def fail(*_args, **_named):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Failed) as failure:
        await resolve("relay.test", 443, 60)
    assert failure.value.fault is Fault.NO_NAME_SERVER


async def test_nothing_listens(ca_pem, unused_tcp_port):
    report = await told(f"127.0.0.1:{unused_tcp_port}", ca_pem)
    assert failed(report) == [Hop.ROUTE]
    assert "Nothing listens" in report.verdict.sentence


async def test_a_connection_that_is_never_accepted(ca_pem):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = []
        for _ in range(4):
            fillers.append(socket.socket())
            fillers[-1].setblocking(False)
            fillers[-1].connect_ex(("127.0.0.1", port))
        report = await told(f"127.0.0.1:{port}", ca_pem, step_s=BRIEF_S)
        for each in fillers:
            each.close()
    assert report.verdict.sentence.startswith(f"127.0.0.1:{port} did not answer")


# Proxy


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n\r\n", "requires a login by NTLM, Negotiate"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "(HTTP 403): have CONNECT to it allowed"),
        (b"HTTP/1.1 503 Away\n\n", "(HTTP 503)"),
        (b"HTTP/1.1 2xx\r\n\r\n", "No HTTP proxy answers"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "No HTTP proxy answers"),
        (b"HTTP/1.1 200 OK\r\n", "No HTTP proxy answers"),
        (b"", "closes the connection"),
    ],
)  # fmt: skip
async def test_a_proxy_that_does_not_connect(relay, ca_pem, answer, words):
    async with Server(answer) as proxy:
        report = await told(f"localhost:{relay.port}", ca_pem, proxy=f"127.0.0.1:{proxy.port}")
    assert failed(report) == [Hop.PROXY]
    assert words in report.verdict.sentence


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_a_proxy_that_is_silent(relay, ca_pem, says):
    async with Server(says, stays=True) as proxy:
        report = await told(f"localhost:{relay.port}", ca_pem, proxy=f"127.0.0.1:{proxy.port}", step_s=BRIEF_S)
    assert "accepts the connection and does not answer" in report.verdict.sentence


async def test_a_proxy_whose_answer_never_ends_is_read_no_further(relay, ca_pem):
    async with Drip(b"HTTP/1.1 200 OK\r\nX: ") as proxy:
        report = await told(f"localhost:{relay.port}", ca_pem, proxy=f"127.0.0.1:{proxy.port}")
    assert report.verdict.hop is Hop.PROXY


async def test_a_proxy_gets_its_login_decoded_and_never_the_key(relay, ca_pem):
    beginning = asyncio.create_task(begin(relay))
    async with Tunnel(b"HTTP/1.1 200 OK\r\nVia: \x1b[2Jproxy\r\nDate: Sun, 29 Nov 2020 12:00:00 GMT\r\n\r\n") as proxy:
        report = await told(f"localhost:{relay.port}", ca_pem, proxy=f"http://ada:ge%3Aheim@127.0.0.1:{proxy.port}")
        assert all(b"Basic YWRhOmdlOmhlaW0=" in head for head in proxy.heads)  # ada:ge:heim
        assert not any(KEY.encode() in head for head in proxy.heads)
    beginning.cancel()
    assert (report.verdict.hop, state(report, Hop.CLOCK)) == (None, State.NOTE)
    assert "ahead of the proxy's" in report.verdict.sentence
    assert "\x1b" not in repr(report)


async def begin(relay: ScriptedRelay) -> None:
    """Begin every stream."""
    while True:
        stream = await relay.stream()
        stream.started()


# TLS and certificate


@pytest.mark.parametrize(
    ("says", "stays", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "does not speak TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x28", False, "refuses the TLS handshake (SSLV3_ALERT_HANDSHAKE_FAILURE)"),
        (b"", False, "is cut during the TLS handshake"),
        (b"", True, "does not answer the TLS handshake"),
        (b"\x16\x03\x03\x40", True, "does not answer the TLS handshake"),
    ],
)
async def test_what_is_not_tls(ca_pem, says, stays, words):
    async with Server(says, stays=stays) as server:
        report = await told(f"127.0.0.1:{server.port}", ca_pem, step_s=BRIEF_S if stays else 60)
        assert KEY.encode() not in server.heard
    assert failed(report) == [Hop.TLS]
    assert words in report.verdict.sentence


async def test_a_certificate_that_only_the_system_trusts(relay, authority, monkeypatch, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "system.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    report = await told(f"localhost:{relay.port}", None)
    assert failed(report) == [Hop.CERTIFICATE]
    assert "which this system trusts but gRPC does not" in report.verdict.sentence


async def test_the_certificates_that_grpc_is_told_to_trust_are_trusted_here_too(monkeypatch, tmp_path):
    authority = trustme.CA()  # no other test's: gRPC reads the trusted CAs once a process
    relay = ScriptedRelay()
    await relay.listen(authority.issue_cert("localhost"))
    try:
        authority.cert_pem.write_to_path(tmp_path / "roots.pem")
        monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(tmp_path / "roots.pem"))
        report = await told(f"localhost:{relay.port}", None, key=None, call_s=0.5)
        assert state(report, Hop.CERTIFICATE) is State.OK
        monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(tmp_path / "none.pem"))
        assert failed(await told(f"localhost:{relay.port}", None, key=None, call_s=0.5)) == [Hop.CERTIFICATE]
    finally:
        await relay.kill()


@pytest.mark.parametrize(("days", "words"), [((-2, -1), "has expired, on"), ((1, 2), "is not valid before")])
async def test_a_certificate_at_another_time(authority, ca_pem, days, words):
    first, last = (dt.datetime.now(dt.UTC) + dt.timedelta(days=number) for number in days)
    async with Server(
        tls=context_of(authority.issue_cert("localhost", not_before=first, not_after=last), "h2")
    ) as server:
        report = await told(f"localhost:{server.port}", ca_pem)
        assert server.heard == b""
    assert failed(report) == [Hop.CERTIFICATE]
    assert words in report.verdict.sentence


async def test_a_certificate_for_another_name_and_the_option_that_mends_it(authority, ca_pem):
    relay = ScriptedRelay()
    await relay.listen(authority.issue_cert("relay.example.com", "relay.example.org"))
    beginning = asyncio.create_task(begin(relay))
    try:
        wrong = await told(f"localhost:{relay.port}", ca_pem)
        right = await told(f"localhost:{relay.port}", ca_pem, server_name="relay.example.com")
    finally:
        beginning.cancel()
        await relay.kill()
    assert "is for relay.example.com, relay.example.org and not for localhost" in wrong.verdict.sentence
    assert right.verdict.hop is None, right


async def test_a_stranger_is_never_sent_the_key(cert):
    async with Server(stays=True, tls=context_of(cert, "h2")) as stranger:
        report = await told(f"localhost:{stranger.port}", trustme.CA().cert_pem.bytes())
        assert stranger.heard == b""
    assert failed(report) == [Hop.CERTIFICATE]


async def test_a_stranger_that_hangs_up_at_the_second_look(relay):
    class Once(LoopbackServer):
        """Passes on one connection, and hangs up on others."""

        taken = 0

        async def serve(self, reader, writer):
            self.taken += 1
            if self.taken == 1:
                there, back = await asyncio.open_connection("127.0.0.1", relay.port)
                await asyncio.gather(pump(reader, back), pump(there, writer))

    async with Once() as stranger:
        report = await told(f"localhost:{stranger.port}", trustme.CA().cert_pem.bytes())
        assert stranger.taken > 1
    assert failed(report) == [Hop.CERTIFICATE]
    assert "signed by an unknown CA" in report.verdict.sentence


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
async def test_a_web_server(cert, ca_pem, alpn):
    async with Server(b"HTTP/1.1 400 Bad Request\r\n\r\n", tls=context_of(cert, *alpn)) as server:
        report = await told(f"localhost:{server.port}", ca_pem)
        assert server.heard == b""
    assert failed(report) == [Hop.HTTP2]


async def test_http2_in_name_only(cert, ca_pem):
    async with Server(b"HTTP/1.1 400 Bad Request\r\n\r\n", tls=context_of(cert, "h2")) as server:
        report = await told(f"localhost:{server.port}", ca_pem)
        assert KEY.encode() not in server.heard
    assert report.verdict.sentence.startswith(
        f"localhost:{server_port(report)} chooses HTTP/2 and then does not speak it"
    )


def server_port(report) -> str:
    return next(row.seen for row in report.rows if row.hop is Hop.ROUTE).split("port ")[1].split(":")[0]


# The relay


class HoldingRelay(ScriptedRelay):
    """Refuses streams without a key. With `holds_requests` it sees a request only when it has ended, as behind some proxies."""

    def __init__(self, *, holds_requests: bool) -> None:
        super().__init__()
        self._holds_requests = holds_requests

    async def WatchPresence(self, request_iterator, context):  # noqa: N802
        if self._holds_requests:
            async for _ in request_iterator:
                pass
        if "authorization" not in dict(context.invocation_metadata()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")
        await super().WatchPresence(request_iterator, context)


@pytest.fixture
async def holding(cert):
    async with contextlib.AsyncExitStack() as stack:

        async def start(*, holds_requests: bool) -> HoldingRelay:
            relay = HoldingRelay(holds_requests=holds_requests)
            await relay.listen(cert)
            stack.push_async_callback(relay.kill)
            return relay

        yield start


async def test_a_relay_that_does_not_begin_a_stream_is_told_from_a_way_that_holds_it_back(holding, ca_pem):
    relay = await holding(holds_requests=False)
    report = await told(f"localhost:{relay.port}", ca_pem, call_s=5.0)
    assert failed(report) == [Hop.RELAY]
    assert "takes the stream and does not begin it" in report.verdict.sentence


async def test_where_requests_are_held_back_the_form_stream_is_tried(holding, ca_pem):
    relay = await holding(holds_requests=True)
    beginning = asyncio.create_task(begin(relay))
    report = await told(f"localhost:{relay.port}", ca_pem, call_s=5.0)
    beginning.cancel()
    assert failed(report) == [Hop.STREAMS]
    assert "use the form `stream` (--form stream)" in report.verdict.sentence
    assert state(report, Hop.KEY) is State.OK


async def test_a_server_that_is_no_relay(cert, ca_pem):
    server = grpc.aio.server()
    pair = (cert.private_key_pem.bytes(), b"".join(blob.bytes() for blob in cert.cert_chain_pems))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    report = await told(f"localhost:{port}", ca_pem)
    await server.stop(0)
    assert report.verdict.sentence.startswith("The server there is not a presence relay, or an older release of it.")


async def test_a_stream_that_is_cut_while_it_is_left_alone(relay, ca_pem):
    loop, begun = asyncio.get_running_loop(), list[float]()

    async def begin_all() -> None:
        while True:
            stream = await relay.stream()
            stream.started()
            begun.append(loop.time())

    class Cut(LoopbackServer):
        """Passes on what comes, and cuts a connection two seconds after its stream began."""

        async def serve(self, reader, writer):
            there, back = await asyncio.open_connection("127.0.0.1", relay.port)
            earlier, passing = len(begun), asyncio.gather(pump(reader, back), pump(there, writer))
            try:
                await eventually(lambda: passing.done() or (len(begun) > earlier and loop.time() > begun[-1] + 2.0))
            finally:
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)

    beginning = asyncio.create_task(begin_all())
    async with Cut() as way:
        report = await told(f"localhost:{way.port}", ca_pem, idling=Idling(for_s=60, ping_s=60))
    beginning.cancel()
    assert failed(report) == [Hop.IDLE]


@pytest.mark.parametrize(
    "text", ["", "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT", "Sun, 29 Nov 99999999999 12:00:00 GMT"]
)
def test_a_date_that_is_none(text):
    assert read_date(text) is None
