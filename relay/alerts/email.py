"""Sends e-mail by SMTP, with the standard library's client in threads: e-mails are rare, and nothing waits for them."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, Self

from relay.alerts.hook import NotDelivered
from relay.core.addresses import mail_address

if TYPE_CHECKING:
    from datetime import datetime

    from relay.alerts.settings import MailSettings

_THREADS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One e-mail, ready to be sent.

    Attributes:
        message_id: the notice's id, so that a mailbox recognises duplicates.
        to: one address.
        subject: one line.
        text: plain text.
        language: the text's language as a BCP 47 tag.
        at: when the event happened.
    """

    message_id: str
    to: str
    subject: str
    text: str
    language: str
    at: datetime


class MailSender:
    """Sends e-mails, as an async context manager."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mail")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, mail: Mail) -> None:
        """Send one e-mail to the server.

        Raises:
            NotDelivered: the server did not accept it.
        """
        to = mail_address(mail.to)
        if to is None:
            raise NotDelivered("The contact's e-mail address cannot be used", is_final=True)
        message = to_message(replace(mail, to=to), self._settings.sender)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._hand_over, message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(_words(error)) from None

    def _hand_over(self, message: EmailMessage) -> None:
        settings = self._settings
        timeout = settings.timeout.total_seconds()
        context = ssl.create_default_context(cadata=settings.ca_pem)
        if settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=timeout)
        with server:
            if settings.tls == "starttls":
                server.starttls(context=context)  # raises unless the server supports it: nothing is sent in clear text
            if settings.user:
                server.login(settings.user, settings.password)
            server.send_message(message)


def to_message(mail: Mail, sender: str) -> EmailMessage:
    """Return the message. No text can add a header: only plain addresses are accepted, and line breaks become spaces."""
    message = EmailMessage()
    message["From"] = Address(addr_spec=sender)
    message["To"] = Address(addr_spec=mail.to)
    message["Subject"] = one_line(mail.subject)
    message["Date"] = format_datetime(mail.at)
    message["Message-ID"] = f"<{mail.message_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses automatic replies
    message.set_content(mail.text)
    message["Content-Language"] = mail.language  # last, because setting the content removes such headers
    return message


def one_line(text: str) -> str:
    """Return a text on one line, with unprintable characters as spaces, cut to 200 characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server answered {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
        return f"The mail server refused the contact's address ({', '.join(map(str, codes))})"
    return f"The mail server cannot be reached ({type(error).__name__})"
