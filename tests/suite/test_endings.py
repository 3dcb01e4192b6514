"""What a failure is called: each is caused against a real listener, so that the words match what gRPC really says."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl

import grpc
import pytest
import trustme

from suite import events as ev
from suite.channel import Target, split_address
from suite.client import PresenceClient
from suite.errors import ConfigError, Refused
from suite.explain import Ending, Remedy, explain
from tests.suite.recorder import Recorder
from tests.suite.scripted_relay import ScriptedRelay

KEY = "psk_1f2e3d4c_secret"


async def words_of(address: str, ca_pem: bytes | None, **settings) -> str:
    """What the client says of its first attempt."""
    async with (
        PresenceClient(address, KEY, ca_pem=ca_pem, users=["a@x.org"], **settings) as client,
        Recorder(client) as suite,
    ):
        return (await suite.next(ev.Disconnected)).reason


@contextlib.asynccontextmanager
async def listening(handler, **settings):
    server = await asyncio.start_server(handler, "127.0.0.1", 0, **settings)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def http_400(reader, writer):
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    writer.close()


async def hang_up(_reader, writer):
    writer.close()


async def test_a_ca_that_did_not_issue_the_certificate(relay):
    words = await words_of(f"localhost:{relay.port}", trustme.CA().cert_pem.bytes())
    assert "not issued by a CA that is trusted here" in words
    assert "--ca-file" in words


async def test_no_ca_given_for_a_private_one():
    relay = ScriptedRelay()
    # Of a CA of its own: gRPC reads the trusted CAs once a process, and another test may have had it trust ours.
    await relay.listen(trustme.CA().issue_cert("localhost"))
    try:
        assert "--ca-file" in await words_of(f"localhost:{relay.port}", None)
    finally:
        await relay.kill()


async def test_a_certificate_for_another_name_and_the_option_that_mends_it(authority, ca_pem):
    relay = ScriptedRelay()
    await relay.listen(authority.issue_cert("relay.example.com"))
    try:
        words = await words_of(f"localhost:{relay.port}", ca_pem)
        assert "'localhost'" in words
        assert "--server-name" in words
        settings = {"ca_pem": ca_pem, "server_name": "relay.example.com"}
        async with PresenceClient(f"localhost:{relay.port}", KEY, **settings):
            await relay.stream()
    finally:
        await relay.kill()


async def test_an_expired_certificate(authority, ca_pem):
    relay = ScriptedRelay()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    await relay.listen(authority.issue_cert("localhost", not_before=past - dt.timedelta(days=1), not_after=past))
    try:
        assert "expired" in await words_of(f"localhost:{relay.port}", ca_pem)
    finally:
        await relay.kill()


async def test_plain_text_where_tls_is_expected(ca_pem):
    relay = ScriptedRelay()
    await relay.listen(None)
    try:
        assert "does not speak TLS" in await words_of(f"localhost:{relay.port}", ca_pem)
    finally:
        await relay.kill()


async def test_a_web_server_without_http2(cert, ca_pem):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    async with listening(http_400, ssl=context) as port:
        assert "not HTTP/2" in await words_of(f"localhost:{port}", ca_pem)


async def test_a_connection_that_is_cut_while_it_is_made(ca_pem):
    async with listening(hang_up) as port:
        assert "cut while it was being opened" in await words_of(f"localhost:{port}", ca_pem)


async def test_nothing_listens(ca_pem, unused_tcp_port):
    assert "Nothing listens at" in await words_of(f"127.0.0.1:{unused_tcp_port}", ca_pem)


async def test_a_host_that_does_not_exist(ca_pem):
    words = await words_of("nosuch.invalid:443", ca_pem)
    assert words == "The name 'nosuch.invalid' cannot be found. Check the address and this machine's DNS."


async def test_a_message_over_the_relays_limit_stops_the_client(relay, ca_pem):
    # The library cannot send one; a client without its rules gets this from the transport.
    target = Target("localhost", relay.port, ca_pem, None, None)
    ending = Ending(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (9437194 vs. 8388608)"
    )
    assert ending.remedy is Remedy.STOP
    assert "larger than the relay accepts" in explain(ending, target)


@pytest.mark.parametrize(
    ("answer", "words"),
    [("407 Proxy Authentication Required", "user name and password"), ("403 Forbidden", "HTTP 403")],
)
async def test_a_proxy_that_refuses(relay, ca_pem, answer, words):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with listening(refuse) as port:
        said = await words_of(f"localhost:{relay.port}", ca_pem, proxy=f"http://user:pass-word@127.0.0.1:{port}")
    assert words in said
    assert said.startswith("The proxy 127.0.0.1")
    assert "pass-word" not in said


async def test_a_proxy_that_is_not_there(relay, ca_pem, unused_tcp_port):
    said = await words_of(f"localhost:{relay.port}", ca_pem, proxy=f"http://127.0.0.1:{unused_tcp_port}")
    assert said == f"Nothing listens at the proxy 127.0.0.1:{unused_tcp_port} (connection refused)."


async def test_a_proxy_whose_name_does_not_exist(relay, ca_pem):
    said = await words_of(f"localhost:{relay.port}", ca_pem, proxy="http://nosuch.invalid:3128")
    assert said.startswith("The name 'nosuch.invalid' cannot be found.")


async def test_a_gateways_refusal_is_not_final():
    between = Ending(grpc.StatusCode.PERMISSION_DENIED, "Received http2 header with status: 403")
    assert between.remedy is Remedy.BACK_OFF
    assert Ending(grpc.StatusCode.PERMISSION_DENIED).remedy is Remedy.STOP


async def test_what_cannot_be_explained_is_said_without_its_text(relay, ca_pem):
    async with PresenceClient(f"localhost:{relay.port}", KEY, ca_pem=ca_pem) as client, Recorder(client) as suite:
        (await relay.stream()).fail_bare(grpc.StatusCode.DATA_LOSS, "internal gibberish")
        assert "DATA_LOSS" in (await suite.next(ev.Disconnected)).reason
        (await relay.stream()).fail_bare(grpc.StatusCode.UNAUTHENTICATED, "internal gibberish")
        error = await suite.stopped()
        assert isinstance(error, Refused)
        assert "gibberish" not in str(error)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("relay.example.com", ("relay.example.com", 443)),
        ("[::1]:8443", ("::1", 8443)),
        (" h:1 ", ("h", 1)),
        ("[::1]", ("::1", 443)),
    ],
)
def test_an_address_is_host_and_port(address, expected):
    assert split_address(address) == expected


@pytest.mark.parametrize(
    "address", ["", "https://h:443", "h:abc", "h:0", "h:70000", "::1", "h:1/path", "a b:1", ":443", "h:²"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match="address"):
        split_address(address)


@pytest.mark.parametrize(
    "ca_pem", [b"", b"junk", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_ca_file_without_a_certificate_is_refused(ca_pem):
    with pytest.raises(ConfigError, match="CA file"):
        PresenceClient("relay:443", KEY, ca_pem=ca_pem)
