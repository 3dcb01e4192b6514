"""The SIP source: whether it is on, its servers, its account, and its subscriptions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.settings import kinds
from suite.agent.settings.kinds import Kind, Network
from suite.agent.settings.libraries import HOW_TO_INSTALL, has_libraries
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from suite.agent.settings.given import Given

MOST_SERVERS: Final = 8
_URI: Final = re.compile(r"(sips?:)?[^\s@<>\";?]+@(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+)(:[0-9]{1,5})?", re.IGNORECASE)
_DOMAIN: Final = re.compile(r"\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._-]+")


def _servers(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for each in found:
        kinds.read_host_port(each)
    if not 1 <= len(found) <= MOST_SERVERS:
        raise ValueError(f"It must name 1 to {MOST_SERVERS} servers.")
    return found


def _uri(text: str) -> str:
    if not _URI.fullmatch(text) or len(text) > 512:
        raise ValueError("It must be a SIP URI such as sip:suite@pbx.example.")
    return text if text.lower().startswith(("sip:", "sips:")) else f"sip:{text}"


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text) or len(text) > 255:
        raise ValueError("It must be a domain or an IP address, such as pbx.example.")
    return text


SETTINGS: Final = (
    Setting(
        section="SipSimple",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Read presence and the states of phones by SIP.",
    ),
    Setting(
        section="SipSimple",
        name="Address",
        kind=Kind("host or host:port, several separated by commas", _servers),
        default="",
        meaning="Presence server or telephone system. Of several, the first is preferred; the next one is used while it cannot be reached. "
        "A name without a port is looked up in SRV records. Without those the port is 5060, and 5061 for TLS.",
        when_absent="SIP is not configured",
    ),
    Setting(
        section="SipSimple",
        name="Protocol",
        kind=kinds.choice("udp", "tcp", "tls"),
        default="udp",
        meaning="Transport to the server. With `tcp` and `tls` a lost connection is noticed at once.",
    ),
    Setting(
        section="SipSimple",
        name="Uri",
        kind=Kind("sip:user@domain", _uri),
        default="",
        meaning="SIP address of the agent itself: the subscriber that the server sees.",
        when_absent="`AuthId` at `Domain`",
    ),
    Setting(
        section="SipSimple",
        name="AuthId",
        kind=kinds.TEXT,
        default="",
        meaning="User name of the account at the server.",
        when_absent="the user of `Uri`",
    ),
    Setting(
        section="SipSimple",
        name="PasswordFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the password of the account. It is found and refused as `KeyFile` is.",
        when_absent="`SipSimple.Password` is used",
    ),
    Setting(
        section="SipSimple",
        name="Password",
        kind=kinds.TEXT,
        default="",
        meaning="The password itself. Prefer `PasswordFile`, because other programs read this file too.",
        when_absent="no password: the server must trust the agent's address",
        is_secret=True,
    ),
    Setting(
        section="SipSimple",
        name="Domain",
        kind=Kind("domain or IP address", _domain),
        default="",
        meaning="Domain of the extensions, as the telephone system has them.",
        when_absent="the domain of `Uri`, or else the host of the first server",
    ),
    Setting(
        section="SipSimple",
        name="CaFile",
        kind=kinds.PATH,
        default="",
        meaning="For TLS: PEM file with the CA to trust, instead of the public ones.",
        when_absent="the public ones",
    ),
    Setting(
        section="SipSimple",
        name="ServerName",
        kind=kinds.TEXT,
        default="",
        meaning="For TLS: the name in the server's certificate, if it differs from the address.",
        when_absent="the address",
    ),
    Setting(
        section="SipSimple",
        name="PresenceServer",
        kind=kinds.FLAG,
        default="1",
        meaning="1: there is a presence server. The agent subscribes to colleagues' SIP URIs, for rich presence and phones. 0: there is only a "
        "telephone system. The agent subscribes to colleagues' first extensions at `Domain`, for phones.",
    ),
    Setting(
        section="SipSimple",
        name="PhoneEvent",
        kind=kinds.choice("presence", "dialog"),
        default="",
        meaning="Event package for the state of the phone: `dialog`, as for the lamps of phones, or `presence`, from presence documents. "
        "With a presence server, `dialog` adds a second subscription for each colleague.",
        when_absent="`presence` with a presence server, `dialog` without",
    ),
    Setting(
        section="SipSimple",
        name="ListUri",
        kind=Kind("sip:list@domain", _uri),
        default="",
        meaning="A resource list that the server's administrator made: one subscription for all its members. Other colleagues have one each.",
        when_absent="one subscription for each colleague",
    ),
    Setting(
        section="SipSimple",
        name="SubscriptionsPerSecond",
        kind=kinds.whole(1, 1000),
        default="50",
        meaning="Most subscriptions that are begun or refreshed per second, so that a server that restarts is not flooded.",
    ),
    Setting(
        section="SipSimple",
        name="Expires",
        kind=kinds.SPAN,
        default="1h",
        meaning="Requested lifetime of a subscription. It is refreshed before it ends; the server may shorten it.",
    ),
    Setting(
        section="SipSimple",
        name="NotifyFrom",
        kind=kinds.NETWORKS,
        default="",
        meaning="Addresses from which the server's notifications may come, beside those of `Address`.",
        when_absent="only those of `Address`",
    ),
    Setting(
        section="SipSimple",
        name="LocalAddress",
        kind=kinds.ADDRESS,
        default="",
        meaning="For UDP: the agent's own address, on a machine with several.",
        when_absent="the system's choice",
    ),
    Setting(
        section="SipSimple",
        name="LocalPort",
        kind=kinds.whole(1, 65535),
        default="",
        meaning="For UDP: the agent's own port, for a firewall between the two.",
        when_absent="the system's choice",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSimpleSettings:
    """The SIP source: whether it is on, its servers, its account, and its subscriptions.

    Attributes:
        servers: `host`, `host:port` or `[IPv6]:port`, the preferred one first; empty when none is set.
        uri: of the agent itself; empty when it is not known.
        user: of the account; empty when none is set.
        domain: of extensions.
        is_by_uri: True to subscribe to SIP URIs at a presence server, False to extensions at a telephone system.
        phone_event: the event package for the states of phones.
        list_uri: empty for no list.
        ignores_agents: True when this agent publishes presence itself, and must not read it back.
    """

    enabled: bool = False
    servers: tuple[str, ...] = ()
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    uri: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    domain: str = ""
    ca_pem: bytes | None = field(default=None, repr=False)
    server_name: str = ""
    is_by_uri: bool = True
    phone_event: Literal["presence", "dialog"] = "presence"
    list_uri: str = ""
    per_s: int = 50
    expires: timedelta = timedelta(hours=1)
    notify_from: tuple[Network, ...] = ()
    local_address: str = ""
    local_port: int = 0
    unknown_after: timedelta = timedelta(minutes=2)
    ignores_agents: bool = False


def read_sip_simple(given: Given) -> SipSimpleSettings:
    """Return the settings."""
    get = given.value
    enabled, servers, is_by_uri = (
        get("SipSimple.Enable"),
        get("SipSimple.Address") or (),
        get("SipSimple.PresenceServer"),
    )
    uri, user = get("SipSimple.Uri") or "", get("SipSimple.AuthId") or ""
    domain = get("SipSimple.Domain") or _domain_of(uri, servers)
    if not uri and user and domain:
        uri = f"sip:{user}@{domain}"
    password = given.secret("SipSimple.Password", "password")
    if enabled and not has_libraries():
        given.warn("SipSimple.Enable", HOW_TO_INSTALL)
    if enabled and not servers and not given.is_refused("SipSimple.Address"):
        given.warn("SipSimple.Enable", "SIP is on, but SipSimple.Address is not set.")
    elif enabled and servers and not uri and not given.is_refused("SipSimple.Uri"):
        given.warn("SipSimple.Enable", "SIP is on, but neither SipSimple.Uri nor SipSimple.AuthId is set.")
    return SipSimpleSettings(
        enabled=enabled,
        servers=servers,
        protocol=get("SipSimple.Protocol"),
        uri=uri,
        user=user or uri.partition(":")[2].partition("@")[0],
        password=password,
        domain=domain,
        ca_pem=given.ca("SipSimple.CaFile"),
        server_name=get("SipSimple.ServerName") or "",
        is_by_uri=is_by_uri,
        phone_event=get("SipSimple.PhoneEvent") or ("presence" if is_by_uri else "dialog"),
        list_uri=get("SipSimple.ListUri") or "",
        per_s=get("SipSimple.SubscriptionsPerSecond"),
        expires=get("SipSimple.Expires"),
        notify_from=get("SipSimple.NotifyFrom") or (),
        local_address=get("SipSimple.LocalAddress") or "",
        local_port=get("SipSimple.LocalPort") or 0,
        unknown_after=get("Agent.UnknownAfter"),
    )


def _domain_of(uri: str, servers: tuple[str, ...]) -> str:
    """Return the domain of extensions where none is set."""
    host = _URI.fullmatch(uri)
    if host is not None:
        return str(host[2])
    server = kinds.read_host_port(servers[0])[0] if servers else ""
    return f"[{server}]" if ":" in server else server
