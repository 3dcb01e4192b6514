"""The way through an HTTP proxy, and when it is taken."""

from __future__ import annotations

import asyncio
import base64

import pytest

from suite import events as ev
from suite.errors import ConfigError
from suite.proxy import choose_proxy, is_exempt, parse_proxy
from tests.support.loopback import LoopbackServer, pump


class TinyProxy(LoopbackServer):
    """Does CONNECT, and remembers for whom."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[bytes] = []

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        host, _, port = head.split()[1].decode().rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, back), pump(there, writer))


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
async def test_the_stream_goes_through_the_proxy_of_the_environment(relay, connect, monkeypatch, variable):
    async with TinyProxy() as proxy:
        monkeypatch.setenv(variable, f"http://ada:secret@127.0.0.1:{proxy.port}")
        suite = await connect("ada@x.org")
        stream = await relay.stream()
        stream.started()
        await suite.next(ev.Connected)
        assert proxy.requests[0].startswith(f"CONNECT localhost:{relay.port} ".encode())
        assert base64.b64encode(b"ada:secret") in proxy.requests[0]
        await suite.client.__aexit__(None, None, None)


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
async def test_an_exempt_relay_is_reached_directly(relay, connect, monkeypatch, unused_tcp_port, variable):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.setenv(variable, "example.com,localhost")
    await connect("ada@x.org")
    await relay.stream()


async def test_an_empty_proxy_overrides_the_environment(relay, connect, monkeypatch, unused_tcp_port):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    await connect("ada@x.org", proxy="")
    await relay.stream()


def test_the_lower_case_variable_comes_first():
    environ = {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:2"}
    assert choose_proxy("relay", 443, None, environ).shown == "lower:2"


@pytest.mark.parametrize(
    ("no_proxy", "exempt"),
    [
        ("", False), ("*", True), ("example.com", True), (".example.com", True), ("*.example.com", True), ("ample.com", False),
        ("other.org, relay.example.com", True), ("relay.example.com:443", True), ("relay.example.com:80", False), (",,", False),
    ],
)  # fmt: skip
def test_no_proxy_names_domains(no_proxy, exempt):
    assert is_exempt("relay.Example.com", 443, no_proxy) is exempt


@pytest.mark.parametrize(
    ("host", "no_proxy", "exempt"),
    [
        ("10.1.2.3", "10.0.0.0/8", True), ("11.1.2.3", "10.0.0.0/8", False), ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:80", False), ("::1", "::1", True), ("::1", "[::1]:443", True), ("::1", "fe80::/10", False),
    ],
)  # fmt: skip
def test_no_proxy_names_networks(host, no_proxy, exempt):
    assert is_exempt(host, 443, no_proxy) is exempt


def test_a_proxy_may_be_written_without_scheme_and_never_shows_its_password():
    proxy = parse_proxy("ada:secret@proxy.example.com:3128")
    assert proxy.url == "http://ada:secret@proxy.example.com:3128"
    assert "secret" not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    "url", ["https://p:1", "socks5://p:1", "http://", "http://p:99999", "http://p:x", "http://[::1"]
)
def test_a_proxy_that_cannot_be_used_is_refused(url):
    with pytest.raises(ConfigError, match="proxy"):
        parse_proxy(url)
