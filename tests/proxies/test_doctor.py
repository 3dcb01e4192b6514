"""What the doctor says behind each proxy. The sentences are those of the table in docs/suites/doctor.md."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
import trustme

from suite.doctor.idle import Idling
from suite.doctor.values import Hop
from suite.doctor.verdict import Report
from tests.proxies import running
from tests.support import doctor
from tests.support.doctor import KEY, failed

pytestmark = pytest.mark.long

HELD_S = 4.0
"""How long a call may take where it is to be silent."""


async def told(relay, ca: trustme.CA, proxy: str = "", *, port: int = 0, **more) -> Report:
    """What the doctor tells of the way to a relay."""
    return await doctor.told(f"localhost:{port or relay.port}", ca.cert_pem.bytes(), proxy=proxy, **more)


async def test_an_open_proxy(relay, authority, tmp_path):
    async with running.tinyproxy(tmp_path) as port:
        report = await told(relay, authority, f"127.0.0.1:{port}")
    assert report.verdict.sentence == (
        f"All is well: suites on this machine can use the relay at localhost:{relay.port} through the proxy 127.0.0.1:{port}."
    )


async def test_a_proxy_with_a_login(relay, authority, tmp_path):
    user, password = running.LOGIN
    async with running.tinyproxy(tmp_path, running.LOGIN) as port:
        right = await told(relay, authority, f"http://{user}:{password}@127.0.0.1:{port}")
        wrong = await told(relay, authority, f"http://{user}:wrong@127.0.0.1:{port}")
        none = await told(relay, authority, f"http://127.0.0.1:{port}")
    assert right.verdict.hop is None
    assert wrong.verdict.sentence == (
        f"The proxy 127.0.0.1:{port} refuses the user name or the password (HTTP 401): correct them in HTTPS_PROXY or --proxy."
    )
    assert none.verdict.sentence == (
        f"The proxy 127.0.0.1:{port} requires a login (HTTP 407): write http://user:password@host:port in HTTPS_PROXY or --proxy."
    )
    assert failed(wrong) == failed(none) == [Hop.PROXY]


async def test_a_proxy_that_cannot_reach_the_relay(relay, authority, tmp_path, unused_tcp_port):
    async with running.tinyproxy(tmp_path) as port:
        report = await told(relay, authority, f"127.0.0.1:{port}", port=unused_tcp_port)
    assert report.verdict.hop is Hop.PROXY
    assert f"cannot reach localhost:{unused_tcp_port} (HTTP 50" in report.verdict.sentence


async def test_a_balancer_that_cuts_idle_connections_sooner_than_suites_ping(relay, authority, tmp_path):
    async with running.haproxy(tmp_path, relay.port, idle_s=1.5) as port:
        cut = await told(relay, authority, port=port, idling=Idling(for_s=30, ping_s=20, pong_s=60))
        pinged = await told(relay, authority, port=port, idling=Idling(for_s=3.5, ping_s=0.3, pong_s=60))
    assert (cut.verdict.hop, pinged.verdict.hop) == (Hop.IDLE, None)
    assert cut.verdict.sentence == (
        "Something in between cuts connections after 2 s of silence, and suites ping every 30 s: have its idle timeout set above 60 s."
    )


async def test_squid_that_inspects_tls(relay, authority, inspector):
    async with running.squid(inspector, authority) as port:
        unknown = await told(relay, authority, f"127.0.0.1:{port}")
        trusted = await told(relay, inspector, f"127.0.0.1:{port}")
    for report in (unknown, trusted):
        assert report.verdict.sentence == (
            f"The proxy 127.0.0.1:{port} inspects TLS (the certificate is signed by {signer(inspector)}) and does not pass HTTP/2: have "
            f"localhost:{relay.port} exempted from the inspection."
        )
    assert (failed(unknown), failed(trusted)) == ([Hop.CERTIFICATE, Hop.HTTP2], [Hop.HTTP2])


async def test_mitmproxy_as_it_comes(relay, authority, inspector, tmp_path):
    """It passes on what is sent only when all of it is there."""
    async with running.mitmproxy(tmp_path, inspector, authority) as port:
        unknown = await told(relay, authority, f"127.0.0.1:{port}")
        trusted = await told(relay, inspector, f"127.0.0.1:{port}", call_s=HELD_S)
    assert unknown.verdict.sentence == (
        f"TLS to localhost:{relay.port} is inspected in between, or the CA file is the wrong one, because the certificate is signed by "
        f"{signer(inspector)}: have localhost:{relay.port} exempted from the inspection, or give that CA's certificate with --ca-file if you trust it."
    )
    assert trusted.verdict.sentence == (
        f"The proxy 127.0.0.1:{port} holds back what is sent until all of it is there, so that a stream never begins: have "
        f"localhost:{relay.port} exempted from the inspection, or bodies passed on as they come."
    )
    assert (unknown.verdict.hop, trusted.verdict.hop) == (Hop.CERTIFICATE, Hop.STREAMS)


async def test_mitmproxy_that_passes_bodies_on(relay, authority, inspector, tmp_path):
    async with running.mitmproxy(tmp_path, inspector, authority, "stream_large_bodies=1") as port:
        report = await told(relay, inspector, f"127.0.0.1:{port}")
    assert report.verdict.hop is None, report


async def test_mitmproxy_without_http2(relay, authority, inspector, tmp_path):
    async with running.mitmproxy(tmp_path, inspector, authority, "http2=false") as port:
        report = await told(relay, inspector, f"127.0.0.1:{port}")
    assert report.verdict.hop is Hop.HTTP2
    assert f"(the certificate is signed by {signer(inspector)}) and does not pass HTTP/2" in report.verdict.sentence


def signer(ca: trustme.CA) -> str:
    """How the doctor names a CA."""
    from cryptography import x509

    name = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
    return f'"{", ".join(str(each.value) for each in reversed(list(name)))}"'


async def test_the_command_takes_the_proxy_of_the_environment_and_shows_no_secret(
    relay, authority, tmp_path, monkeypatch
):
    key, ca = tmp_path / "key", tmp_path / "ca.pem"
    key.write_text(KEY)
    key.chmod(0o600)
    authority.cert_pem.write_to_path(ca)
    user, password = running.LOGIN
    async with running.tinyproxy(tmp_path, running.LOGIN) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{user}:{password}@127.0.0.1:{port}")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "suite.cli", "doctor", "--address", f"localhost:{relay.port}", "--json"),
            *("--key-file", str(key), "--ca-file", str(ca), "--timeout", "60"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
    found = json.loads(out)
    assert (process.returncode, found["works"], found["proxy"]) == (0, True, f"127.0.0.1:{port}")
    assert "secret" not in out.decode()
    assert password not in out.decode()
