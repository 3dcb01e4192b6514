"""Approval from the wizard to the first presence, with the mails between: a real mail server, and the operator's real commands."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pytest
import trustme

from relay.alerts.settings import AlertSettings
from relay.core.consent.tenant import SignUp
from relay.http.paths import TENANT
from relay.store.custody.notices import NoticeKind, Notices
from relay.store.custody.sign_ups import SignUpLimits
from relay.store.sealing.keyring import KeyRing
from tests.alerts.receivers import CA_PEM, Mailbox, mail_server
from tests.edge.suite import SuiteStream
from tests.onboarding.conftest import FAST, relay_at_work
from tests.onboarding.person import ACCOUNT, Person
from tests.onboarding.site import Site
from tests.support.ring import RING, RING_JSON
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

OPERATIONS, CONTACT = "operations@northwind.example", "ada@contoso.example"
PROMISE = "You get an e-mail at ada@contoso.example"
FABRIKAM = {"organisation": "Fabrikam", "domain": "fabrikam.example", "email": "ada@fabrikam.example"}

Meet = Callable[..., Awaitable[Person]]
Start = Callable[..., Awaitable[Site]]


ENVIRONMENT = {"RELAY_VAULT_KEY_RING": RING_JSON}


@pytest.fixture
def ring() -> KeyRing:
    """The ring that the operator's commands have too."""
    return RING


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@asynccontextmanager
async def at_work(
    site: Site, mailbox: Mailbox, authority: trustme.CA, cert: trustme.LeafCert
) -> AsyncIterator[Callable[[str], SuiteStream]]:
    alerts = AlertSettings(
        mail=mailbox.settings(), operator="Northwind Presence", operator_address=OPERATIONS, page=f"{site.url}{TENANT}",
        ca_pem=CA_PEM, read_every=timedelta(milliseconds=100),
    )  # fmt: skip
    async with relay_at_work(site, authority, cert, replace(FAST, alerts=alerts)) as make:
        yield make


async def wizard(person: Person, account: str = ACCOUNT, **changes: str) -> None:
    await person.fill(**changes)
    await person.authorize(account)
    await person.confirm()


async def mail_to(mailbox: Mailbox, address: str, words: str) -> EmailMessage:
    """The mail to an address whose subject has these words, once it is there."""

    def found() -> list[EmailMessage]:
        return [mail for mail in mailbox.taken if mail["To"] == address and words in mail["Subject"]]

    await eventually(found, timeout=20)
    [mail] = found()
    return mail


async def operator_types(site: Site, command: str) -> str:
    """Carry out a command line of the operator's, in a process of its own; returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay.cli", *command.split(), env=ENVIRONMENT | {"RELAY_REDIS_URL": site.store.settings.url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_an_organisation_is_approved_and_its_suite_sees_presence_by_mails_and_pages_alone(
    start_site: Start, meet: Meet, mailbox: Mailbox, authority: trustme.CA, cert: trustme.LeafCert
) -> None:
    site = await start_site(sign_up=SignUp.APPROVAL, has_mail=True)
    person = await meet(site)
    async with at_work(site, mailbox, authority, cert) as suite:
        await wizard(person)
        assert PROMISE in person.text
        to_operator = await mail_to(mailbox, OPERATIONS, "Contoso Ltd waits")
        commands = re.findall(r"presence-relay (tenants \w+ \S+)", to_operator.get_content())
        assert [command.split()[1] for command in commands] == ["show", "approve", "refuse"]
        await person.enter()
        assert PROMISE in person.text
        assert "pending" in await operator_types(site, commands[0])
        asked = site.cloud.journal.total
        await operator_types(site, commands[1])

        to_contact = await mail_to(mailbox, CONTACT, "is approved")
        link = re.search(r"https://\S+", to_contact.get_content())
        assert link
        await person.get(f"{link[0]}/suites")
        await person.submit("new-key", label="Reception")
        assert person.key, person.text
        stream = suite(person.key).open("ada@contoso.example")
        await eventually(lambda: any(answer.HasField("presence") for answer in stream.answers.values()), timeout=20)
        assert site.cloud.journal.search(path="getPresencesByUserId", after=asked)
    assert {mail["To"] for mail in mailbox.taken} == {OPERATIONS, CONTACT, ACCOUNT}


async def test_a_refusal_reaches_the_organisation_with_its_reason(
    start_site: Start, meet: Meet, mailbox: Mailbox, authority: trustme.CA, cert: trustme.LeafCert
) -> None:
    site = await start_site(sign_up=SignUp.APPROVAL, has_mail=True)
    person = await meet(site)
    async with at_work(site, mailbox, authority, cert):
        await wizard(person)
        shown = str(person.page.url)
        await operator_types(site, f"tenants refuse {site.tenant_id()} --reason=Unknown-to-us.")
        mail = await mail_to(mailbox, CONTACT, "was not approved")
        assert "Unknown-to-us." in mail.get_content()
        await person.get(shown)
        assert "was not connected" in person.heading
        await person.enter()
        assert "Reason: Unknown-to-us." in person.text


@pytest.mark.finding(7)
async def test_a_limit_on_new_organisations_is_told_to_the_operator_once_an_hour(start_site: Start, meet: Meet) -> None:
    site = await start_site(sign_up=SignUp.APPROVAL, sign_up_limits=SignUpLimits(hourly=1))
    await wizard(await meet(site), "presence-relay@fabrikam.example", **FABRIKAM)
    for _ in range(2):
        person = await meet(site)
        await wizard(person)
        assert await site.tenants.load(site.tenant_id()) is None
    found = [one for one in await Notices(site.store).of(range(64)) if one.kind is NoticeKind.SIGN_UPS_FULL]
    assert [(one.letter.to, one.letter.about) for one in found if one.letter] == [
        ("operator", "RELAY_WEB_SIGN_UPS_PER_HOUR=1")
    ]


async def test_where_no_mail_is_sent_none_is_promised(start_site: Start, meet: Meet) -> None:
    site = await start_site(sign_up=SignUp.APPROVAL)
    person = await meet(site)
    await wizard(person)
    assert "e-mail" not in person.text
    assert "Come back to your organisation’s page" in person.text
    await person.enter()
    assert "e-mail at" not in person.text
