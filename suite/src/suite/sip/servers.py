"""The far end that requests go to: its address, protocol, login and certificate."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final

from suite.sip.challenges import DigestClient
from suite.sip.errors import MalformedMessage, SipUnreachable
from suite.sip.flows import SipProtocol
from suite.sip.uris import split_host_port

_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
_RESOLVE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SipServer:
    """A presence server, PBX or proxy. All requests of its subscriptions and publications go there, whatever their URIs name."""

    host: str
    """A name or an IP address, IPv6 without brackets."""
    port: int
    protocol: SipProtocol = "udp"
    tls: ssl.SSLContext | None = None
    tls_name: str = ""
    """The name that its certificate must have, if that is not `host`."""
    digest: DigestClient = field(default_factory=lambda: DigestClient(None))
    """Its login. Share one between all requests."""
    also_from: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    """Networks that NOTIFYs may come from, beside the addresses of `host`."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.protocol})"

    @classmethod
    def at(
        cls,
        address: str,
        protocol: SipProtocol = "udp",
        *,
        digest: DigestClient | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> SipServer:
        """Return the server at `host`, `host:port` or `[IPv6]:port`; the port is 5060, or 5061 for TLS, if none is said.

        Raises:
            ValueError: the address is none.
        """
        try:
            host, port = split_host_port(address.strip())
        except MalformedMessage:
            raise ValueError(f"{address!r} is no address. Write host:port.") from None
        return cls(
            host=host,
            port=port or _PORTS[protocol],
            protocol=protocol,
            tls=(tls or ssl.create_default_context()) if protocol == "tls" else None,
            digest=digest or DigestClient(None),
        )

    async def addresses(self) -> list[str]:
        """Return the IP addresses of `host`, in the system's order.

        Raises:
            SipUnreachable: the name is not known.
        """
        try:
            return [str(ipaddress.ip_address(self.host))]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(_RESOLVE_S):
                found = await asyncio.get_running_loop().getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise SipUnreachable(f"The name {self.host} is not known.") from None
        return list(dict.fromkeys(str(each[4][0]) for each in found))
