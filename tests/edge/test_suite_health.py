"""`presence-suite health`, as `helm test` runs it, against a real edge."""

from __future__ import annotations

import trustme
from typer.testing import CliRunner

from suite.channel import target
from suite.cli import app
from suite.health import Health, check


def asked(port: int, ca_pem: bytes | None, name: str | None = None):
    return target(f"localhost:{port}", ca_pem=ca_pem, server_name=name, proxy="", environ={})


async def test_an_edge_that_takes_streams_is_serving_also_without_a_key(edge, authority):
    assert await check(asked(edge.port, authority.cert_pem.bytes())) == (Health.SERVING, "")


async def test_a_certificate_that_is_not_trusted_is_told(start_edge):
    # Of a CA of its own: gRPC reads the trusted CAs once a process, and another test may have had it trust ours.
    cert = trustme.CA().issue_cert("localhost")
    chain = b"".join(pem.bytes() for pem in cert.cert_chain_pems)
    edge = await start_edge(tls_cert_pem=chain, tls_key_pem=cert.private_key_pem.bytes())
    found, details = await check(asked(edge.port, None))
    assert (found, details.startswith("UNAVAILABLE: ")) == (Health.UNREACHABLE, True)


async def test_an_edge_behind_a_gateway_is_asked_without_tls(start_edge):
    edge = await start_edge(tls_cert_pem=None, tls_key_pem=None)
    assert await check(asked(edge.port, None), plain_text=True) == (Health.SERVING, "")


def test_a_relay_that_is_away_ends_the_command_with_3():
    result = CliRunner().invoke(app, ["health", "--address", "127.0.0.1:1", "--plain-text"])
    assert (result.exit_code, "127.0.0.1:1 is unreachable (UNAVAILABLE" in result.output) == (3, True)
