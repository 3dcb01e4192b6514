"""The tenant's page in real Chromium, with a suite at a real edge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from relay.http.paths import TENANT
from relay.locale.languages import Language
from relay.worker.cloud import Cloud as WorkerCloud
from relay.worker.worker import Worker
from tests.edge.suite import SuiteStream, pb
from tests.graph.conftest import settings_for
from tests.onboarding.chromium import ON_ITS_LOOP, Watched, window
from tests.onboarding.inventory import Visit
from tests.onboarding.inventory.diagnostics import DIAGNOSTICS
from tests.onboarding.person import ACCOUNT, Person
from tests.onboarding.site import Site
from tests.worker.conftest import SETTINGS

pytestmark = [pytest.mark.timeout(120), ON_ITS_LOOP, pytest.mark.long]

SUITES = f"{TENANT}/suites"
ADA = "ada@contoso.example"


@pytest_asyncio.fixture(loop_scope="session")
async def page(person: Person, watched: Watched) -> Page:
    """Contoso is connected; nobody is signed in."""
    await person.connect()
    return watched.page


async def sign_in(page: Page, site: Site, account: str = ACCOUNT) -> None:
    await page.goto(site.url + TENANT)
    await page.click("#tenant-sign-in button")
    await Watched(page).sign_in(account)
    await page.wait_for_selector("#accounts-title")


async def test_from_signing_in_to_leaving_with_a_suite_that_watches(
    site: Site, page: Page, suite: Callable[[str], SuiteStream]
):
    await sign_in(page, site)
    await page.get_by_role("link", name="Phone suites").click()
    await page.fill("#label", "Reception")
    await page.click("#new-key button")
    key = await page.inner_text("#suite-key")
    client = pb.SuiteClient(name="console", version="7.2.1")
    stream = await suite(key).open("ada@contoso.example", client=client).ready()

    # Who is connected is said within seconds, with the program and the number of users.
    async with asyncio.timeout(20):
        while "Connected" not in await page.inner_text("main"):
            await page.goto(site.url + SUITES)
    assert "console 7.2.1" in await page.inner_text("main")

    # Rotated: both work; the old one ends at its time.
    record = await site.suite_keys.verify(key)
    await page.goto(f"{site.url}{SUITES}/{record.key_id}/rotate")
    await page.select_option("#overlap", "1h")
    await page.click("#rotate button")
    newer = await page.inner_text("#suite-key")
    second = await suite(newer).open("ada@contoso.example").ready()
    assert not stream.call.done()

    # Back, and sent again: no third key.
    before = len(await site.suite_keys.list(site.tenant_id()))
    await page.go_back()
    await page.reload()
    assert len(await site.suite_keys.list(site.tenant_id())) == before

    # Revoked: the stream ends.
    await page.goto(f"{site.url}{SUITES}/{record.key_id}/revoke")
    await page.click("#confirm button")
    ended = await stream.ending()
    assert ended.reason == "ERROR_REASON_SUITE_KEY_REVOKED"
    assert not second.call.done()

    # Left: everything is gone, and the suite is told.
    await page.goto(f"{site.url}{TENANT}/leave")
    await page.fill("#domain", "contoso.example")
    await page.click("#leave-form button")
    await Watched(page).again(ACCOUNT)
    await expect(page.locator("h1")).to_have_text("Contoso Ltd has left")
    assert (await second.ending(5)).reason in ("ERROR_REASON_TENANT_REMOVED", "ERROR_REASON_SUITE_KEY_REVOKED")
    async with asyncio.timeout(20):
        while "as soon as the relay’s worker runs again" in await page.inner_text("main"):
            await page.reload()
    await page.click("#sign-out button")
    await expect(page.locator("main")).to_contain_text("You are signed out here")


async def test_a_dead_consent_is_cured_with_one_click(site: Site, page: Page, suite: Callable[[str], SuiteStream]):
    await sign_in(page, site, "ada@contoso.example")
    key = await site.suite_keys.issue(site.tenant_id(), "desk")
    stream = await suite(key.text).open("ben@contoso.example").ready()
    ben = site.cloud.person("ben@contoso.example").oid
    await stream.until(lambda: ben in stream.answers and stream.answers[ben].HasField("presence"))
    site.cloud.directory.revoke(ACCOUNT, "sessions_revoked", access_tokens=True)
    async with asyncio.timeout(30):
        while not await page.locator("#cure").count():
            await page.goto(site.url + TENANT)
    await page.click("#cure button")
    site.cloud.directory.restore(ACCOUNT)
    await Watched(page).sign_in(ACCOUNT)
    await expect(page.locator("#notice-title")).to_have_text("The account works again")
    assert not await page.locator("#cure").count()
    site.cloud.set_presence("ben@contoso.example", "Busy", "InACall")
    await stream.until(lambda: stream.answers[ben].presence.raw_activity == "InACall")


async def test_the_page_works_without_javascript(site: Site, person: Person, chromium: Browser):
    await person.connect()
    async with await window(chromium, java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto(site.url + TENANT)
        await page.click("#tenant-sign-in button")
        await page.wait_for_selector("#sign-in")
        await page.get_by_role("button", name=ACCOUNT).first.click()
        if await page.locator("#answer button").count():
            await page.click("#answer button")
        await page.wait_for_selector("#accounts-title")
        await page.goto(site.url + SUITES)
        await page.fill("#label", "Reception")
        await page.click("#new-key button")
        assert await page.inner_text("#suite-key")


async def test_diagnostics_follow_by_themselves_and_a_user_is_watched_for_a_minute(
    site: Site, person: Person, watched: Watched
):
    await person.connect()
    await person.enter_at_once()
    page = watched.page
    await Visit(site, page, person, Language.ENGLISH).show(f"{TENANT}/users?name={ADA}")
    async with WorkerCloud(settings_for(site.cloud), site.vault) as microsoft:
        worker = asyncio.create_task(Worker(site.store, site.vault, microsoft, SETTINGS, "worker-1").run())
        try:
            await expect(page.locator("#answer-title")).to_contain_text("not requested by anyone")
            await page.click("#watch button")
            await expect(page.locator("#answer-title")).to_contain_text("available", timeout=15_000)
            await expect(page.locator("#live")).to_contain_text("watching this user from this page")
            await page.goto(f"{site.url}{DIAGNOSTICS}")
            link = page.get_by_role("link", name=ADA)
            await link.focus(timeout=5000)
            site.cloud.set_presence(ADA, "Busy", "InACall")
            await expect(page.locator(".table")).to_contain_text("Busy / InACall", timeout=15_000)
            await expect(page.locator("#live-state")).to_contain_text("Live, as of")
            await expect(link).to_be_focused()
            await page.context.clear_cookies()
            await expect(page.locator("#live-state")).to_contain_text(
                "You are signed out, so this page no longer updates", timeout=15_000
            )
            assert watched.complaints == []
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
