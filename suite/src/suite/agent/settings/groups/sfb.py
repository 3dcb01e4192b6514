"""The Skype for Business source: whether it is on, the server, and the user who reads presence there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from suite.agent.settings import kinds
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from suite.agent.settings.given import Given

_PASSWORD_BYTES: Final = 1_024
_URI: Final = re.compile(r"(?i:sips?:)?([^\s@:;<>\"]+@([^\s@;:<>\"/]+))")
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_ADDRESS: Final = re.compile(rf"(?:https://)?({_HOST})(?::(\d{{1,5}}))?(/[\x21-\x7e]*)?")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")

SETTINGS: Final = (
    Setting(
        section="SfB",
        name="Enable",
        kind=kinds.FLAG,
        default="0",
        meaning="Read presence from Skype for Business Server Subscription Edition, by UCWA 2.0. It is written from Microsoft's documentation, "
        "and was never seen against a real server.",
    ),
    Setting(
        section="SfB",
        name="Address",
        kind=kinds.TEXT,
        default="",
        meaning="Autodiscover server: a host, `host:port` or an address that begins with `https://`.",
        when_absent="`lyncdiscoverinternal.` and then `lyncdiscover.` before `SfB.Domain`",
    ),
    Setting(
        section="SfB",
        name="Domain",
        kind=kinds.TEXT,
        default="",
        meaning="The SIP domain, such as contoso.example. The server is looked for there when `Address` is not set.",
        when_absent="the domain of `SfB.Uri`",
    ),
    Setting(
        section="SfB",
        name="CaFile",
        kind=kinds.PATH,
        default="",
        meaning="PEM file with the CA of the server's certificate, instead of the public ones.",
        when_absent="the public ones",
    ),
    Setting(
        section="SfB",
        name="Uri",
        kind=kinds.TEXT,
        default="",
        meaning="SIP address of the user who reads presence, such as agent@contoso.example. The page warns if the server signed in another user.",
        when_absent="the user of `UserName`",
    ),
    Setting(
        section="SfB",
        name="UserName",
        kind=kinds.TEXT,
        default="",
        meaning=r"Name with which the user signs in: `user@domain` or `DOMAIN\user`.",
        when_absent="`SfB.Uri`",
    ),
    Setting(
        section="SfB",
        name="PasswordFile",
        kind=kinds.PATH,
        default="",
        meaning="File with the user's password. It is found and refused as `KeyFile` is.",
        when_absent="`SfB.Password` is used",
    ),
    Setting(
        section="SfB",
        name="Password",
        kind=kinds.TEXT,
        default="",
        meaning="The password itself. Prefer `PasswordFile`, because other programs read this file too.",
        when_absent="no password",
        is_secret=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SfbSettings:
    """The Skype for Business source: whether it is on, the server, and the user who reads presence there.

    Attributes:
        address: of autodiscover, as it was set; empty when it follows from the domain.
        domain: the SIP domain; empty when it is not known.
        uri: the user's SIP address without `sip:`; empty when it is not checked.
        user_name: the name to sign in with; empty when there is none.
        password: empty when there is none.
        unknown_after: time without the server after which its presence is unknown.
    """

    enabled: bool = False
    address: str = ""
    domain: str = ""
    ca_pem: bytes | None = field(default=None, repr=False)
    uri: str = ""
    user_name: str = ""
    password: str = field(default="", repr=False)
    unknown_after: timedelta = timedelta(minutes=2)


def read_sfb(given: Given) -> SfbSettings:
    """Return the settings."""
    get = given.value
    uri, of_uri = _uri(given)
    settings = SfbSettings(
        enabled=get("SfB.Enable"),
        address=_address(given),
        domain=_domain(given) or of_uri,
        ca_pem=given.ca("SfB.CaFile"),
        uri=uri,
        user_name=get("SfB.UserName") or uri,
        password=given.secret("SfB.Password", "password"),
        unknown_after=get("Agent.UnknownAfter"),
    )
    if settings.enabled and not (settings.address or settings.domain):
        given.warn("SfB.Enable", "Skype for Business is on, but none of SfB.Address, SfB.Domain and SfB.Uri is set.")
    if settings.enabled and not settings.user_name:
        given.warn("SfB.Enable", "Skype for Business is on, but neither SfB.UserName nor SfB.Uri is set.")
    if settings.enabled and not settings.password and not given.line("SfB.PasswordFile"):
        given.warn("SfB.Enable", "Skype for Business is on, but there is no SfB.PasswordFile.")
    return settings


def _address(given: Given) -> str:
    text = (given.value("SfB.Address") or "").strip()
    found = _ADDRESS.fullmatch(text)
    if text and (found is None or not 0 < int(found[2] or 443) < 65_536 or "@" in urlsplit(text).netloc):
        given.refuse(
            "SfB.Address", "SfB.Address must be a host such as lync.contoso.example, with :port or https:// if needed."
        )
        return ""
    return text


def _domain(given: Given) -> str:
    text = given.value("SfB.Domain") or ""
    if text and not _DOMAIN.fullmatch(text):
        given.refuse("SfB.Domain", "SfB.Domain must be a domain such as contoso.example.")
        return ""
    return str(text)


def _uri(given: Given) -> tuple[str, str]:
    """Return the user's SIP address, and the domain in it."""
    text = given.value("SfB.Uri") or ""
    found = _URI.fullmatch(text)
    if text and (found is None or not _DOMAIN.fullmatch(found[2])):
        given.refuse("SfB.Uri", "SfB.Uri must be a SIP address such as agent@contoso.example.")
        return "", ""
    return (found[1], found[2]) if found is not None else ("", "")
