"""The server that requests go to: its address, protocol, login and certificate."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import Final

from suite.sip.challenges import DigestClient
from suite.sip.errors import MalformedMessage, SipUnreachable
from suite.sip.flows import SipProtocol
from suite.sip.lookup import SERVICES, look_up
from suite.sip.srv import SipTarget, TargetsHeld
from suite.sip.uris import split_host_port

_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
_KEPT_S: Final = 60.0
"""Seconds for which targets are used before they are looked up again."""


@dataclass(slots=True)
class _Finding:
    """The targets found last, and the lookup under way, which all requests share."""

    held: TargetsHeld = field(default_factory=TargetsHeld)
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SipServer:
    """A presence server, PBX or proxy. All requests of its subscriptions and publications go there, whatever their URIs name."""

    host: str
    """A name or an IP address, IPv6 without brackets."""
    port: int
    """Not used for a name with SRV records, which contain the port."""
    protocol: SipProtocol = "udp"
    srv: bool = False
    """Whether `host` may have SRV records (RFC 3263): `_sip._udp`, `_sip._tcp`, or for TLS `_sips._tcp`."""
    tls: ssl.SSLContext | None = None
    tls_name: str = ""
    """The name that its certificate must have, if that is not `host`. Names in SRV records are not accepted (RFC 5922 7.2)."""
    digest: DigestClient = field(default_factory=lambda: DigestClient(None))
    """The login. All requests to the server should share one."""
    also_from: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    """Networks that NOTIFYs may come from, in addition to the addresses of `host`."""
    name_servers: tuple[tuple[str, int], ...] = ()
    """Addresses and ports of name servers for SRV records, instead of the system's."""
    _finding: _Finding = field(default_factory=_Finding, init=False)

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
        """Return the server at `host`, `host:port` or `[IPv6]:port`.

        A name without a port may have SRV records. Without those, and for an IP address, the port is 5060, or 5061 for TLS.

        Raises:
            ValueError: the address is not valid.
        """
        try:
            host, port = split_host_port(address.strip())
        except MalformedMessage:
            raise ValueError(f"{address!r} is not an address. Write host:port.") from None
        return cls(
            host=host,
            port=port or _PORTS[protocol],
            protocol=protocol,
            srv=port is None,
            tls=(tls or ssl.create_default_context()) if protocol == "tls" else None,
            digest=digest or DigestClient(None),
        )

    async def targets(self) -> list[SipTarget]:
        """Return the addresses to try, in order. They are looked up once a minute at most; the old ones are used while DNS fails.

        Raises:
            SipUnreachable: the name cannot be resolved, or has no such service.
        """
        finding, now = self._finding, asyncio.get_running_loop().time()
        if finding.held.kept_until is None or now >= finding.held.kept_until:
            if finding.task is None or finding.task.done():
                finding.task = asyncio.create_task(self._find(), name=f"sip lookup {self.host}")
                finding.task.add_done_callback(_retrieve_exception)
            # Shielded, because many requests share the lookup, and one may be cancelled.
            await asyncio.shield(finding.task)
        return finding.held.in_order(now)

    async def addresses(self) -> list[str]:
        """Return the IP addresses of all targets.

        Raises:
            SipUnreachable: as `targets`.
        """
        return list(dict.fromkeys(each.host for each in await self.targets()))

    def answered(self, target: SipTarget) -> None:
        """Record that a target answered: it stays the first of its priority."""
        self._finding.held.works(target)

    def failed(self, target: SipTarget) -> None:
        """Record that a target did not answer: the others are tried before it for five minutes."""
        self._finding.held.failed(target, asyncio.get_running_loop().time())

    async def _find(self) -> None:
        held = self._finding.held
        service = SERVICES[self.protocol] if self.srv else ""
        try:
            found = await look_up(
                self.host, self.port, service=service, name_servers=self.name_servers, known=held.found
            )
        except SipUnreachable:
            if not held.found:
                raise
            found = list(held.found)
        held.take(found, asyncio.get_running_loop().time() + _KEPT_S)


def _retrieve_exception(task: asyncio.Task[None]) -> None:
    """Retrieve the exception of a lookup, so that asyncio does not log it when no request waits any more."""
    if not task.cancelled():
        task.exception()
