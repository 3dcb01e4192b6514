"""Consents that die: found, told, taken over, healed; with a worker at work and a real mail server and receiver beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from emulator import Fault
from emulator.demo import CLIENT_ID
from relay.alerts.settings import AlertSettings
from relay.alerts.signature import new_secret
from relay.core.audit.events import OPERATOR
from relay.core.consent.grants import GrantState
from relay.core.consent.microsoft_error import RefusalRecord
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.presence import Presence, Status, TenantId
from relay.errors import RelayError, SourceUnreachable
from relay.graph.errors import GrantRefused
from relay.store.custody.notices import NoticeKind, Notices
from relay.store.custody.tenants import Tenant
from relay.store.sealing import notify_secrets
from relay.worker.cloud import Cloud
from relay.worker.grants.pool import GrantPool
from tests.alerts.receivers import CA_PEM, Mailbox, Receiver, mail_server, receiver
from tests.graph.conftest import settings_for
from tests.support.waiting import eventually
from tests.worker.conftest import SETTINGS, Relay
from tests.worker.inside import parts_of

ADA = "ada@contoso.example"
ACCOUNT, STANDBY = "presence-relay@contoso.example", "ben@contoso.example"
PATIENCE = timedelta(milliseconds=600)
QUICK = replace(SETTINGS, sweep=timedelta(milliseconds=100), grant_patience=PATIENCE, graph_patience=PATIENCE)
ALERTS = AlertSettings(
    private_addresses=True,
    ca_pem=CA_PEM,
    page="https://relay.example/onboarding/tenant",
    read_every=timedelta(milliseconds=200),
    first_pause=timedelta(milliseconds=100),
    longest_pause=timedelta(milliseconds=200),
)


async def state_of(relay: Relay, tenant_id: TenantId) -> TenantState:
    return (await record(relay, tenant_id)).state


async def record(relay: Relay, tenant_id: TenantId) -> Tenant:
    tenant = await relay.tenants.load(tenant_id)
    assert tenant is not None
    return tenant


async def needs_consent(relay: Relay, tenant_id: TenantId) -> bool:
    return await state_of(relay, tenant_id) is TenantState.CONSENT_REQUIRED


async def is_active(relay: Relay, tenant_id: TenantId) -> bool:
    return await state_of(relay, tenant_id) is TenantState.ACTIVE


async def is_told(relay: Relay, tenant_id: TenantId, status: Status) -> bool:
    return await relay.answer(tenant_id, ADA) is status


async def grant_is(relay: Relay, tenant_id: TenantId, upn: str, state: GrantState) -> bool:
    return next(grant.state for grant in await relay.vault.list(tenant_id) if grant.upn == upn) is state


async def test_a_suspension_counts_although_the_worker_has_something_of_its_own_to_write(relay: Relay):
    # A store that is away, or a sweep that is due later, leaves a change of state unwritten for a while.
    seldom = replace(QUICK, sweep=timedelta(hours=1))
    tenant = await relay.onboard()
    async with relay.working(settings=seldom):
        await relay.watch(tenant, ADA)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        relay.microsoft.directory.revoke(ACCOUNT, access_tokens=True)
        await eventually(lambda: says(relay, tenant, Status.CONSENT_REQUIRED))
        await relay.onboard_again()
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
        await relay.tenants.happened(tenant, TenantEvent.SUSPENDED)
        await eventually(lambda: says(relay, tenant, Status.SUSPENDED))
        await relay.tenants.happened(tenant, TenantEvent.RESUMED)
        await eventually(lambda: relay.sees(tenant, ADA, "Available"))
    assert await state_of(relay, tenant) is TenantState.ACTIVE


async def says(relay: Relay, tenant: TenantId, status: Status) -> bool:
    return await relay.answer(tenant, ADA) is status


async def test_a_death_is_kept_with_microsofts_words_and_ids(relay: Relay):
    tenant_id = await relay.onboard()
    async with relay.working(settings=QUICK):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.directory.revoke(ACCOUNT, "password_reset", access_tokens=True)
        await eventually(lambda: needs_consent(relay, tenant_id))
    tenant, [grant] = await record(relay, tenant_id), await relay.vault.list(tenant_id)
    assert grant.last_error is not None
    assert grant.last_error == tenant.trouble
    assert (grant.state, grant.error) == (GrantState.DEAD, "invalid_grant/bad_token")
    said = grant.last_error.said
    assert (said.number, said.words[:12]) == (50173, "AADSTS50173:")
    assert said.trace_id
    assert said.correlation_id
    assert said.time
    assert grant.since
    assert tenant.since
    assert grant.last_use
    assert grant.last_success
    assert grant.created <= grant.last_use <= datetime.now(UTC)


async def test_a_locked_account_is_tried_again_before_anybody_is_told(relay: Relay):
    tenant_id = await relay.onboard()
    async with relay.working(settings=replace(QUICK, grant_patience=timedelta(seconds=30))):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.directory.revoke(ACCOUNT, "account_locked", access_tokens=True)
        await eventually(lambda: relay.microsoft.journal.search(path="/token")[-1].reason == "AADSTS50053")
        assert await state_of(relay, tenant_id) is TenantState.ACTIVE
        relay.microsoft.directory.restore(ACCOUNT)
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant_id, ADA, "Busy"))
        assert not await Notices(relay.store).of(range(64))
        assert await grant_is(relay, tenant_id, ACCOUNT, GrantState.HEALTHY)


async def test_a_locked_account_that_stays_locked_is_a_death(relay: Relay):
    tenant_id = await relay.onboard()
    async with relay.working(settings=QUICK):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.directory.revoke(ACCOUNT, "account_locked", access_tokens=True)
        await eventually(lambda: needs_consent(relay, tenant_id))
        assert await is_told(relay, tenant_id, Status.CONSENT_REQUIRED)


async def test_graphs_refusal_of_a_fresh_token_kills_after_a_while_and_is_healed_by_graph_alone(relay: Relay):
    tenant_id = await relay.onboard()
    async with relay.working(settings=QUICK) as worker:
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.faults.add(Fault(path="/v1.0/", status=401))
        await eventually(lambda: needs_consent(relay, tenant_id))
        [grant] = await relay.vault.list(tenant_id)
        pool = parts_of(worker, tenant_id).pool
        assert await pool.refresh(grant.account_id) is False, "a token of Entra's proves nothing"
        relay.microsoft.faults.remove()
        assert await pool.refresh(grant.account_id) is True


@pytest.mark.fault("B2")
async def test_a_bad_minute_of_graphs_ends_no_consent_and_is_over_when_it_is_over(relay: Relay):
    tenant_id = await relay.onboard()
    async with relay.working(settings=replace(QUICK, graph_patience=timedelta(minutes=15))):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.faults.add(Fault(path="/v1.0/", status=401))
        await eventually(lambda: grant_is(relay, tenant_id, ACCOUNT, GrantState.SUSPECT))  # its minute is over
        tried = len(relay.microsoft.journal.search())
        await eventually(lambda: len(relay.microsoft.journal.search()) > tried)
        assert await state_of(relay, tenant_id) is TenantState.ACTIVE
        assert not await Notices(relay.store).of(range(64))
        relay.microsoft.faults.remove()
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: relay.sees(tenant_id, ADA, "Busy"))
        await eventually(lambda: grant_is(relay, tenant_id, ACCOUNT, GrantState.HEALTHY))


async def test_the_standby_takes_over_and_nobody_is_told(relay: Relay):
    tenant_id = await relay.onboard()
    await relay.onboard(STANDBY)
    async with relay.working(settings=QUICK):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        for who, kind in ((ACCOUNT, "consent_removed"), (STANDBY, "sessions_revoked")):
            assert await state_of(relay, tenant_id) is TenantState.ACTIVE
            assert isinstance(await relay.answer(tenant_id, ADA), Presence)
            relay.microsoft.directory.revoke(who, kind, access_tokens=True)
            await eventually(lambda who=who: grant_is(relay, tenant_id, who, GrantState.DEAD))
            if who == ACCOUNT:
                relay.microsoft.set_presence(ADA, "Busy")
                await eventually(lambda: relay.sees(tenant_id, ADA, "Busy"))
                assert not await Notices(relay.store).of(range(64))
        await eventually(lambda: needs_consent(relay, tenant_id))


async def test_a_policy_that_was_lifted_while_no_worker_was_there_heals_the_grant(relay: Relay):
    tenant_id = await relay.onboard()
    async with relay.working(settings=QUICK):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.directory.revoke(ACCOUNT, "conditional_access", access_tokens=True)
        await eventually(lambda: needs_consent(relay, tenant_id))
    relay.microsoft.directory.restore(ACCOUNT)
    [grant] = await relay.vault.list(tenant_id)
    assert grant.last_error is not None
    earlier = replace(grant.last_error, at=grant.last_error.at - timedelta(hours=2))
    await relay.vault.set_state(
        tenant_id, grant.account_id, grant.version, GrantState.DEAD, grant.error, trouble=earlier
    )
    async with relay.working("worker-2", QUICK):
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        await eventually(lambda: is_active(relay, tenant_id))


async def test_our_own_expired_secret_is_nobodys_death(relay: Relay):
    tenant_id = await relay.onboard()
    await relay.onboard(STANDBY)
    async with relay.working(settings=replace(QUICK, stale_after_intervals=3)):
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.directory.refuse_application(CLIENT_ID, "secret_expired")
        for who in (ACCOUNT, STANDBY):
            relay.microsoft.directory.revoke(who, access_tokens=True)
        await eventually(lambda: relay.microsoft.journal.search(path="/token")[-1].reason == "AADSTS7000222")
        await eventually(lambda: is_told(relay, tenant_id, Status.STALE))
        assert await state_of(relay, tenant_id) is TenantState.ACTIVE
        assert all(grant.state is GrantState.HEALTHY for grant in await relay.vault.list(tenant_id))
        relay.microsoft.directory.refuse_application(CLIENT_ID, "")
        relay.microsoft.directory.restore(ACCOUNT)
        relay.microsoft.directory.restore(STANDBY)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))


# ---- telling ------------------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """A tenant, and where its administrator is told."""

    relay: Relay
    tenant_id: TenantId
    mailbox: Mailbox
    receiver: Receiver
    secret: str

    @asynccontextmanager
    async def working(self, worker_id: str = "worker-1", **changes: object) -> AsyncIterator[None]:
        alerts = replace(ALERTS, mail=self.mailbox.settings(), **changes)  # type: ignore[arg-type]
        async with self.relay.working(worker_id, replace(QUICK, alerts=alerts)):
            yield

    async def dies(self) -> None:
        self.relay.microsoft.directory.revoke(ACCOUNT, "password_reset", access_tokens=True)
        await eventually(lambda: needs_consent(self.relay, self.tenant_id))

    async def all_told(self) -> bool:
        return not await Notices(self.relay.store).of(range(64))

    def posted(self) -> list[tuple[str, str]]:
        """Type and id of the verified notices that were posted."""
        known = Webhook(self.secret)
        return [
            (known.verify(post.body, post.headers)["type"], post.headers["webhook-id"]) for post in self.receiver.posts
        ]


@pytest.fixture
async def desk(relay: Relay) -> AsyncIterator[Desk]:
    tenant_id = await relay.onboard()
    await relay.tenants.put(replace(await record(relay, tenant_id), name="Contoso SpA", domain="contoso.example"))
    secret = new_secret()
    async with mail_server() as mailbox, receiver() as here:
        settings = {"contact_email": "anna@contoso.example", "language": "it"}
        await relay.tenants.change_settings(
            tenant_id,
            settings
            | {"notify_url": here.url, "notify_secret": notify_secrets.seal(relay.vault.ring, tenant_id, secret)},
            OPERATOR,
        )
        await relay.watch(tenant_id, ADA)
        yield Desk(relay, tenant_id, mailbox, here, secret)


async def test_the_administrator_is_told_once_of_a_death_and_once_of_its_cure(desk: Desk):
    async with desk.working():
        await eventually(lambda: desk.relay.sees(desk.tenant_id, ADA, "Available"))
        await desk.dies()
        await eventually(lambda: desk.mailbox.taken and desk.receiver.posts)
        [mail], [(kind, notice_id)] = desk.mailbox.taken, desk.posted()
        assert kind == "consent.required"
        assert notice_id in mail["Message-ID"]
        assert mail["To"] == "anna@contoso.example"
        assert mail["Subject"] == "Presenze di Contoso SpA interrotte: serve di nuovo il consenso"
        text = mail.get_content()
        assert "https://relay.example/onboarding/tenant" in text
        assert "AADSTS50173" in text
        assert "Trace ID" in text
        await eventually(desk.all_told)

        await desk.relay.onboard_again()
        await eventually(lambda: len(desk.mailbox.taken) == 2 and len(desk.receiver.posts) == 2)
        assert [kind for kind, _ in desk.posted()] == ["consent.required", "consent.restored"]
        await eventually(desk.all_told)
        await asyncio.sleep(0.5)  # nothing more comes
        assert (len(desk.mailbox.taken), len(desk.receiver.posts)) == (2, 2)


async def test_a_worker_that_dies_between_finding_and_telling_leaves_it_to_the_next(desk: Desk):
    tenants = desk.relay.tenants
    trouble = RefusalRecord(code="invalid_grant", at=datetime.now(UTC))
    await tenants.happened(desk.tenant_id, TenantEvent.LAST_GRANT_DIED, trouble=trouble)
    [notice] = await Notices(desk.relay.store).of(range(64))
    assert notice.kind is NoticeKind.CONSENT_REQUIRED
    desk.relay.microsoft.directory.revoke(ACCOUNT)
    async with desk.working("worker-2"):
        await eventually(desk.all_told)
    assert desk.posted()[0] == ("consent.required", notice.notice_id)
    assert notice.notice_id in desk.mailbox.taken[0]["Message-ID"]


async def test_a_channel_in_trouble_is_tried_again_and_the_other_is_not_told_twice(desk: Desk):
    desk.receiver.answers += [b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"] * 2
    desk.mailbox.refuses = 1
    async with desk.working():
        await eventually(lambda: desk.relay.sees(desk.tenant_id, ADA, "Available"))
        await desk.dies()
        await eventually(desk.all_told)
    assert len(desk.mailbox.taken) == 1
    assert len(set(desk.posted())) == 1
    assert len(desk.receiver.posts) == 3


async def test_what_could_not_be_told_for_a_day_is_given_up(desk: Desk):
    desk.receiver.answers += [b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"] * 1000
    async with desk.working(give_up_after=timedelta(seconds=3)):  # a busy machine must find the time for a second try
        await eventually(lambda: desk.relay.sees(desk.tenant_id, ADA, "Available"))
        await desk.dies()
        await eventually(desk.all_told)
        assert 1 < len(desk.receiver.posts) < 100


async def test_a_slow_receiver_delays_no_reading(desk: Desk):
    desk.receiver.answers += [b"never"] * 3
    async with desk.working():
        await eventually(lambda: desk.relay.sees(desk.tenant_id, ADA, "Available"))
        await desk.dies()
        await eventually(lambda: desk.receiver.posts)
        await desk.relay.onboard_again()
        await eventually(lambda: desk.relay.sees(desk.tenant_id, ADA, "Available"))


async def test_nobody_is_told_of_a_grant_that_was_withdrawn_by_its_own_people(desk: Desk):
    async with desk.working():
        await eventually(lambda: desk.relay.sees(desk.tenant_id, ADA, "Available"))
        [grant] = await desk.relay.vault.list(desk.tenant_id)
        await desk.relay.vault.remove(desk.tenant_id, grant.account_id)
        await eventually(lambda: needs_consent(desk.relay, desk.tenant_id))
        await asyncio.sleep(0.3)  # nothing comes
    assert (desk.mailbox.taken, desk.receiver.posts) == ([], [])


async def test_a_token_that_was_at_hand_revives_no_grant_that_entra_refused(relay: Relay):
    tenant_id = await relay.onboard()
    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        pool = GrantPool(tenant_id, relay.vault, cloud)
        await pool.load()
        [account] = pool.accounts
        under_way = pool.of(account)
        await pool()
        await pool.load()  # the record has the access token now
        relay.microsoft.directory.revoke(ACCOUNT)
        with pytest.raises(GrantRefused):
            await pool.of(account, fresh=True)()
        assert pool.is_dead
        cloud.tokens.forget(tenant_id, account)  # as when another version of the record is taken up
        with suppress(RelayError):
            await under_way()
        assert pool.is_dead


@pytest.mark.parametrize("is_asked_meanwhile", [False, True])
async def test_a_late_refusal_of_the_consent_before_harms_no_new_one(relay: Relay, is_asked_meanwhile: bool):
    tenant_id = await relay.onboard()
    async with Cloud(settings_for(relay.microsoft), relay.vault) as cloud:
        pool = GrantPool(tenant_id, relay.vault, cloud)
        await pool.load()
        [account] = pool.accounts
        relay.microsoft.directory.revoke(ACCOUNT)
        relay.microsoft.faults.add(Fault(contains="/token", latency_ms=1000, count=1))
        late = asyncio.ensure_future(pool.of(account, fresh=True)())
        await eventually(lambda: not relay.microsoft.faults.all())
        await relay.onboard_again()
        await pool.load()
        assert not late.done()
        if is_asked_meanwhile:
            await pool()
        with pytest.raises(SourceUnreachable if is_asked_meanwhile else GrantRefused):
            await late
        assert [state for state, _ in pool.ages()] == [GrantState.HEALTHY]
        await pool.keep()
        assert await grant_is(relay, tenant_id, ACCOUNT, GrantState.HEALTHY)
        assert await pool()


async def test_nobody_is_told_of_a_death_that_a_new_consent_ends_before_it_is_written(relay: Relay):
    seldom = replace(QUICK, sweep=timedelta(hours=1))
    tenant_id = await relay.onboard()
    async with relay.working(settings=seldom) as worker:
        await relay.watch(tenant_id, ADA)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        relay.microsoft.directory.revoke(ACCOUNT, access_tokens=True)
        await eventually(lambda: is_told(relay, tenant_id, Status.CONSENT_REQUIRED))
        await relay.onboard_again()
        await parts_of(worker, tenant_id).standing.write()  # before the hint of the consent has arrived
        assert await is_active(relay, tenant_id)
        await eventually(lambda: relay.sees(tenant_id, ADA, "Available"))
        await parts_of(worker, tenant_id).standing.write()
    assert not await Notices(relay.store).of(range(64))
    assert await is_active(relay, tenant_id)
