"""The local API: its address, its access, and its certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from suite.agent.settings import kinds
from suite.agent.settings.access import is_suite_key
from suite.agent.settings.certificate_files import certificate_in
from suite.agent.settings.kinds import is_loopback
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from suite.agent.certificate import ServerCertificate
    from suite.agent.settings.given import Given

SETTINGS: Final = (
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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The local API: its address, its access, and the most event streams at once.

    Attributes:
        grpc_port: of the relay's own API; None when it is not served.
        token: token that every request must have; empty when none is needed.
        certificate: None serves plain HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 8790
    grpc_port: int | None = None
    token: str = field(default="", repr=False)
    certificate: ServerCertificate | None = None
    origins: tuple[str, ...] = ()
    consoles: int = 1000


def read_api(given: Given) -> ApiSettings:
    """Return the settings."""
    get = given.value
    api = ApiSettings(
        host=get("Agent.Host"),
        port=get("Agent.Port"),
        grpc_port=get("Agent.GrpcPort"),
        token=given.token("Agent.TokenFile"),
        certificate=certificate_in(given, "Agent"),
        origins=get("Agent.Origins") or (),
        consoles=get("Agent.Consoles"),
    )
    missing = [name for name in ("TokenFile", "CertificateFile", "PrivateKeyFile") if not get(f"Agent.{name}")]
    if not is_loopback(api.host) and missing:
        needed = ", ".join(f"Agent.{name}" for name in missing)
        given.refuse("Agent.Host", f"Other machines can reach Agent.Host {api.host}. That also needs {needed}.")
    if api.grpc_port == api.port:
        given.refuse("Agent.GrpcPort", "Agent.GrpcPort must differ from Agent.Port.")
    if api.grpc_port and api.token and not is_suite_key(api.token):
        given.warn(
            "Agent.TokenFile",
            "Programs that were written for the relay accept only a token that begins with psk_.",
        )
    return api
