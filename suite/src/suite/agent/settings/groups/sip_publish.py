"""The feed to a presence server: the server, the login, and the users and events that are published."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from suite.agent.settings import kinds
from suite.agent.settings.groups.sip_server import LANGUAGES
from suite.agent.settings.libraries import HOW_TO_INSTALL, has_libraries
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from suite.agent.settings.given import Given
    from suite.agent.settings.groups.sip_server import LampKinds

_USER: Final = re.compile(r"\{sip\}|(?:[A-Za-z0-9_.+-]|\{extension\}|\{login\})+@[A-Za-z0-9.-]+|\{upn\}")
_EVENTS: Final[dict[str, tuple[Literal["presence", "dialog"], ...]]] = {
    "presence": ("presence",),
    "dialog": ("dialog",),
    "both": ("presence", "dialog"),
}
LEAST_EXPIRES: Final = timedelta(minutes=1)

SETTINGS: Final = (
    Setting(
        section="SipPublish",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Publish colleagues' presence to a presence server such as Kamailio, whose watchers then see it.",
    ),
    Setting(
        section="SipPublish",
        name="Address",
        kind=kinds.HOST_PORT,
        default="",
        meaning="Address of the presence server, `host:port`. A name without a port may have SRV records; without those the port is 5060, and 5061 with TLS.",
        when_absent="nothing is published",
    ),
    Setting(
        section="SipPublish",
        name="Protocol",
        kind=kinds.choice("udp", "tcp", "tls"),
        default="udp",
        meaning="Protocol. With `tls` the server's certificate is checked.",
    ),
    Setting(
        section="SipPublish",
        name="CaFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the CA of the server's certificate, instead of the public ones.",
        when_absent="the public ones",
    ),
    Setting(
        section="SipPublish",
        name="User",
        kind=kinds.TEXT,
        default="",
        meaning="User name with which the agent answers the server's digest challenge.",
        when_absent="the server must trust the agent's address",
    ),
    Setting(
        section="SipPublish",
        name="PasswordFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the password of the user. It is found and refused as `KeyFile` is.",
        when_absent="`SipPublish.Password` is used",
    ),
    Setting(
        section="SipPublish",
        name="Password",
        kind=kinds.TEXT,
        default="",
        meaning="The password itself. Prefer `PasswordFile`, because other programs read this file too.",
        when_absent="no password",
        is_secret=True,
    ),
    Setting(
        section="SipPublish",
        name="Whose",
        kind=kinds.TEXT,
        default="{sip}",
        meaning="SIP address whose presence is published. `{sip}` is the colleague's own; others are `{extension}@pbx.example`, `{login}@pbx.example` and "
        "`{upn}`. A colleague without them is not published.",
    ),
    Setting(
        section="SipPublish",
        name="Events",
        kind=kinds.choice("presence", "dialog", "both"),
        default="presence",
        meaning="Events that are published: `presence` as a presence document, `dialog` as the state of a lamp.",
    ),
    Setting(
        section="SipPublish",
        name="Expires",
        kind=kinds.SPAN,
        default="10m",
        meaning="Time for which the server keeps a state that is not refreshed, such as after a crash of the agent's machine.",
    ),
    Setting(
        section="SipPublish",
        name="LampFor",
        kind=kinds.choice("busy", "calls"),
        default="busy",
        meaning="States that light a lamp, for the event `dialog`: calls only, or meetings and everything else that is busy too.",
    ),
    Setting(
        section="SipPublish",
        name="Language",
        kind=kinds.choice(*LANGUAGES),
        default="en",
        meaning="Language of the words in presence documents.",
    ),
    Setting(
        section="SipPublish",
        name="RequestsPerSecond",
        kind=kinds.whole(1, 1000),
        default="50",
        meaning="Most requests to the server per second. After a restart of either side all states are published at this rate.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipPublishSettings:
    """The feed to a presence server.

    Attributes:
        host: of the server; empty when none is set.
        port: None if it follows from SRV records or the protocol.
        user: empty when the agent has no login.
        user_template: SIP address whose presence is published.
        events: that are published.
        expires: time for which the server keeps a state.
        lamp_for: the states that light a lamp.
        language: of the words in presence documents.
        per_s: most requests per second.
    """

    enabled: bool = False
    host: str = ""
    port: int | None = None
    protocol: Literal["udp", "tcp", "tls"] = "udp"
    ca_pem: bytes | None = field(default=None, repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    user_template: str = "{sip}"
    events: tuple[Literal["presence", "dialog"], ...] = ("presence",)
    expires: timedelta = timedelta(minutes=10)
    lamp_for: LampKinds = "busy"
    language: str = "en"
    per_s: int = 50


def read_sip_publish(given: Given) -> SipPublishSettings:
    """Return the settings."""
    get = given.value
    enabled, user = get("SipPublish.Enable"), get("SipPublish.User") or ""
    host, port = get("SipPublish.Address") or ("", None)
    whose, expires = str(get("SipPublish.Whose")), get("SipPublish.Expires")
    if enabled and not has_libraries():
        given.refuse("SipPublish.Enable", HOW_TO_INSTALL)
    if enabled and not host and not given.is_refused("SipPublish.Address"):
        given.warn("SipPublish.Enable", "The feed to a presence server is on, but SipPublish.Address is not set.")
    if not _USER.fullmatch(whose):
        given.refuse(
            "SipPublish.Whose", "SipPublish.Whose must be {sip}, {upn}, {extension}@pbx.example or {login}@pbx.example."
        )
    elif "{" not in whose:
        given.refuse(
            "SipPublish.Whose",
            "SipPublish.Whose needs {sip}, {extension}, {login} or {upn}. Otherwise all colleagues would have one address.",
        )
    if expires < LEAST_EXPIRES:
        given.refuse(
            "SipPublish.Expires", "SipPublish.Expires must be 1m at least: each state is refreshed in that time."
        )
    password = given.secret("SipPublish.Password", "password")
    if enabled and user and not password and not given.line("SipPublish.PasswordFile"):
        given.warn("SipPublish.User", "There is a user, but no SipPublish.PasswordFile.")
    return SipPublishSettings(
        enabled=enabled,
        host=host,
        port=port,
        protocol=get("SipPublish.Protocol"),
        ca_pem=given.ca("SipPublish.CaFile"),
        user=user,
        password=password,
        user_template=whose,
        events=_EVENTS[get("SipPublish.Events")],
        expires=expires,
        lamp_for=get("SipPublish.LampFor"),
        language=get("SipPublish.Language"),
        per_s=get("SipPublish.RequestsPerSecond"),
    )
