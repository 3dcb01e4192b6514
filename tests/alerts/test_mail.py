"""E-mail, to a real SMTP server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from relay.alerts.email import Mail, MailSender, to_message
from relay.alerts.hook import NotDelivered
from tests.alerts.receivers import mail_server

MAIL = Mail(
    message_id="msg_1", to="ada@contoso.example", subject="Presence of Contosö has stopped", text="Ciao — perché no?\n",
    language="it", at=datetime(2026, 11, 26, 9, 0, tzinfo=UTC),
)  # fmt: skip


async def test_an_e_mail_arrives_as_it_was_written():
    async with mail_server() as mailbox, MailSender(mailbox.settings()) as sender:
        await sender.send(MAIL)
    [message] = mailbox.taken
    assert message["To"] == "ada@contoso.example"
    assert message["From"] == "relay@relay.example"
    assert message["Subject"] == MAIL.subject
    assert message["Message-ID"] == "<msg_1@relay.example>"
    assert message["Content-Language"] == "it"
    assert message.get_content().splitlines() == MAIL.text.splitlines()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "wrong"}, "answered 535"),
        ({"user": "", "password": ""}, "530"),
        ({"ca_pem": None}, "SSLCertVerificationError"),
        ({"tls": "tls"}, "SSLError"),
        ({"tls": "none", "user": "", "password": ""}, "530"),
        ({"port": 1}, "ConnectionRefusedError"),
        ({"host": "no-such-host.invalid"}, "gaierror"),
    ],
)
async def test_a_server_that_does_not_take_it_is_told_without_a_secret(changes, said):
    async with mail_server() as mailbox, MailSender(mailbox.settings(**changes)) as sender:
        with pytest.raises(NotDelivered, match=said) as caught:
            await sender.send(MAIL)
    assert not caught.value.is_final
    assert "hunter2" not in str(caught.value)
    assert not mailbox.taken


@pytest.mark.fault("B19")
async def test_a_domain_beyond_ascii_gets_its_mail():
    async with mail_server() as mailbox, MailSender(mailbox.settings()) as sender:
        await sender.send(replace(MAIL, to="ada@münchen.example"))
    assert [message["To"] for message in mailbox.taken] == ["ada@xn--mnchen-3ya.example"]


@pytest.mark.parametrize(
    "address",
    [
        "", "ada", "ada@", "@contoso.example", "ada@contoso.example\r\nBcc: eve@evil.example", "ada@contoso.example, eve@evil.example",
        "Ada <ada@contoso.example>", '"a b"@contoso.example', "ada@contoso.example\x00", "ada@con toso.example", "a" * 65 + "@b.example",
        "ada@" + "b" * 255, "adä@contoso.example",
    ],
)  # fmt: skip
async def test_what_is_no_plain_address_gets_no_mail(address):
    async with mail_server() as mailbox, MailSender(mailbox.settings()) as sender:
        with pytest.raises(NotDelivered) as caught:
            await sender.send(replace(MAIL, to=address))
    assert (caught.value.is_final, mailbox.taken) == (True, [])


@pytest.mark.parametrize(
    "text", ["Contoso\r\nBcc: eve@evil.example", "Contoso\n\nbody", "Contoso\u2028Bcc: x", "\x00" * 9999]
)
def test_no_text_becomes_a_header(text):
    message = to_message(replace(MAIL, subject=f"Presence of {text}"), "relay@relay.example")
    again = message.as_bytes()
    assert b"\nBcc:" not in again
    assert len(message["Subject"]) <= 200
    assert message.get_content() == MAIL.text
