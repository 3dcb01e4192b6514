"""The SIP server, through which phones and telephone systems watch colleagues: its addresses, its access, and its documents."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.settings import kinds
from suite.agent.settings.certificate_files import certificate_in
from suite.agent.settings.given import decode_or_empty
from suite.agent.settings.libraries import HOW_TO_INSTALL, has_libraries
from suite.agent.settings.setting import Setting
from suite.agent.settings.sip_files import read_lists, read_logins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from suite.agent.certificate import ServerCertificate
    from suite.agent.settings.given import Given
    from suite.agent.settings.kinds import Kind, Network
    from suite.agent.settings.sip_files import SipLogin

SipProtocolName = Literal["udp", "tcp", "tls"]
LampKinds = Literal["busy", "calls"]
"""The states that light a lamp: all that are busy, or calls only."""
LANGUAGES: Final = ("en", "it")
_FILE_BYTES: Final = 8 * 1024 * 1024


def _setting(name: str, kind: Kind, default: str, meaning: str, when_absent: str = "") -> Setting:
    return Setting(section="SipServer", name=name, kind=kind, default=default, meaning=meaning, when_absent=when_absent)


SETTINGS: Final = (
    _setting("Enable", kinds.FLAG, "0", "Let SIP phones, telephone systems and presence servers watch colleagues."),
    _setting("Host", kinds.ADDRESS, "127.0.0.1", "Address on which phones reach the SIP server."),
    _setting("UdpPort", kinds.whole(0, 65535), "5060", "Port of SIP over UDP; 0 is none."),
    _setting("TcpPort", kinds.whole(0, 65535), "5060", "Port of SIP over TCP; 0 is none."),
    _setting(
        "TlsPort", kinds.whole(1, 65535), "", "Port of SIP over TLS, usually 5061. It needs a certificate.", "none"
    ),
    _setting(
        "CertificateFile",
        kinds.PATH,
        "",
        "PEM file with the certificate for SIP over TLS, and those between it and its CA. It is read again when it changes.",
        "there is no TLS",
    ),
    _setting(
        "PrivateKeyFile",
        kinds.PATH,
        "",
        "PEM file with the private key of the certificate, without a password. It is found and refused as `KeyFile` is.",
        "there is no TLS",
    ),
    _setting(
        "ClientCaFile",
        kinds.PATH,
        "",
        "PEM file with the CA of phones' certificates. With it, a TLS connection needs a certificate of this CA, and no login.",
        "phones need no certificate",
    ),
    _setting(
        "Domains",
        kinds.DOMAINS,
        "",
        "Domains whose users are colleagues: `sip:1001@pbx.example` is the colleague with extension 1001 if `pbx.example` is one of them, or an "
        "IP address is in its place. A colleague's own SIP address is always accepted.",
        "every domain",
    ),
    _setting(
        "Networks",
        kinds.NETWORKS,
        "127.0.0.0/8, ::1/128",
        "Networks from which colleagues may be watched, such as `192.168.1.0/24, 10.0.0.5`. All others are refused.",
    ),
    _setting(
        "ServerNetworks",
        kinds.NETWORKS,
        "",
        "Networks of telephone systems, proxies and presence servers that carry many phones, beside `Networks`. They need no login, and "
        "`NotifiesPerSecond` and `SubscriptionsPerAddress` do not apply to them.",
        "none",
    ),
    _setting(
        "LoginsFile",
        kinds.PATH,
        "",
        "File with the logins of phones, a line each: `name:password`, or `name:realm:hash` as htdigest writes it. It is found and refused as "
        "`KeyFile` is. With it, every client outside of `ServerNetworks` must log in.",
        "no login is needed",
    ),
    _setting("Realm", kinds.TEXT, "presence", "The realm that phones log in to. Hashes belong to one realm."),
    _setting(
        "Digest",
        kinds.choice("both", "SHA-256", "MD5"),
        "both",
        "Algorithms of the digest challenge. Many phones support `MD5` only, and some of those do not log in at all with `both`.",
    ),
    _setting(
        "PublishNetworks",
        kinds.NETWORKS,
        "",
        "Networks of telephone systems that may publish the state of phones (PUBLISH), such as Asterisk's. Prefer TCP or TLS: the "
        "sender of a UDP datagram can be forged.",
        "nobody may publish",
    ),
    _setting(
        "PublishLoginsFile",
        kinds.PATH,
        "",
        "File with the logins of publishers. With it, every publisher must log in.",
        "no login is needed",
    ),
    _setting(
        "ListsFile",
        kinds.PATH,
        "",
        "File with lists of colleagues for phones that watch a list, a line each: `sales = ada, 1002, ben@contoso.example` is watched as "
        "`sip:sales@` and a domain. There is always `everyone`.",
        "only `everyone`",
    ),
    _setting(
        "LampFor",
        kinds.choice("busy", "calls"),
        "busy",
        "States that light a phone's lamp: `calls` only, or meetings and everything else that is busy too.",
    ),
    _setting("Notes", kinds.FLAG, "1", "Show the operators' note about a colleague on phones, after the state."),
    _setting(
        "Language",
        kinds.choice(*LANGUAGES),
        "en",
        "Language of the words that phones show beside the state.",
    ),
    _setting(
        "NotifiesPerSecond",
        kinds.whole(0, 10_000),
        "10",
        "Most notifications to one phone per second, because some phones lose more. The newest state always arrives. 0 is no limit.",
    ),
    _setting("Subscriptions", kinds.whole(1, 200_000), "20000", "Subscriptions at once; more are answered 503."),
    _setting(
        "SubscriptionsPerAddress",
        kinds.whole(1, 200_000),
        "500",
        "Subscriptions of one address outside of `ServerNetworks`; more are answered 503.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAddress:
    """An address on which the SIP server listens."""

    protocol: SipProtocolName
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol}:{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipPublishers:
    """The clients that may publish the state of phones.

    Attributes:
        networks: networks of the clients; empty for no clients.
        logins: name -> login; empty when no login is needed.
    """

    networks: tuple[Network, ...] = ()
    logins: Mapping[str, SipLogin] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipServerSettings:
    """The SIP server.

    Attributes:
        addresses: on which it listens.
        certificate: for TLS.
        client_ca_pem: the CA of phones' certificates; None when they need none.
        domains: whose users are colleagues; empty for every domain.
        networks: from which colleagues may be watched.
        servers: networks of telephone systems and proxies.
        logins: name -> login of phones; empty when no login is needed.
        algorithms: algorithms of the digest challenge, the preferred one first.
        lists: name -> names of colleagues.
        notes: True when phones show the operators' notes.
        per_s: most notifications to one phone per second; 0 for no limit.
    """

    enabled: bool = False
    addresses: tuple[SipAddress, ...] = ()
    certificate: ServerCertificate | None = None
    client_ca_pem: bytes | None = field(default=None, repr=False)
    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
    servers: tuple[Network, ...] = ()
    logins: Mapping[str, SipLogin] = field(default_factory=dict, repr=False)
    realm: str = "presence"
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    publishers: SipPublishers = SipPublishers()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lamp_for: LampKinds = "busy"
    notes: bool = True
    language: str = "en"
    per_s: int = 10
    subscriptions: int = 20_000
    subscriptions_per_address: int = 500


def read_sip_server(given: Given) -> SipServerSettings:
    """Return the settings."""

    def get(name: str) -> Any:
        return given.value(f"SipServer.{name}")

    settings = SipServerSettings(
        enabled=get("Enable"),
        addresses=tuple(_addresses(given)),
        certificate=certificate_in(given, "SipServer"),
        client_ca_pem=given.ca("SipServer.ClientCaFile"),
        domains=get("Domains") or (),
        networks=get("Networks"),
        servers=get("ServerNetworks") or (),
        logins=_logins(given, "LoginsFile"),
        realm=get("Realm"),
        algorithms=("SHA-256", "MD5") if get("Digest") == "both" else (get("Digest"),),
        publishers=SipPublishers(networks=get("PublishNetworks") or (), logins=_logins(given, "PublishLoginsFile")),
        lists=_lists(given),
        lamp_for=get("LampFor"),
        notes=get("Notes"),
        language=get("Language"),
        per_s=get("NotifiesPerSecond"),
        subscriptions=get("Subscriptions"),
        subscriptions_per_address=get("SubscriptionsPerAddress"),
    )
    if settings.enabled:
        _check(given, settings)
    return settings


def _addresses(given: Given) -> Iterator[SipAddress]:
    protocols: tuple[SipProtocolName, ...] = ("udp", "tcp", "tls")
    for protocol in protocols:
        port = given.value(f"SipServer.{protocol.capitalize()}Port")
        if port:
            yield SipAddress(protocol=protocol, host=given.value("SipServer.Host"), port=port)


def _check(given: Given, settings: SipServerSettings) -> None:
    """Refuse settings that cannot work, or that would admit every client."""
    if not has_libraries():
        given.refuse("SipServer.Enable", HOW_TO_INSTALL)
    if not settings.addresses:
        given.refuse(
            "SipServer.Enable", "The SIP server is on, but UdpPort and TcpPort are 0, and there is no TlsPort."
        )
    tls = given.value("SipServer.TlsPort")
    if tls and settings.certificate is None and not given.value("SipServer.CertificateFile"):
        given.refuse("SipServer.TlsPort", "SipServer.TlsPort needs SipServer.CertificateFile and PrivateKeyFile.")
    if tls and tls == given.value("SipServer.TcpPort"):
        given.refuse("SipServer.TlsPort", "SipServer.TlsPort must differ from SipServer.TcpPort.")
    for name, networks, logins in (
        ("Networks", settings.networks, settings.logins),
        ("ServerNetworks", settings.servers, {}),
        ("PublishNetworks", settings.publishers.networks, settings.publishers.logins),
    ):
        if any(network.prefixlen == 0 for network in networks) and not logins:
            needs = {
                "Networks": " without SipServer.LoginsFile",
                "PublishNetworks": " without SipServer.PublishLoginsFile",
            }
            given.refuse(
                f"SipServer.{name}",
                f"SipServer.{name} admits every client{needs.get(name, '')}. Name your own networks.",
            )


def _logins(given: Given, name: str) -> Mapping[str, SipLogin]:
    setting = f"SipServer.{name}"
    raw = given.private_file(setting, "logins file", _FILE_BYTES)
    realm, algorithms = given.value("SipServer.Realm"), given.value("SipServer.Digest")
    if raw is None:
        return {}
    try:
        found = read_logins(decode_or_empty(raw), realm)
        _check_hashes(found, {"SHA-256", "MD5"} if algorithms == "both" else {algorithms})
    except ValueError as error:
        given.refuse(setting, f"{setting} cannot be used. {error}")
        return {}
    return found


def _check_hashes(logins: Mapping[str, SipLogin], algorithms: set[str]) -> None:
    for login in logins.values():
        if login.hashes and algorithms - login.hashes.keys():
            lacking = " and ".join(sorted(algorithms - login.hashes.keys()))
            raise ValueError(f"A login has no hash for {lacking}. Set SipServer.Digest to the algorithm of the hashes.")


def _lists(given: Given) -> Mapping[str, tuple[str, ...]]:
    setting = "SipServer.ListsFile"
    named = given.value(setting)
    raw = given.file(setting, given.beside(named), "file of lists", _FILE_BYTES) if named else None
    try:
        return read_lists(decode_or_empty(raw)) if raw is not None else {}
    except ValueError as error:
        given.refuse(setting, f"{setting} cannot be used. {error}")
        return {}
