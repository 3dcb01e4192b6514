"""In real Chromium. Our pages are at localhost and Microsoft's at 127.0.0.1, so that the two are different sites, as in life."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, Error, expect

from emulator import Fault
from tests.edge.suite import SuiteStream
from tests.onboarding.chromium import ON_ITS_LOOP, Watched, window
from tests.onboarding.person import APPLICANT
from tests.onboarding.site import Site

pytestmark = [pytest.mark.timeout(180), ON_ITS_LOOP, pytest.mark.long]


VARIED = {
    "ben": ("Busy", "InACall"), "chloe": ("DoNotDisturb", "Presenting"), "david": ("Away",), "emma": ("AvailableIdle",),
    "farid": ("Offline",),
}  # fmt: skip
"""So that the proof shows more than one colour."""


async def fill(watched: Watched, site: Site, **changes: str) -> None:
    page = watched.page
    await page.goto(site.settings.start_url)
    for name, value in {**APPLICANT, **changes}.items():
        await page.fill(f"#{name}", value)
    await page.click("#start button")
    await page.wait_for_selector("#authorize button, .is-wrong")


async def connect(watched: Watched, account: str) -> str:
    """From the permission's page over Microsoft's to the suite key, which is returned."""
    page = watched.page
    await page.click("#authorize button")
    await watched.sign_in(account)
    await expect(page.locator("#who strong")).to_have_text(account)
    await page.click("#confirm button")
    await page.click("#show-key")
    return await page.inner_text("#suite-key")


async def test_from_the_form_to_a_suite_that_sees_a_change(
    site: Site, watched: Watched, suite: Callable[[str], SuiteStream]
):
    page = watched.page
    for name, shown in VARIED.items():
        site.cloud.set_presence(f"{name}@contoso.example", *shown)
    await page.goto(site.settings.start_url)
    await page.fill("#organisation", "x")
    await page.click("#start button")
    await page.wait_for_selector(".is-wrong")
    await fill(watched, site)
    await page.click("#authorize button")
    await page.wait_for_selector("#sign-in")
    await watched.sign_in("presence-relay@contoso.example")
    await page.wait_for_selector("#confirm")
    await page.click("#confirm button")
    await expect(page.locator("h1")).to_have_text("Contoso Ltd is connected")
    await page.click("#show-key")
    key = await page.inner_text("#suite-key")

    stream = suite(key).open("ada@contoso.example")
    ada = site.cloud.person("ada@contoso.example").oid
    await stream.until(lambda: ada in stream.answers and stream.answers[ada].presence.raw_availability == "Available")
    site.cloud.set_presence("ada@contoso.example", "Busy", "InACall")
    await stream.until(lambda: stream.answers[ada].presence.raw_activity == "InACall")

    await page.reload()
    await expect(page.locator("#key-title")).to_have_text("The suite key was shown")
    assert key not in await page.content()
    assert [said for said in watched.complaints if site.url in said and "422" not in said] == []


async def test_who_cannot_do_it_is_told_what_to_do_next(site: Site, watched: Watched):
    site.cloud.set_switches(personal_accounts="admitted")
    page = watched.page
    for words, domain, account, decision in (
        ("permissions were declined", "contoso.example", "ben@contoso.example", "decline"),
        ("administrator", "litware.example", "quinn@litware.example", "accept"),
        ("belongs to another organisation", "contoso.example", "mia@fabrikam.example", "accept"),
        ("personal account", "contoso.example", "pat@outlook.example", "accept"),
    ):
        await watched.as_new()
        await fill(watched, site, domain=domain)
        await page.click("#authorize button")
        await watched.sign_in(account, decision=decision)
        await page.wait_for_selector(".notice")
        assert words in await page.inner_text(".notice")
        assert "What to do:" in await page.inner_text(".notice")
        await page.wait_for_selector("#authorize button:enabled")
        assert await site.is_untouched()


async def test_pages_of_problems(site: Site, watched: Watched):
    page = watched.page
    await page.goto(f"{site.settings.start_url}/{'0' * 24}")
    await fill(watched, site)
    site.cloud.add_fault(Fault(contains="openid-configuration", status=503))
    await page.click("#authorize button")
    await expect(page.locator("h1")).to_have_text("Microsoft does not answer")
    site.cloud.faults.remove()
    await page.click("text=Back to your request")
    await page.route(f"{site.cloud.url}/**", lambda route: route.fulfill(status=204))  # the page on the way stays
    async with page.expect_request(f"{site.cloud.url}/**"):  # it leads on by itself: before the way there is open
        await page.click("#authorize button")
    await page.wait_for_selector("#leave")
    await page.unroute_all()
    await page.click("#leave")
    await page.wait_for_selector("#sign-in")


async def test_the_back_button_at_each_step_does_no_harm(site: Site, watched: Watched):
    page = watched.page
    await fill(watched, site)
    flow = page.url
    await page.go_back()
    await expect(page.locator("h1")).to_have_text("Connect your organisation")
    await page.go_forward()
    await page.click("#authorize button")
    await page.wait_for_selector("#sign-in")
    await page.go_back()
    await expect(page.locator("#authorize button")).to_be_enabled()
    assert page.url == flow, "the page that leads to Microsoft is no trap"
    await page.click("#authorize button")
    await watched.sign_in("ben@contoso.example")
    await page.wait_for_selector("#confirm")
    # To a page of Microsoft's that was the answer to a form: Chromium asks before it repeats that.
    with contextlib.suppress(Error):
        await page.go_back()
    await page.wait_for_url("chrome-error://**")
    await page.goto(flow)
    await page.click("#confirm button")
    await page.click("#show-key")
    key = await page.inner_text("#suite-key")
    await page.go_back()
    await page.goto(f"{flow}/key")
    await expect(page.locator("#key-title")).to_have_text("The suite key was shown")
    assert (await site.suite_keys.verify(key)).revoked is None


async def test_double_clicks_at_each_step_make_one_tenant_with_one_key(site: Site, watched: Watched):
    page = watched.page
    await page.goto(site.settings.start_url)
    for name, value in APPLICANT.items():
        await page.fill(f"#{name}", value)
    await page.dblclick("#start button")
    await page.wait_for_selector("#authorize button")
    await page.dblclick("#authorize button")
    await watched.sign_in("ben@contoso.example")
    await page.wait_for_selector("#confirm")
    await page.dblclick("#confirm button")
    await page.click("#show-key")
    key = await page.inner_text("#suite-key")
    used = (await site.suite_keys.verify(key)).key_id
    keys = await site.suite_keys.list(site.tenant_id())
    assert [record.key_id for record in keys if record.revoked is None] == [used]


async def test_everything_works_without_scripts(site: Site, chromium: Browser):
    context = await window(chromium, java_script_enabled=False)
    watched = Watched(await context.new_page())
    page = watched.page
    await fill(watched, site)
    await page.dblclick("#authorize button")
    await page.wait_for_selector("#sign-in")
    await watched.sign_in("ben@contoso.example")
    # Microsoft's own page needs scripts to send its answer by itself; without them it has a button.
    await page.click("#answer button")
    await page.wait_for_selector("#confirm")
    await page.dblclick("#confirm button")
    await page.wait_for_selector("#show-key")  # the page loads itself again until it is there
    await page.click("#show-key")
    await page.wait_for_selector("#suite-key")
    await context.close()


async def test_the_key_is_copied_by_a_button(site: Site, chromium: Browser):
    context = await window(chromium, permissions=["clipboard-read", "clipboard-write"])
    watched = Watched(await context.new_page())
    page = watched.page
    await fill(watched, site)
    key = await connect(watched, "ben@contoso.example")
    await page.click("[data-copy=suite-key]")
    await expect(page.locator("#copied")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == key
    await context.close()


async def test_no_other_page_can_frame_ours_or_press_its_buttons(site: Site, watched: Watched):
    page = watched.page
    await fill(watched, site)
    flow = page.url
    await page.goto(f"{site.cloud.url}/organizations/oauth2/v2.0/authorize")  # another site
    await page.set_content(
        f'<iframe src="{flow}"></iframe><form id="evil" method="post" action="{flow}/authorize"><button>Prize</button></form>'
    )
    await page.wait_for_timeout(500)
    framed = [await frame.content() for frame in page.frames[1:]]
    assert framed
    assert all("Let the relay" not in content for content in framed)
    await page.click("#evil button")
    await expect(page.locator("h1")).to_have_text("This form is out of date")


async def test_a_user_without_a_role_can_do_it_alone(site: Site, watched: Watched):
    await fill(watched, site)
    key = await connect(watched, "ben@contoso.example")
    assert (await site.suite_keys.verify(key)).tenant_id == site.tenant_id()


async def test_an_administrator_agrees_for_everybody_and_sends_a_link_to_a_user(
    site: Site, watched: Watched, chromium: Browser
):
    """Who may consent and whose account it is are two people, each at a machine of their own."""
    page = watched.page
    await fill(watched, site, domain="litware.example", organisation="Litware")
    await page.click("#admin-consent button")
    await page.wait_for_selector("#sign-in")
    await page.get_by_role("button", name="admin@litware.example").first.click()
    await page.click("button[value=accept]")
    await expect(page.locator(".notice--good h2")).to_have_text(
        "Microsoft reports that an administrator consented for your organisation"
    )
    assert await site.is_untouched()
    await page.click("#invite button")
    link = await page.inner_text("#link")

    context = await window(chromium)
    quinn = Watched(await context.new_page())
    await quinn.page.goto(link)
    await quinn.page.click("#invited button")
    key = await connect(quinn, "quinn@litware.example")
    assert (await site.suite_keys.verify(key)).tenant_id == site.tenant_id("litware.example")
    await context.close()


async def test_an_administrator_can_do_it_alone(site: Site, watched: Watched):
    await fill(watched, site)
    await connect(watched, "admin@contoso.example")


async def test_the_way_can_be_walked_by_keyboard_alone(site: Site, watched: Watched):
    page = watched.page
    await page.goto(site.settings.start_url)
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    for value in APPLICANT.values():
        await page.keyboard.type(value)
        await page.keyboard.press("Tab")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "one sees where one is"
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Let the relay read presence in Contoso Ltd")
