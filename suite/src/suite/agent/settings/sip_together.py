"""Collisions of SIP's settings: two sockets of the agent on one port, or a SIP server to ask that is the agent itself. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suite.agent.settings.groups.api import ApiSettings
    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings

_EVERY: Final = ("0.0.0.0", "::")  # noqa: S104  compared, not listened on
_SERVER: Final = re.compile(r"\[?(.*?)\]?(?::([0-9]+))?")


def sip_collisions(api: ApiSettings, source: SipSimpleSettings, server: SipServerSettings) -> Iterator[tuple[str, str]]:
    """Yield setting and sentence for each collision of the SIP server's ports with others of the agent.

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
        if (address.host, address.port) in {_host_port(each, source.protocol) for each in source.servers}:
            yield "SipSimple.Address", f"SipSimple.Address is the address of the agent's own SIP server, {address}."


def _meet(one: str, other: str) -> bool:
    """Return whether one port cannot be had on both addresses."""
    return one == other or one in _EVERY or other in _EVERY


def _host_port(server: str, protocol: str) -> tuple[str, int]:
    found = _SERVER.fullmatch(server)
    assert found is not None
    return found[1].lower(), int(found[2] or (5061 if protocol == "tls" else 5060))
