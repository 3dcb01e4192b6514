"""The connection to the relay: address, trusted certificates and proxy, checked before anything is sent."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final

import grpc
from grpc import aio

from suite.errors import ConfigError
from suite.proxy import Proxy, choose_proxy

MAX_RECEIVE_BYTES: Final = 8 * 1024 * 1024
"""Twice gRPC's default of 4 MiB, which the relay stays below."""
KEEPALIVE_MS: Final = 30_000
"""Interval of HTTP/2 pings. They detect connections that died silently: firewalls drop idle ones after minutes."""
KEEPALIVE_TIMEOUT_MS: Final = 10_000
"""Timeout of a ping: a dead connection is noticed within 40 s."""
CONNECT_TIMEOUT_MS: Final = 15_000
"""Timeout of one attempt, for TCP, proxy and TLS together."""

DEFAULT_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Target:
    """The relay's address, and how to connect to it.

    Attributes:
        server_name: the name that the certificate must have; None for `host`.
        ca_pem: the certificates to trust; None for gRPC's own.
    """

    host: str
    port: int
    ca_pem: bytes | None = field(repr=False)
    server_name: str | None
    proxy: Proxy | None

    @property
    def address(self) -> str:
        """Return host and port as gRPC expects them, `host:port` or `[IPv6]:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def open(self) -> aio.Channel:
        """Open a connection that no other channel shares, so that each stream can reach a different relay process."""
        credentials = grpc.ssl_channel_credentials(self.ca_pem)
        return aio.secure_channel(self.address, credentials, options=self._options())

    def _options(self) -> list[tuple[str, str | int]]:
        # `grpc.http2.bdp_probe` stays on. Without it a stalled reader buffers 0.09 MB instead of 4 MB, but every snapshot
        # is limited to a window of 64 kB a round trip.
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            # Without this option gRPC waits a minute for the answer to a ping, even with a shorter keep-alive timeout.
            ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.http2.max_pings_without_data", 0),  # a quiet stream is the normal case
            ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),  # the client resumes streams itself
        ]
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        if self.proxy:
            options.append(("grpc.http_proxy", self.proxy.url))
        else:
            options.append(("grpc.enable_http_proxy", 0))
        return options


def target(
    address: str,
    *,
    ca_pem: bytes | None,
    server_name: str | None,
    proxy: str | None,
    environ: dict[str, str],
) -> Target:
    """Return the target for these settings.

    Raises:
        ConfigError: a setting is invalid.
    """
    host, port = split_address(address)
    if ca_pem is not None:
        check_certificates(ca_pem)
    return Target(host, port, ca_pem, server_name, choose_proxy(host, port, proxy, environ))


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host[:port]`. The default port is 443."""
    text = address.strip()
    if "://" in text or "/" in text:
        raise ConfigError(f"The address {address!r} must be host:port, without https:// and without a path.")
    if text.count(":") > 1 and not text.startswith("["):
        raise ConfigError(f"The address {address!r} must have its IPv6 address in brackets, as in [::1]:443.")
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        rest = rest.removeprefix(":")
    else:
        host, _, rest = text.partition(":")
    if not host or any(c.isspace() for c in host):
        raise ConfigError(f"The address {address!r} must be host:port.")
    if not rest:
        return host, DEFAULT_PORT
    if not (rest.isascii() and rest.isdigit() and 0 < int(rest) < 65536):
        raise ConfigError(f"The address {address!r} must end in a port between 1 and 65535.")
    return host, int(rest)


def pem_text(pem: bytes) -> str:
    """Return PEM as text for Python's `ssl`, without non-ASCII characters: bundles have names of CAs between certificates."""
    return pem.decode("ascii", "ignore")


def check_certificates(ca_pem: bytes) -> None:
    """Raise ConfigError when there is no certificate in `ca_pem`. gRPC would only log it."""
    try:
        ssl.create_default_context(cadata=pem_text(ca_pem) or " ")
    except (ssl.SSLError, ValueError):
        raise ConfigError("The CA file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----).") from None
