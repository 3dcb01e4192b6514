"""Letters are sent by the worker of the tenant's partition: to each recipient, in their language, and when the tenant is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from relay.core.audit.events import OPERATOR, Actor
from relay.core.presence import UserId
from relay.store.custody.emails import Letters
from relay.store.custody.managers import Managers
from relay.store.custody.notices import MAX_TEXT_CHARS, MOST_LETTERS, NoticeKind, Notices
from relay.store.custody.tenants import Tenant
from tests.alerts.receivers import Mailbox, mail_server
from tests.support.waiting import eventually
from tests.worker.conftest import Relay
from tests.worker.test_dead_consent import ALERTS, QUICK, record

ANNA, BEN = UserId("aaaaaaaa-0000-4000-8000-00000000000a"), UserId("aaaaaaaa-0000-4000-8000-00000000000b")
BY_ANNA = Actor.account("anna@contoso.example", ANNA)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
async def tenant(relay: Relay) -> Tenant:
    """Contoso, which Anna and Ben manage, beside the account that connected it."""
    tenant_id = await relay.onboard()
    await relay.tenants.put(replace(await record(relay, tenant_id), name="Contoso SpA", domain="contoso.example"))
    settings = {"contact_email": "carla@contoso.example", "language": "it"}
    await relay.tenants.change_settings(tenant_id, settings, OPERATOR)
    for account_id, upn in ((ANNA, "anna@contoso.example"), (BEN, "Ben@contoso.example")):
        await Managers(relay.store).add(tenant_id, account_id, upn, OPERATOR)
    return await record(relay, tenant_id)


@asynccontextmanager
async def working(relay: Relay, mailbox: Mailbox) -> AsyncIterator[None]:
    alerts = replace(ALERTS, mail=mailbox.settings(), operator_address="operations@relay.example")
    async with relay.working(settings=replace(QUICK, alerts=alerts)):
        yield


async def all_told(relay: Relay) -> bool:
    return not await Notices(relay.store).of(range(64))


async def test_everybody_who_looks_after_the_tenant_is_told_except_who_did_it(
    relay: Relay, tenant: Tenant, mailbox: Mailbox
) -> None:
    await Letters(relay.store).to_managers(tenant, NoticeKind.OPT_OUTS_ENDED, BY_ANNA)
    async with working(relay, mailbox):
        await eventually(lambda: all_told(relay))
    assert sorted(mail["To"] for mail in mailbox.taken) == [
        "ben@contoso.example",
        "carla@contoso.example",
        "presence-relay@contoso.example",
    ]
    assert {mail["Subject"] for mail in mailbox.taken} == {
        "Alcuni colleghi di Contoso SpA possono di nuovo essere mostrati"
    }
    assert all("anna@contoso.example" in mail.get_content() for mail in mailbox.taken)


async def test_a_tenant_that_left_is_told_of_all_the_same(relay: Relay, tenant: Tenant, mailbox: Mailbox) -> None:
    managers = await Managers(relay.store).list(tenant.tenant_id)
    await relay.tenants.remove(tenant.tenant_id, BY_ANNA)
    await Letters(relay.store).to_managers(tenant, NoticeKind.TENANT_LEFT, BY_ANNA, managers=managers)
    async with working(relay, mailbox):
        await eventually(lambda: all_told(relay))
    assert len(mailbox.taken) == 3


async def test_an_address_that_takes_nothing_holds_nobody_up(relay: Relay, tenant: Tenant, mailbox: Mailbox) -> None:
    await Managers(relay.store).add(
        tenant.tenant_id, UserId("cccccccc-0000-4000-8000-00000000000c"), "no address", OPERATOR
    )
    await Letters(relay.store).to_managers(tenant, NoticeKind.MANAGER_ADDED, BY_ANNA, about="no address")
    mailbox.refuses = 1
    async with working(relay, mailbox):
        await eventually(lambda: all_told(relay))
    assert len(mailbox.taken) == 3


async def test_the_operator_is_told_at_an_address_of_their_own(relay: Relay, tenant: Tenant, mailbox: Mailbox) -> None:
    await Letters(relay.store).to_operator(tenant, NoticeKind.TENANT_WAITS, BY_ANNA)
    async with working(relay, mailbox):
        await eventually(lambda: all_told(relay))
    [mail] = mailbox.taken
    assert (mail["To"], mail["Subject"]) == ("operations@relay.example", "Contoso SpA waits for your approval")


async def test_a_tenant_has_a_bound_of_letters_within_an_hour(relay: Relay, tenant: Tenant) -> None:
    for _ in range(MOST_LETTERS // 3 + 5):
        await Letters(relay.store).to_managers(tenant, NoticeKind.OPT_OUTS_ENDED, BY_ANNA)
    assert len(await Notices(relay.store).of(range(64))) == MOST_LETTERS


async def test_what_a_letter_is_about_is_cut_before_it_is_kept_for_everybody(relay: Relay, tenant: Tenant) -> None:
    await Letters(relay.store).to_managers(tenant, NoticeKind.MANAGER_ADDED, BY_ANNA, about="x" * 40_000)
    found = [one.letter for one in await Notices(relay.store).of(range(64)) if one.letter is not None]
    assert found
    assert {len(letter.about) for letter in found} == {MAX_TEXT_CHARS}
