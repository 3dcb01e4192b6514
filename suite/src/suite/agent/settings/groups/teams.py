"""The Teams source: whether it is on, and the connection to the relay."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.settings import kinds
from suite.agent.settings.access import is_suite_key
from suite.agent.settings.given import decode_or_empty
from suite.agent.settings.setting import Setting
from suite.errors import ConfigError
from suite.proxy import parse_proxy

if TYPE_CHECKING:
    from suite.agent.settings.given import Given

_KEY_BYTES: Final = 4096

SETTINGS: Final = (
    Setting(
        section="MSTeamsPresence",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Read the presence of Microsoft Teams from the relay.",
    ),
    Setting(
        section="Relay",
        name="Address",
        kind=kinds.TEXT,
        default="",
        meaning="Address of the relay, `host:port`. The port is 443 when it is left out.",
        when_absent="Teams presence is not configured",
    ),
    Setting(
        section="Relay",
        name="KeyFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the suite key, `psk_…`. A file that others can read is refused. A name without a folder is looked for among "
        "the credentials that systemd gives to the service, and then beside this file.",
        when_absent="`Relay.Key` is used",
    ),
    Setting(
        section="Relay",
        name="Key",
        kind=kinds.TEXT,
        default="",
        meaning="The suite key itself. Prefer `KeyFile`, because other programs read this file too.",
        when_absent="no key",
        is_secret=True,
    ),
    Setting(
        section="Relay",
        name="CaFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the CA to trust, instead of the public ones.",
        when_absent="the public ones",
    ),
    Setting(
        section="Relay",
        name="ServerName",
        kind=kinds.TEXT,
        default="",
        meaning="The name in the relay's certificate, if it differs from the address.",
        when_absent="the address",
    ),
    Setting(
        section="Relay",
        name="Proxy",
        kind=kinds.TEXT,
        default="",
        meaning="HTTP proxy, `http://user:password@host:port`; `none` connects directly.",
        when_absent="HTTPS_PROXY and NO_PROXY",
        is_secret=True,
    ),
    Setting(
        section="Relay",
        name="Form",
        kind=kinds.choice("watch", "stream"),
        default="watch",
        meaning="Form of the stream: `stream` for a proxy that holds requests back until they end.",
    ),
    Setting(
        section="Agent",
        name="UnknownAfter",
        kind=kinds.SPAN,
        default="2m",
        meaning="Time without the relay after which Teams presence is unknown. The same holds for the servers of SIP and of Skype for Business, and "
        "their presence. Until then the last answers are shown as uncertain.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsSettings:
    """The Teams source: whether it is on, and the connection to the relay.

    Attributes:
        address: of the relay; empty when none is set.
        key: the suite key; empty when there is none.
        proxy: None uses the environment's proxy, empty connects directly.
    """

    enabled: bool = False
    address: str = ""
    key: str = field(default="", repr=False)
    ca_pem: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    form: Literal["watch", "stream"] = "watch"
    unknown_after: timedelta = timedelta(minutes=2)


def read_teams(given: Given) -> TeamsSettings:
    """Return the settings."""
    get = given.value
    enabled, address, proxy = get("MSTeamsPresence.Enable"), get("Relay.Address") or "", get("Relay.Proxy")
    _check_address(given, address)
    proxy = _checked_proxy(given, proxy)
    key = _key(given)
    if enabled and not address:
        given.warn("MSTeamsPresence.Enable", "Teams presence is on, but Relay.Address is not set.")
    if enabled and not key and not given.line("Relay.KeyFile"):
        given.warn("MSTeamsPresence.Enable", "Teams presence is on, but there is no Relay.KeyFile.")
    return TeamsSettings(
        enabled=enabled,
        address=address,
        key=key,
        ca_pem=given.ca("Relay.CaFile"),
        server_name=get("Relay.ServerName"),
        proxy=proxy,
        form=get("Relay.Form"),
        unknown_after=get("Agent.UnknownAfter"),
    )


def _check_address(given: Given, address: str) -> None:
    from suite.channel import split_address  # it brings gRPC, which `settings explain` need not wait for

    try:
        if address:
            split_address(address)
    except ConfigError as error:
        given.refuse("Relay.Address", str(error))


def _checked_proxy(given: Given, text: str | None) -> str | None:
    if text is None:
        return None
    if text.lower() == "none":
        return ""
    try:
        parse_proxy(text)
    except ConfigError as error:
        given.refuse("Relay.Proxy", str(error))
    return text


def _key(given: Given) -> str:
    """Return the suite key: that of `KeyFile`, or else that of `Key`."""
    if named := given.value("Relay.KeyFile"):
        return _key_of(given, named)
    key = given.value("Relay.Key") or ""
    if not key:
        return ""
    if not is_suite_key(key):
        given.refuse("Relay.Key", "Relay.Key is not a suite key: it must begin with psk_ and contain no white space.")
    elif given.is_open(given.path):
        given.warn(
            "Relay.Key",
            "The key is in a file that others can read. Put it into a file of its own: KeyFile.",
        )
    return str(key)


def _key_of(given: Given, named: str) -> str:
    raw = given.private_file("Relay.KeyFile", "key file", _KEY_BYTES)
    if raw is None:
        return ""
    key = decode_or_empty(raw).strip()
    if not is_suite_key(key):
        given.refuse("Relay.KeyFile", f"The key file {given.beside(named)} has no suite key: it must begin with psk_.")
    return key
