"""The gRPC server of the agent. It listens within its context, and drains its streams at the end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc import aio

from suite.agent.rpc.service import PresenceService
from suite.agent.rpc.stream import DRAIN_S
from suite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from suite.agent.answers import RelayAnswers
    from suite.agent.api.sign_in import SignIn
    from suite.agent.certificate import ServerCertificate

MORE_CONNECTIONS: Final = 100
"""Connections in addition to those of streams: health checks, and consoles that are reconnecting."""
STOP_S: Final = 1.0
"""Timeout of the last responses, after the streams were drained."""


class RpcTls:
    """The certificate of the server. It may be replaced at any time; new connections use the current one."""

    def __init__(self, certificate: ServerCertificate) -> None:
        self.certificate = certificate
        self._given = certificate

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials of a server. gRPC calls `_changed` before each handshake, on its own thread."""
        return grpc.dynamic_ssl_server_credentials(_configuration(self._given), self._changed)

    def _changed(self) -> Any:  # gRPC's stubs do not allow None, which means unchanged
        now = self.certificate
        if now is self._given:
            return None
        self._given = now
        return _configuration(now)


@contextlib.asynccontextmanager
async def rpc_serving(
    host: str, port: int, answers: RelayAnswers, sign_in: SignIn, consoles: int, tls: RpcTls | None
) -> AsyncIterator[PresenceService]:
    """Serve the relay's API within the context.

    Args:
        host: address to listen on.
        port: port to listen on.
        answers: the relay's answers to serve.
        sign_in: the token, which consoles send as their suite key.
        consoles: limit of open streams.
        tls: the certificate; None to serve without TLS.

    Raises:
        ConfigError: the port is taken.
    """
    service = PresenceService(answers, sign_in, consoles)
    server = aio.server(options=_options(consoles))
    server.add_generic_rpc_handlers(service.handlers())
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if tls is None:
            server.add_insecure_port(address)
        else:
            server.add_secure_port(address, tls.credentials())
    except RuntimeError:
        raise ConfigError(f"The agent cannot listen on {host}, port {port}, for gRPC. Is the port taken?") from None
    await server.start()
    try:
        yield service
    finally:
        service.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S + STOP_S):
                await service.nobody.wait()
        await server.stop(STOP_S)


def _configuration(certificate: ServerCertificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(certificate.key_pem, certificate.chain_pem)])


def _options(consoles: int) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", 4 * 1024 * 1024),
        ("grpc.max_metadata_size", 16 * 1024),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
        ("grpc.max_concurrent_streams", 100),
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_allowed_incoming_connections", consoles + MORE_CONNECTIONS),
        # By default, gRPC lets two agents share a port.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.ping_timeout_ms", 20_000),
    ]
