"""Signed notices, to a real HTTPS receiver that verifies them with the specification's own library."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from relay.alerts import addresses, signature
from relay.alerts.hook import HookSender, NotDelivered
from relay.alerts.settings import AlertSettings
from tests.alerts.receivers import CA_PEM, Receiver, receiver

SETTINGS = AlertSettings(private_addresses=True, ca_pem=CA_PEM, timeout=timedelta(seconds=5))
SECRET = signature.new_secret()
BODY = '{"type":"consent.required","data":{"organisation":"Contosö"}}'.encode()


@pytest.fixture
async def here() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


async def post(url: str, settings: AlertSettings = SETTINGS, secret: str = SECRET) -> None:
    await HookSender(settings).post(url, secret, "msg_1", BODY)


async def test_a_receiver_verifies_a_notice_with_the_specifications_library(here: Receiver):
    await post(here.url)
    [posted] = here.posts
    assert posted.target == "/notices?tenant=contoso"
    assert posted.headers["host"] == f"localhost:{here.port}"
    assert posted.headers["webhook-id"] == "msg_1"
    assert Webhook(SECRET).verify(posted.body, posted.headers)["type"] == "consent.required"
    with pytest.raises(WebhookVerificationError):
        Webhook(signature.new_secret()).verify(posted.body, posted.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(posted.body + b" ", posted.headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", "hunter2"])
def test_a_secret_that_libraries_would_not_take_is_none(secret):
    assert not signature.is_secret(secret)
    with pytest.raises(ValueError):
        signature.headers(secret, "msg_1", 1, b"")


async def test_a_text_that_a_tenant_chose_is_the_key_itself(here: Receiver):
    chosen = "a long random text: 4711"
    await post(here.url, secret=chosen)
    [posted] = here.posts
    assert Webhook(base64.b64encode(chosen.encode()).decode()).verify(posted.body, posted.headers)
    with pytest.raises(NotDelivered):
        await post(here.url, secret="")


@pytest.mark.parametrize(
    ("answer", "is_final"),
    [
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nlocation: https://localhost/elsewhere\r\ncontent-length: 0\r\n\r\n", False),
        (b"garbage\r\n\r\n", False),
        (b"", False),
    ],
)
async def test_what_is_no_success_is_not_told_and_a_redirect_is_not_followed(here: Receiver, answer, is_final):
    here.answers.append(answer)
    with pytest.raises(NotDelivered) as caught:
        await post(here.url)
    assert caught.value.is_final is is_final
    assert len(here.posts) == 1


async def test_an_endless_answer_is_not_read(here: Receiver):
    here.answers.append(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" + b"x" * 100_000)
    await post(here.url)  # to read it would end in an error: more was announced than comes


async def test_a_receiver_that_never_answers_costs_the_time_limit_only(here: Receiver):
    here.answers.append(b"never")
    with pytest.raises(NotDelivered, match="TimeoutError"):
        await post(here.url, replace(SETTINGS, timeout=timedelta(milliseconds=300)))


async def test_a_certificate_of_somebody_else_is_refused(here: Receiver):
    with pytest.raises(NotDelivered, match="ConnectError"):
        await post(here.url, replace(SETTINGS, ca_pem=None))
    with pytest.raises(NotDelivered, match="ConnectError"):
        await post(here.url.replace("localhost", "127.0.0.2"))
    assert not here.posts


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "0x7f.1"])
async def test_nothing_is_posted_to_the_relays_own_machine(here: Receiver, host):
    with pytest.raises(NotDelivered, match=r"not on the public internet|cannot be reached"):
        await post(here.url.replace("localhost", host), replace(SETTINGS, private_addresses=False))
    assert not here.posts


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("1.1.1.1", True), ("2606:4700:4700::1111", True), ("::ffff:1.1.1.1", True), ("64:ff9b::101:101", True),
        ("10.0.0.1", False), ("172.16.0.1", False), ("192.168.1.1", False), ("127.0.0.1", False), ("0.0.0.0", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("240.0.0.1", False),
        ("192.0.2.1", False), ("198.18.0.1", False), ("::", False), ("::1", False), ("fe80::1", False), ("fc00::1", False),
        ("ff02::1", False), ("::ffff:169.254.169.254", False), ("64:ff9b::a9fe:a9fe", False), ("2002:a00:1::", False),
        ("2001:db8::1", False), ("fd00:ec2::254", False),
    ],
)  # fmt: skip
def test_which_addresses_are_the_internets(address, is_public):
    assert addresses.is_public(ipaddress.ip_address(address)) is is_public


async def test_a_host_with_one_inner_address_among_public_ones_is_refused(monkeypatch):
    async def both(*_args, **_options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("1.1.1.1", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    with pytest.raises(addresses.NotAllowed):
        await addresses.resolve("contoso.example", 443, private=False)


@pytest.mark.parametrize(
    "url",
    [
        "", "http://contoso.example/", "https://", "https:///x", "ftp://contoso.example", "https://user:pass@contoso.example/",
        "https://contoso.example:0/", "https://contoso.example:99999/", "https://contoso.example/a b", "https://contoso.example/\r\nx: y",
        "https://contoso.example/#part", "https://contosö.example/", "https://[::1", "https://contoso.example/" + "x" * 1000,
    ],
)  # fmt: skip
async def test_what_is_no_address_for_notices_says_why(url):
    assert addresses.fault(url)
    with pytest.raises(NotDelivered) as caught:
        await post(url)
    assert caught.value.is_final


def test_an_ordinary_address_is_fine():
    assert addresses.fault("https://hooks.contoso.example:8443/presence?x=1") == ""
