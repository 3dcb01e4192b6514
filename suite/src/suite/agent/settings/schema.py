"""Every setting of the agent: its section, name, kind, default and meaning. The reference page and `settings explain` follow from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from suite.agent.core.values import SourceName
from suite.agent.settings import kinds

if TYPE_CHECKING:
    from suite.agent.settings.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        default: as it would be written; empty means that there is none, and `when_absent` says what then holds.
        is_secret: True when its value is never shown.
        anywhere: True when it counts in every section and before the first one, because files in the field have it so.
    """

    section: str
    name: str
    kind: Kind
    default: str
    meaning: str
    when_absent: str = ""
    is_secret: bool = False
    anywhere: bool = False

    @property
    def id(self) -> str:
        """Return section and name with a dot, as messages and files name it."""
        return f"{self.section}.{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Return section and name as they are compared."""
        return self.section.lower(), self.name.lower()

    def value_of(self, text: str) -> Any:
        """Return the value of a text. An empty text of a setting without a default is None.

        Raises:
            ValueError: it is no such value; the message says what it must be.
        """
        if not text and self.default:
            raise ValueError("It is empty. Leave the line out for the default.")
        return self.kind.read(text) if text else None


SETTINGS: Final = (
    Setting(
        section="MSTeamsPresence",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Read the presence of Microsoft Teams from the relay.",
    ),
    Setting(
        section="RichPresence",
        name="WinningTechnology",
        kind=kinds.choice(*(source.value for source in (SourceName.SIP, SourceName.TEAMS, SourceName.LOCAL))),
        default=SourceName.SIP.value,
        meaning="The source that counts when several know a colleague's rich presence. One that knows nothing hides no other.",
        anywhere=True,
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
        when_absent="`Relay.Key` counts",
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
        name="UsersFile",
        kind=kinds.PATH,
        default="",
        meaning="CSV file of the colleagues. It is read again when it changes.",
        when_absent="colleagues are only those whom consoles ask for",
    ),
    Setting(
        section="Agent",
        name="Host",
        kind=kinds.ADDRESS,
        default="127.0.0.1",
        meaning="Address on which consoles reach the local API. One that other machines can reach needs the three files below.",
    ),
    Setting(section="Agent", name="Port", kind=kinds.whole(1, 65535), default="8790", meaning="Port of the local API."),
    Setting(
        section="Agent",
        name="GrpcPort",
        kind=kinds.whole(1, 65535),
        default="",
        meaning="Port on which programs that were written for the relay reach the agent. They send the token as their suite key.",
        when_absent="the agent does not serve the relay's own API",
    ),
    Setting(
        section="Agent",
        name="TokenFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the token that consoles must send. It is found and refused as `KeyFile` is. `settings new-token` makes one.",
        when_absent="every program of this machine may use the local API",
    ),
    Setting(
        section="Agent",
        name="CertificateFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the certificate of the local API, and those between it and its CA. It is read again when it changes.",
        when_absent="the local API is served without TLS",
    ),
    Setting(
        section="Agent",
        name="PrivateKeyFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the private key of the certificate, without a password. It is found and refused as `KeyFile` is.",
        when_absent="the local API is served without TLS",
    ),
    Setting(
        section="Agent",
        name="Origins",
        kind=kinds.ORIGINS,
        default="",
        meaning="Web pages that may use the local API from a browser, beside pages of the agent's own address.",
        when_absent="no others",
    ),
    Setting(
        section="Agent",
        name="Consoles",
        kind=kinds.whole(1, 10_000),
        default="1000",
        meaning="Event streams that may be open at once; more are answered 503.",
    ),
    Setting(
        section="Agent",
        name="Store",
        kind=kinds.PATH,
        default="presence-agent.db",
        meaning="File in which the last answers are kept, so that a restart shows at once what was known.",
    ),
    Setting(
        section="Agent",
        name="LogFile",
        kind=kinds.PATH,
        default="",
        meaning="File of the log. Only the agent's account can read it.",
        when_absent="standard error",
    ),
    Setting(
        section="Agent",
        name="LogMegabytes",
        kind=kinds.whole(1, 1000),
        default="10",
        meaning="Size at which the log file is set aside as `.1`, and a new one begins.",
    ),
    Setting(
        section="Agent",
        name="LogFiles",
        kind=kinds.whole(1, 100),
        default="5",
        meaning="Log files that were set aside and are kept; the oldest one goes.",
    ),
    Setting(
        section="Agent",
        name="UnknownAfter",
        kind=kinds.SPAN,
        default="2m",
        meaning="Without the relay for so long, Teams presence is unknown. Until then the last answers are shown as uncertain.",
    ),
    Setting(
        section="Notes",
        name="Hub",
        kind=kinds.AGENT_URL,
        default="",
        meaning="The agent through which several agents of one customer share their notes. On that agent itself it is left out.",
        when_absent="this agent follows no other",
    ),
    Setting(
        section="Notes",
        name="HubTokenFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the token of the hub, its `Agent.TokenFile`. It is found and refused as `KeyFile` is.",
        when_absent="no token",
    ),
    Setting(
        section="Notes",
        name="HubCaFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the CA of the hub's certificate, instead of the public ones.",
        when_absent="the public ones",
    ),
)

SECTIONS: Final = tuple(dict.fromkeys(setting.section for setting in SETTINGS))
OWN_SECTIONS: Final = frozenset(section.lower() for section in SECTIONS) - {"msteamspresence", "richpresence"}
"""Sections in which an unknown name is told. In those of the vendor's suite it is the vendor's."""
BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
