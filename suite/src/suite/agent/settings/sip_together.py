"""Conflicts of SIP's settings: two sockets of the agent on one port, or the agent's own server as its SIP source. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.settings.kinds import read_host_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suite.agent.settings.groups.api import ApiSettings
    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings

_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
_EVERY: Final = ("0.0.0.0", "::")  # noqa: S104  compared, not listened on


def sip_collisions(api: ApiSettings, source: SipSimpleSettings, server: SipServerSettings) -> Iterator[tuple[str, str]]:
    """Yield setting and sentence for each conflict of the SIP server's ports with other ports of the agent.

    Args:
        api: the local API.
        source: the SIP source.
        server: the SIP server.
    """
    if not server.enabled:
        return
    for address in server.addresses:
        setting = f"SipServer.{address.protocol.capitalize()}Port"
        if address.protocol != "udp":
            for name, port in (("Port", api.port), ("GrpcPort", api.grpc_port)):
                if port == address.port and _meet(address.host, api.host):
                    yield setting, f"{setting} must differ from Agent.{name}."
        if not source.enabled or source.protocol != address.protocol:
            continue
        local = source.local_address or _EVERY[0]
        if address.protocol == "udp" and source.local_port == address.port and _meet(address.host, local):
            yield "SipSimple.LocalPort", "SipSimple.LocalPort must differ from SipServer.UdpPort."
        asked = [read_host_port(each) for each in source.servers]
        if (address.host, address.port) in {(host, port or _PORTS[source.protocol]) for host, port in asked}:
            yield "SipSimple.Address", f"SipSimple.Address is the address of the agent's own SIP server, {address}."


def _meet(one: str, other: str) -> bool:
    """Return whether the same port on both addresses conflicts."""
    return one == other or one in _EVERY or other in _EVERY
