"""The SIP server, through which phones and telephone systems watch colleagues: its addresses, who may use it, what it tells."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.settings import kinds
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from suite.agent.settings.given import Given
    from suite.agent.settings.kinds import Network

LANGUAGES: Final = ("en", "it")

SETTINGS: Final = (
    Setting(
        section="SipServer",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Let SIP phones, telephone systems and presence servers watch colleagues.",
    ),
    Setting(
        section="SipServer",
        name="Host",
        kind=kinds.ADDRESS,
        default="127.0.0.1",
        meaning="Address on which phones reach the SIP server.",
    ),
    Setting(
        section="SipServer",
        name="UdpPort",
        kind=kinds.whole(0, 65535),
        default="5060",
        meaning="Port of SIP over UDP; 0 is none.",
    ),
    Setting(
        section="SipServer",
        name="TcpPort",
        kind=kinds.whole(0, 65535),
        default="5060",
        meaning="Port of SIP over TCP; 0 is none.",
    ),
    Setting(
        section="SipServer",
        name="Domains",
        kind=kinds.DOMAINS,
        default="",
        meaning="Domains whose users are colleagues: `sip:1001@pbx.example` is the colleague with extension 1001 if `pbx.example` is one of "
        "them, or an IP address is in its place. A colleague's own SIP address counts in any case.",
        when_absent="every domain",
    ),
    Setting(
        section="SipServer",
        name="Networks",
        kind=kinds.NETWORKS,
        default="127.0.0.0/8, ::1/128",
        meaning="Networks whose phones and telephone systems may watch colleagues, such as `192.168.1.0/24, 10.0.0.5`. Others are refused.",
    ),
    Setting(
        section="SipServer",
        name="BusyLamp",
        kind=kinds.choice("busy", "calls"),
        default="busy",
        meaning="States that light a phone's busy lamp: calls only, or meetings and everything else that is busy too.",
    ),
    Setting(
        section="SipServer",
        name="Language",
        kind=kinds.choice(*LANGUAGES),
        default="en",
        meaning="Language of the words that phones show beside the state.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAddress:
    """An address on which the SIP server listens."""

    protocol: Literal["udp", "tcp", "tls"]
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}:{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipServerSettings:
    """The SIP server.

    Attributes:
        addresses: on which it listens.
        domains: whose users are colleagues; empty for every domain.
        networks: from which requests are taken.
        busy_lamp: the states that light a lamp.
        language: of the words beside the state.
    """

    enabled: bool = False
    addresses: tuple[SipAddress, ...] = ()
    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
    busy_lamp: Literal["busy", "calls"] = "busy"
    language: str = "en"


def read_sip_server(given: Given) -> SipServerSettings:
    """Return the settings."""
    get = given.value
    enabled = get("SipServer.Enable")
    if enabled and not all(map(find_spec, ("sipmessage", "defusedxml"))):
        given.refuse("SipServer.Enable", "SIP needs more packages. Install them: pip install 'presence-suite[sip]'.")
    addresses = tuple(_addresses(given))
    if enabled and not addresses:
        given.refuse("SipServer.Enable", "The SIP server is on, but it has no port: UdpPort and TcpPort are 0.")
    return SipServerSettings(
        enabled=enabled,
        addresses=addresses,
        domains=get("SipServer.Domains") or (),
        networks=get("SipServer.Networks"),
        busy_lamp=get("SipServer.BusyLamp"),
        language=get("SipServer.Language"),
    )


def _addresses(given: Given) -> Iterator[SipAddress]:
    protocols: tuple[Literal["udp", "tcp"], ...] = ("udp", "tcp")
    for protocol in protocols:
        port = given.value(f"SipServer.{protocol.capitalize()}Port")
        if port:
            yield SipAddress(protocol=protocol, host=given.value("SipServer.Host"), port=port)
