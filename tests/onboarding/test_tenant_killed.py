"""The process is killed at each write and each answer of a rotation, a withdrawal, a cure and a leaving.

The person goes on as people do: reloads, goes back, presses the button that is there. After each kill nothing half done may be
there, and at the end everything is as if nothing had happened.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import trustme
from redis.asyncio import Redis

from emulator import Cloud
from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.sessions import Sessions
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.presence import TenantId, UserId
from relay.graph.auth.id_tokens import VerifiedIdentity
from relay.http.paths import TENANT
from relay.store.custody.admissions import AdmissionRequest, Admissions
from relay.store.custody.audit import AuditLog
from relay.store.custody.suite_key_records import KeyRecord
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.onboarding.killable import KilledSite, killed_site
from tests.onboarding.person import ACCOUNT
from tests.support.killing import at_each_point
from tests.support.topology import raw_client
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.long

BEN = "ben@contoso.example"
MOST_STEPS = 12
SETTINGS = {"contact_name": "Ada", "contact_email": "ada@contoso.example", "pass_status_message": "on"}


@dataclass
class Scene(KilledSite):
    """Contoso's page in a process that is killed again and again."""

    suite_keys: list[KeyRecord] = field(default_factory=list)

    @property
    def tenant_id(self) -> TenantId:
        return self.site.tenant_id()

    def account(self, upn: str) -> UserId:
        return UserId(self.site.cloud.person(upn).oid)

    async def begin(self) -> None:
        """Contoso is connected with two accounts and two suites, and its service account is signed in."""
        await self.raw.flushall()
        admissions = Admissions(self.site.store, self.site.ring)
        for upn in (ACCOUNT, BEN):
            await admissions.admit(AdmissionRequest(tenant_id=self.tenant_id, account_id=self.account(upn), upn=upn, token_cache="{}", name="Contoso Ltd", domain="contoso.example", settings=SETTINGS))  # fmt: skip
        for label in ("Reception", "Contact centre"):
            await self.site.suite_keys.issue(self.tenant_id, label)
        self.suite_keys = await self.site.suite_keys.list(self.tenant_id)
        who = VerifiedIdentity(self.tenant_id, self.account(ACCOUNT), ACCOUNT)
        secret = await Sessions(self.site.store, self.site.ring).begin(who)
        self.person.as_new()
        self.person.client.cookies.set(TENANT_COOKIES.session, secret, domain="localhost.local", path="/")

    async def go(
        self,
        start: str,
        step: Callable[[], Awaitable[None]],
        done: Callable[[], bool],
        whole: Callable[[], Awaitable[None]],
    ) -> None:
        """Go on from a page until it is done, whatever happens."""
        person, last, been = self.person, start, list[str]()
        person.page = httpx.Response(200, request=httpx.Request("GET", f"{self.site.url}{start}"))
        for _ in range(MOST_STEPS):
            heading = person.heading if "<h1" in person.page.text and "<h1>" in person.page.text else ""
            been.append(f"{person.page.request.method} {person.page.url.path} {person.page.status_code} {heading}")
            try:
                if not person.page.text:
                    await person.get(last)
                elif done():
                    return
                else:
                    await step()
                if str(person.page.url).startswith(self.site.url) and person.page.request.method == "GET":
                    last = str(person.page.url).removeprefix(self.site.url)
            except httpx.HTTPError:
                assert self.killer.killed.is_set()
                await whole()
                await self.start()
                person.page = httpx.Response(200, request=httpx.Request("GET", f"{self.site.url}{last}"))
        raise AssertionError(f"not done after {MOST_STEPS} steps: {been}, killed at {self.killer.points[-1]}")

    async def each_point(
        self, story: Callable[[], Awaitable[None]], what: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Begin, run the story and check what is left, killed at each point."""

        async def run() -> None:
            await self.begin()
            await story()
            await self.start_if_dead()

        points = await at_each_point(self.killer, run)
        with capsys.disabled():
            writes = sum("write" in point for point in points)
            sys.stdout.write(f"\n[killed at {len(points)} points of {what}, {writes} of them at writes]\n")

    async def told(self) -> list[str]:
        page = await AuditLog(self.site.store).page(self.tenant_id)
        return [str(entry.entry.kind) for entry in page.entries]

    async def follow(self) -> None:
        """The main link or button of a page that says that something went wrong."""
        await self.person.get(TENANT)


@pytest.fixture
async def scene(
    store: Store, raw: Redis, valkey: ValkeyServer, cloud: Cloud, cert: trustme.LeafCert, authority: trustme.CA
) -> AsyncIterator[Scene]:
    async with killed_site(store, raw, valkey, cloud, cert, authority) as at:
        yield Scene(**vars(at))


@pytest.mark.timeout(300)
async def test_rotation(scene: Scene, valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]):
    person, site = scene.person, scene.site

    def rotated() -> KeyRecord:
        # By label: two keys that were made in the same instant are listed in either order.
        return next(key for key in scene.suite_keys if key.label == "Reception")

    async def step() -> None:
        if 'id="rotate"' in person.page.text:
            await person.submit("rotate", overlap="1d")
        elif 'id="another-key"' in person.page.text:
            await person.submit("another-key")
        elif 'id="new-key"' in person.page.text:
            await person.get(f"{TENANT}/suites/key")
        else:
            await scene.follow()

    async def whole() -> None:
        records = {key.key_id: key for key in await site.suite_keys.list(scene.tenant_id)}
        old = records[rotated().key_id]
        made = [key for key in records.values() if key.key_id not in {one.key_id for one in scene.suite_keys}]
        # The old key has an end only when there is another that works without one.
        assert old.expires is None or any(key.expires is None and key.revoked is None for key in made)
        assert all(key.expires is not None for key in made if key.is_provisional)
        assert old.revoked is None

    async def run() -> None:
        await scene.go(f"{TENANT}/suites/{rotated().key_id}/rotate", step, lambda: bool(person.key), whole)
        await whole()
        new = await site.suite_keys.verify(person.key)
        assert (new.label, new.is_provisional, new.expires) == ("Reception", False, None)
        records = await site.suite_keys.list(scene.tenant_id)
        old = next(key for key in records if key.key_id == rotated().key_id)
        assert old.expires is not None
        assert timedelta(hours=23) < old.expires - datetime.now(UTC) <= timedelta(days=1)
        lasting = [key.label for key in records if key.expires is None and key.revoked is None]
        assert sorted(lasting) == ["Contact centre", "Reception"]
        assert "key-rotated" in await scene.told()

    await scene.each_point(run, "a rotation", capsys)
    key = person.key
    valkey.kill()
    valkey.start()
    await site.suite_keys.verify(key)


@pytest.mark.timeout(300)
async def test_withdrawal(scene: Scene, valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]):
    person, site = scene.person, scene.site
    ben = scene.account(BEN)

    async def step() -> None:
        if 'id="confirm"' in person.page.text:
            await person.submit("confirm")
        else:
            await scene.follow()

    async def whole() -> None:
        listed = {
            account.decode() for account in await raw_client(site.store).smembers(keys.tenant_grants(scene.tenant_id))
        }
        kept = {grant.account_id for grant in await site.vault.list(scene.tenant_id)}
        assert listed == kept
        assert (await scene.told()).count("grant-withdrawn") == (ben not in kept)
        assert scene.account(ACCOUNT) in kept

    async def run() -> None:
        start = f"{TENANT}/accounts/{ben}/withdraw"
        await scene.go(start, step, lambda: 'id="add"' in person.page.text, whole)
        await whole()
        assert [grant.upn for grant in await site.vault.list(scene.tenant_id)] == [ACCOUNT]

    await scene.each_point(run, "a withdrawal", capsys)
    valkey.kill()
    valkey.start()
    await whole()


@pytest.mark.timeout(300)
async def test_cure(scene: Scene, valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]):
    person, site = scene.person, scene.site

    async def step() -> None:
        page = person.page.text
        if 'id="cure"' in page:
            await person.submit("cure")
        elif 'http-equiv="refresh"' in page:
            person.page = await person.client.get(person.microsoft_url())
        elif 'id="answer"' in page or 'id="sign-in"' in page or 'id="consent"' in page:
            answer = await person.sign_in(ACCOUNT)
            await person.answer(answer)
        else:
            await scene.follow()

    async def whole() -> None:
        tenant = await site.tenants.load(scene.tenant_id)
        assert tenant is not None
        states = {grant.upn: grant.state for grant in await site.vault.list(scene.tenant_id)}
        assert (tenant.state is TenantState.ACTIVE) == (states[ACCOUNT] is GrantState.HEALTHY)
        assert dict(tenant.settings) == SETTINGS
        assert await site.suite_keys.list(scene.tenant_id) == scene.suite_keys

    async def run() -> None:
        for grant in await site.vault.list(scene.tenant_id):
            await site.vault.set_state(
                scene.tenant_id, grant.account_id, grant.version, GrantState.DEAD, "invalid_grant"
            )
        await site.tenants.happened(scene.tenant_id, TenantEvent.LAST_GRANT_DIED)
        await scene.go(
            TENANT, step, lambda: "Contoso Ltd" in person.text and 'id="cure"' not in person.page.text, whole
        )
        await whole()
        tenant = await site.tenants.load(scene.tenant_id)
        assert tenant is not None
        assert tenant.state is TenantState.ACTIVE

    await scene.each_point(run, "a cure", capsys)
    valkey.kill()
    valkey.start()
    await whole()


@pytest.mark.timeout(300)
async def test_leaving(scene: Scene, valkey: ValkeyServer, capsys: pytest.CaptureFixture[str]):
    person, site = scene.person, scene.site
    tenant_id = scene.tenant_id

    async def step() -> None:
        if 'id="leave-form"' in person.page.text:
            await person.submit("leave-form", domain="contoso.example")
        elif 'http-equiv="refresh"' in person.page.text:
            await person.again()
        else:
            await person.get(f"{TENANT}/leave")

    async def whole() -> None:
        record = await raw_client(site.store).exists(keys.tenant(tenant_id))
        for upn in (ACCOUNT, BEN):
            assert await raw_client(site.store).exists(keys.grant(tenant_id, scene.account(upn))) == record
        assert await raw_client(site.store).exists(keys.audit(tenant_id), keys.tenant_grants(tenant_id)) == 2 * record
        assert await raw_client(site.store).exists(keys.tenant_suite_keys(tenant_id)) == record
        left = {one.decode() for one in await raw_client(site.store).smembers(keys.left(keys.partition_of(tenant_id)))}
        assert (tenant_id in left) == (not record), "the worker finds it when it is back"

    async def run() -> None:
        await scene.go(f"{TENANT}/leave", step, lambda: "has left" in person.page.text, whole)
        await whole()
        assert not await raw_client(site.store).exists(keys.tenant(tenant_id))
        for key in scene.suite_keys:
            kept = await raw_client(site.store).hgetall(keys.suite_key(key.key_id))
            assert set(kept) == {b"tenant", b"hash", b"created", b"revoked"}
            assert await raw_client(site.store).pttl(keys.suite_key(key.key_id)) > 0
        assert "2 suite keys" in person.text
        assert BEN in person.text

    await scene.each_point(run, "a leaving", capsys)
    valkey.kill()
    valkey.start()
    await whole()
