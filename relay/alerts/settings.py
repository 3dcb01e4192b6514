"""What the operator sets of telling administrators."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from relay.http.paths import TENANT
from relay.settings.validators import revealed

if TYPE_CHECKING:
    from relay.settings.groups.alerts import MailConfig, NoticeConfig
    from relay.settings.groups.web import WebConfig

MailTls = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """How e-mail is sent.

    Attributes:
        host: the mail server.
        port: its port.
        tls: `starttls` demands an upgrade before anything is said, `tls` begins with it, `none` is for a server beside us.
        user: whom to sign in as; empty: nobody.
        password: theirs.
        sender: the address that it comes from.
        ca_pem: certificates to trust instead of the system's.
        timeout: for each step of the conversation.
    """

    host: str
    port: int = 587
    tls: MailTls = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str
    ca_pem: str | None = None
    timeout: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingSettings:
    """How administrators are told.

    Attributes:
        mail: how e-mail is sent; None: it is not.
        operator: who runs the relay, as its e-mails say.
        operator_address: where they are told that a tenant waits for them; empty: nowhere.
        page: where a tenant's people renew their consent; empty when the pages' address is not known.
        private_addresses: whether a tenant's own address may be one that only we can reach.
        ca_pem: certificates to trust there instead of the system's.
        timeout: for one POST, from the look-up of its host to its answer.
        look_every: how often is looked for what is to be told, when nothing says so.
        first_pause: before the second try; each further one waits four times as long.
        longest_pause: but not longer than this.
        give_up_after: what could not be told for so long is told to the log alone.
        at_once: how many are told side by side; a slow receiver takes one of them.
    """

    mail: MailSettings | None = None
    operator: str = "Presence relay"
    operator_address: str = ""
    page: str = ""
    private_addresses: bool = False
    ca_pem: str | None = None
    timeout: timedelta = timedelta(seconds=15)
    look_every: timedelta = timedelta(seconds=30)
    first_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(days=1)
    at_once: int = 8


def telling_settings(mail: MailConfig, notice: NoticeConfig, web: WebConfig) -> TellingSettings:
    """Return the settings of alerts, from the operator's."""
    return TellingSettings(
        mail=_mail_settings(mail),
        operator=web.operator,
        operator_address=mail.operator or "",
        page=f"{web.public_url}{TENANT}" if web.public_url else "",
        private_addresses=notice.private_addresses,
        ca_pem=notice.ca,
    )


def _mail_settings(mail: MailConfig) -> MailSettings | None:
    """Return the settings of e-mail; None when none is sent."""
    if mail.host is None or mail.sender is None:
        return None
    return MailSettings(
        host=mail.host,
        port=mail.port,
        tls=mail.tls,
        user=mail.user,
        password=revealed(mail.password) or "",
        sender=mail.sender,
        ca_pem=mail.ca,
    )
