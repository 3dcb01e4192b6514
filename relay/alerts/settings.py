"""Settings of e-mail and signed notices."""

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
    """The mail server and how to use it.

    Attributes:
        host: the mail server.
        port: its port.
        tls: `starttls` requires an upgrade before anything is sent, `tls` begins with TLS, `none` is for a server on this machine.
        user: the account to sign in with; empty: none.
        password: the account's password.
        sender: the address that e-mails come from.
        ca_pem: certificates to trust instead of the system's.
        timeout: time limit of each step of the SMTP dialogue.
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
class AlertSettings:
    """The alerts to administrators: channels, addresses, retries.

    Attributes:
        mail: the mail server; None: no e-mail is sent.
        operator: the operator's name, the signature of e-mails.
        operator_address: the operator's address; empty: none.
        page: the page to renew a consent; empty when the pages' address is not set.
        private_addresses: True if tenants may name addresses that are not on the public internet.
        ca_pem: certificates to trust for receivers instead of the system's.
        timeout: time limit of one POST, from the lookup of its host to its answer.
        read_every: interval of reading notices when nothing wakes the sender.
        first_pause: before the second attempt; each further pause is four times as long.
        longest_pause: upper bound of the pause.
        give_up_after: older notices are only logged.
        at_once: notices sent in parallel; a slow receiver takes at most one of these places.
    """

    mail: MailSettings | None = None
    operator: str = "Presence relay"
    operator_address: str = ""
    page: str = ""
    private_addresses: bool = False
    ca_pem: str | None = None
    timeout: timedelta = timedelta(seconds=15)
    read_every: timedelta = timedelta(seconds=30)
    first_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(hours=1)
    give_up_after: timedelta = timedelta(days=1)
    at_once: int = 8


def alert_settings(mail: MailConfig, notice: NoticeConfig, web: WebConfig) -> AlertSettings:
    """Return the settings of alerts, from the operator's."""
    return AlertSettings(
        mail=_mail_settings(mail),
        operator=web.operator,
        operator_address=mail.operator or "",
        page=f"{web.public_url}{TENANT}" if web.public_url else "",
        private_addresses=notice.private_addresses,
        ca_pem=notice.ca,
    )


def _mail_settings(mail: MailConfig) -> MailSettings | None:
    """Return the settings of e-mail; None when no e-mail is sent."""
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
