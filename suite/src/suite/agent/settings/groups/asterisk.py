"""The feed to Asterisk or FreePBX: the manager, the states that are fed, and their names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from suite.agent.settings import kinds
from suite.agent.settings.groups.sip_server import LANGUAGES
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from suite.agent.settings.given import Given
    from suite.agent.settings.groups.sip_server import LampKinds

_TEMPLATE: Final = re.compile(r"(?:[A-Za-z0-9_.@+*#:-]|\{extension\}|\{login\}|\{upn\})+")
_PORTS: Final = {False: 5038, True: 5039}

SETTINGS: Final = (
    Setting(
        section="Asterisk",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Show colleagues' presence on the phones of an Asterisk or a FreePBX, through its manager interface (AMI).",
    ),
    Setting(
        section="Asterisk",
        name="Address",
        kind=kinds.HOST_PORT,
        default="",
        meaning="Address of the manager, `host:port`. The port is 5038 when it is left out, and 5039 with TLS.",
        when_absent="nothing is fed",
    ),
    Setting(
        section="Asterisk",
        name="User",
        kind=kinds.TEXT,
        default="",
        meaning="User of manager.conf. It needs `write = call`, and no right to read.",
        when_absent="nothing is fed",
    ),
    Setting(
        section="Asterisk",
        name="SecretFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the secret of the user. It is found and refused as `KeyFile` is.",
        when_absent="`Asterisk.Secret` is used",
    ),
    Setting(
        section="Asterisk",
        name="Secret",
        kind=kinds.TEXT,
        default="",
        meaning="The secret itself. Prefer `SecretFile`, because other programs read this file too.",
        when_absent="no secret",
        is_secret=True,
    ),
    Setting(
        section="Asterisk",
        name="Tls",
        kind=kinds.FLAG,
        default="0",
        meaning="Use TLS. The manager's certificate is checked.",
    ),
    Setting(
        section="Asterisk",
        name="CaFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the CA of the manager's certificate, instead of the public ones.",
        when_absent="the public ones",
    ),
    Setting(
        section="Asterisk",
        name="Feed",
        kind=kinds.choice("both", "device", "presence"),
        default="both",
        meaning="The states that are fed: `device` lights lamps, `presence` has a text for phones that show one.",
    ),
    Setting(
        section="Asterisk",
        name="Device",
        kind=kinds.TEXT,
        default="Custom:teams-{extension}",
        meaning="Name of a colleague's device. `{extension}`, `{login}` and `{upn}` stand for the colleague's; a colleague without them is not fed.",
    ),
    Setting(
        section="Asterisk",
        name="Presence",
        kind=kinds.TEXT,
        default="CustomPresence:teams-{extension}",
        meaning="Name of a colleague's presence state, by the same rules.",
    ),
    Setting(
        section="Asterisk",
        name="LampFor",
        kind=kinds.choice("busy", "calls"),
        default="busy",
        meaning="States that light a lamp: calls only, or meetings and everything else that is busy too.",
    ),
    Setting(
        section="Asterisk",
        name="Language",
        kind=kinds.choice(*LANGUAGES),
        default="en",
        meaning="Language of the texts of presence states.",
    ),
    Setting(
        section="Asterisk",
        name="ChangesPerSecond",
        kind=kinds.whole(1, 1000),
        default="100",
        meaning="Most states that are sent to Asterisk per second. After a restart of either side all states are sent at this rate.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskSettings:
    """The feed to Asterisk.

    Attributes:
        host: of the manager; empty when none is set.
        user: of the manager; empty when none is set.
        secret: empty when there is none.
        device: template of a colleague's device; None when device states are not fed.
        presence: template of a colleague's presence state; None when those are not fed.
        lamp_for: the states that light a lamp.
        language: of the texts of presence states.
        per_s: most states that are sent per second.
    """

    enabled: bool = False
    host: str = ""
    port: int = 5038
    user: str = ""
    secret: str = field(default="", repr=False)
    tls: bool = False
    ca_pem: bytes | None = field(default=None, repr=False)
    device: str | None = "Custom:teams-{extension}"
    presence: str | None = "CustomPresence:teams-{extension}"
    lamp_for: LampKinds = "busy"
    language: str = "en"
    per_s: int = 100


def read_asterisk(given: Given) -> AsteriskSettings:
    """Return the settings."""
    get = given.value
    enabled, tls, fed = get("Asterisk.Enable"), get("Asterisk.Tls"), get("Asterisk.Feed")
    host, port = get("Asterisk.Address") or ("", None)
    secret = given.secret("Asterisk.Secret", "secret")
    device = _template(given, "Asterisk.Device", "Custom:")
    presence = _template(given, "Asterisk.Presence", "CustomPresence:")
    for setting, value in (("Asterisk.Address", host), ("Asterisk.User", get("Asterisk.User"))):
        if enabled and not value and not given.is_refused(setting):
            given.warn("Asterisk.Enable", f"The feed to Asterisk is on, but {setting} is not set.")
    if enabled and not secret and not given.line("Asterisk.SecretFile"):
        given.warn("Asterisk.Enable", "The feed to Asterisk is on, but Asterisk.SecretFile is not set.")
    return AsteriskSettings(
        enabled=enabled,
        host=host,
        port=port or _PORTS[tls],
        user=get("Asterisk.User") or "",
        secret=secret,
        tls=tls,
        ca_pem=given.ca("Asterisk.CaFile"),
        device=device if fed != "presence" else None,
        presence=presence if fed != "device" else None,
        lamp_for=get("Asterisk.LampFor"),
        language=get("Asterisk.Language"),
        per_s=get("Asterisk.ChangesPerSecond"),
    )


def _template(given: Given, setting: str, prefix: str) -> str:
    text = str(given.value(setting))
    if not text.startswith(prefix) or not _TEMPLATE.fullmatch(text):
        given.refuse(
            setting,
            f"{setting} must begin with {prefix} and have letters, digits, . _ - + * # @, {{extension}}, {{login}} and {{upn}}.",
        )
    elif "{" not in text:
        given.refuse(
            setting,
            f"{setting} needs {{extension}}, {{login}} or {{upn}}. Otherwise all colleagues would have one name.",
        )
    return text
