"""The control surface's page, in a real browser, by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from emulator import Config, Emulator
from emulator.demo import CLIENT_ID
from tests.emulator.driver import RELAY
from tests.onboarding.chromium import ON_ITS_LOOP, Watched, window
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.long

ADA = "ada@contoso.example"


async def go(page: Page, name: str) -> None:
    await page.get_by_role("link", name=name, exact=True).focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector(f"#{name.lower()}:not([hidden])")
    violations = (await Axe().run(page)).response["violations"]
    assert [each["id"] for each in violations] == [], name


@ON_ITS_LOOP
async def test_a_person_sees_and_changes_everything_on_the_page(chromium: Browser) -> None:
    async with Emulator.start(Config(speed=0)) as cloud, await window(chromium) as context:
        cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
        watched = Watched(await context.new_page())
        page = watched.page
        await page.goto(f"{cloud.url}/_emulator/")
        await page.wait_for_selector("body[data-ready]")

        # People: search for one, open it, and choose an action; changes show without reloading
        await page.get_by_label("Search").fill("Adler")
        await expect(page.locator("#people-list li")).to_have_count(1, timeout=20_000)
        await page.locator("#people-list .who").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="call", exact=True).press("Enter")
        await page.wait_for_selector(".words:has-text('Busy / InACall')")
        assert "/".join(cloud.person(ADA).shown) == "Busy/InACall"
        cloud.act(ADA, "dnd")
        await page.wait_for_selector(".dot--dnd")
        await page.get_by_label("Search").fill("")
        await watched.look("emulator-people")

        await go(page, "Grants")
        await page.locator("#grants").get_by_label("Reason").select_option("account_disabled")
        await page.get_by_role("button", name=f"Revoke {RELAY}").press("Enter")
        await eventually(lambda: not cloud.person(RELAY).enabled)
        await page.get_by_role("button", name=f"Restore {RELAY}").press("Enter")
        await eventually(lambda: cloud.person(RELAY).enabled)

        await go(page, "Faults")
        await page.locator("#faults").get_by_label("Status").fill("503")
        await page.get_by_label("Path begins with").fill("/v1.0")
        await page.get_by_role("button", name="Add fault").press("Enter")
        await page.wait_for_selector("#faults-list:has-text('path /v1.0, status 503')")
        assert [(fault.path, fault.status) for fault in cloud.faults.all()] == [("/v1.0", 503)]

        await go(page, "Switches")
        await page.get_by_label("spelling").select_option("third")
        await eventually(lambda: cloud.switches.spelling == "third")
        await page.get_by_label("idle_values").uncheck()
        await eventually(lambda: not cloud.switches.idle_values)
        await page.get_by_label("linger_s").fill("[1, -1]")
        await page.get_by_label("linger_s").press("Enter")
        await page.wait_for_selector("#message.is-bad:has-text('linger_s[1]')")

        await go(page, "Clock")
        await page.get_by_label("Name").fill("noon")
        await page.get_by_role("button", name="Take snapshot").press("Enter")
        await page.get_by_role("button", name="1 hour").press("Enter")
        await eventually(lambda: cloud.clock.now() == 3600)
        await page.get_by_role("button", name="Restore noon").press("Enter")
        await eventually(lambda: cloud.clock.now() == 0)

        await go(page, "Journal")
        await page.request.get(f"{cloud.url}/v1.0/me", ignore_https_errors=True)
        await page.wait_for_selector("#journal-list:has-text('GET /v1.0/me')")
        await go(page, "Gaps")
        await page.get_by_role("button", name="Start measuring").press("Enter")
        await eventually(lambda: cloud.gaps.enabled)

        refused = [said for said in watched.complaints if "400" not in said]  # the slip above
        assert refused == []
