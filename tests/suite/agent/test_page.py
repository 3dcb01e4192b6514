"""The page of the agent: a real agent on a scripted relay, and a real Chromium, one for all tests."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from importlib import resources
from pathlib import Path

import httpx
import pytest
import trustme
from playwright.async_api import Browser, Page
from starlette.applications import Starlette

from suite.agent.api.page import page_routes
from suite.agent.core.values import RichState, Rule, ShownStatus, SourceName, TelephonyState
from suite.agent.feeds.asterisk import AsteriskFeed
from suite.agent.feeds.sip_publish import SipPublishFeed
from suite.agent.sources.source import NEEDS_A_PERSON, Connector
from suite.icons import REASONS
from tests.onboarding.chromium import LOOKS, ON_ITS_LOOP, PHONE
from tests.suite.agent.pages import COLLEAGUES, says, scene
from tests.suite.agent.test_teams import tell
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

STATIC = resources.files("suite.agent.api").joinpath("static")


# What a person sees


@ON_ITS_LOOP
@pytest.mark.timeout(120)
async def test_a_person_sees_who_said_what_and_why_live_and_finds_people_by_their_states(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    async with scene(chromium, tmp_path, cert, ca_pem) as at, at.premises.agent():
        stream = await at.opened()
        await at.enter()
        page = at.page
        await at.shows("ada", "Microsoft Teams Rich presence; the phone is not in use")
        assert "In a meeting" in await at.row("ada")
        await at.shows("ben", "no such person in the organisation")
        assert await page.inner_text("#shown") == "3 of 3 shown"
        assert await page.inner_text("li[data-source=MSTeams] .chip") == "up and running"

        await at.posts("/v1/telephony", user="1001", state="busy", sequence=1)
        await at.shows("ada", "On the phone")
        await at.shows("ada", "Phone A phone in use takes precedence over rich presence")
        tell(stream, ben=("B", "AVAILABLE"))
        await at.shows("ben", "Available")

        await page.select_option("#by-rich", "in_a_meeting")
        await says(page, "#shown", "1 of 3 shown")
        await page.select_option("#by-phone", "ringing")
        await says(page, "#nobody-text", "No colleague matches.")
        await at.posts("/v1/telephony", user="1001", state="ringing", sequence=2)
        await at.shows("ada", "Phone ringing")
        await page.select_option("#by-phone", "")
        await page.select_option("#by-rich", "")
        await page.fill("#by-user", "1003")
        await says(page, "#shown", "1 of 3 shown")
        await page.fill("#by-user", "")

        assert await page.locator("li[data-source=Asterisk]").count() == 0
        at.premises.more = "[Asterisk]\nEnable=1\nAddress=127.0.0.1\nUser=presence\n"
        at.premises.write_settings()
        await says(page, "li[data-source=Asterisk] .chip", "credentials not found")
        assert "Asterisk.SecretFile" in await page.inner_text("li[data-source=Asterisk]")

        await at.relay.kill()
        await says(page, "li[data-source=MSTeams] .chip", "connection error")
        assert "presence-suite doctor" in await page.inner_text("li[data-source=MSTeams]")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="ada", exact=True).press("ArrowDown")
        await page.keyboard.press("Enter")  # ben
        await says(page, "#details-name", "ben")
        assert "ben@x.org" in await page.inner_text("#details")
        await at.watched.look("agent-details", LOOKS[1:])
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.textContent") == "ben"
        await page.click("#languages button[lang=it]")
        assert await page.inner_text("#people-title") == "Colleghi"
        await at.shows("ada", "Telefono che squilla")
        await at.watched.look("agent-page")
        assert [one for one in at.watched.complaints if "ERR_" not in one] == []


@ON_ITS_LOOP
@pytest.mark.timeout(60)
async def test_somebody_whom_the_file_has_not_is_watched_for_a_minute(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    async with scene(chromium, tmp_path, cert, ca_pem, locale="it-IT") as at, at.premises.agent() as agent:
        stream = await at.opened()
        await at.page.clock.install()
        await at.enter()
        await at.page.click("#watch button")
        assert await at.page.inner_text("#watch-fault") == "Inserisci un nome."
        await at.page.fill("#watch-name", "Eve@x.org")
        await at.page.keyboard.press("Enter")
        await stream.until(lambda: any("Eve@x.org" in change.subscribe_users for change in stream.changes))
        tell(stream, Eve=("E", "FOCUSING"))
        await says(at.page, "#watched-status", "Concentrato")
        await at.shows("Eve@x.org", "Concentrato")
        await at.page.clock.fast_forward(61_000)
        await eventually(lambda: len(agent.board) == 3)
        await eventually(lambda: _has_no(at.page, "Eve@x.org"))
        assert await at.page.is_hidden("#watched")


async def _has_no(page: Page, name: str) -> bool:
    return not await page.get_by_role("button", name=name, exact=True).count()


@ON_ITS_LOOP
@pytest.mark.timeout(60)
async def test_an_agent_that_is_gone_is_told_and_the_page_goes_on_with_the_next_one(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    async with scene(chromium, tmp_path, cert, ca_pem) as at:
        async with at.premises.agent():
            await at.opened()
            await at.enter()
            await at.shows("ada", "In a meeting")
        await at.page.wait_for_selector("#lost")
        assert "may have changed" in await at.page.inner_text("#lost")
        assert "In a meeting" in await at.row("ada")
        await at.watched.look("agent-lost", LOOKS[1:])
        (at.premises.folder / "colleagues.csv").write_text(COLLEAGUES.replace("ben;ben@x.org;1002\n", ""))
        async with at.premises.agent():
            stream = await at.relay.stream()
            stream.started()
            tell(stream, ada=("A", "AVAILABLE"), carla=("C", "AWAY"))
            await at.page.evaluate("document.querySelector('#retry').click()")  # it may have tried again by itself
            await at.shows("ada", "Available")
            assert await at.page.is_hidden("#lost")
            await says(at.page, "#shown", "2 of 2 shown")


# Notes


@ON_ITS_LOOP
@pytest.mark.timeout(120)
async def test_notes_are_written_changed_and_cleared_live_on_every_page_and_script_in_one_stays_text(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    script = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    async with scene(chromium, tmp_path, cert, ca_pem) as at, at.premises.agent():
        await at.opened()
        await at.enter()
        page = at.page
        await page.get_by_role("button", name="ada", exact=True).click()
        await page.fill("#note-text", script)
        await page.click("#note-form button[type=submit]")
        await says(page, "#note-said", "Enter your name, so that others know who wrote it.")
        await page.fill("#note-author", "Eva")
        await page.select_option("#note-until", "hour")
        await page.click("#note-form button[type=submit]")
        await says(page, "#note-said", "The note is saved.")
        await says(page, "#note-now-text", script)
        assert re.match(r"Eva, .+, until ", await page.inner_text("#note-now-by"))

        async with httpx.AsyncClient(base_url=at.premises.url, trust_env=False) as other:
            changed = {"text": "At the dentist\nuntil three", "author": "<b>Tom</b>"}
            (await other.put("/v1/users/ada/note", json=changed)).raise_for_status()
        await says(page, "#note-now-text", changed["text"])
        await eventually(lambda: page.locator("#note-history li").count(), explain=lambda: "no history")
        assert await page.input_value("#note-text") == script  # what is being typed stays
        await eventually(lambda: _has_words(page, "#note-history li:nth-child(1)", "dentist"))
        await eventually(lambda: _has_words(page, "#note-history li:nth-child(2)", script))
        await at.watched.look("agent-note", LOOKS[1:])
        await page.keyboard.press("Escape")
        await at.shows("ada", "At the dentist until three <b>Tom</b>")

        await page.keyboard.press("Enter")  # the focus is where it was
        await page.click("#note-clear")
        await says(page, "#note-said", "The note is cleared.")
        await page.wait_for_selector("#note-now", state="hidden")
        await eventually(lambda: _has_words(page, "#note-history li:nth-child(1)", "cleared"))
        await page.keyboard.press("Escape")
        assert "dentist" not in await at.row("ada")
        assert await page.title() == "Presence agent"
        assert at.watched.complaints == []


async def _has_words(page: Page, selector: str, words: str) -> bool:
    found = page.locator(selector)
    return bool(await found.count()) and words in await found.inner_text()


# Who may see it


@ON_ITS_LOOP
@pytest.mark.timeout(60)
async def test_with_a_token_people_sign_in_and_a_new_token_signs_them_out(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    tokens = ["1f2e3d4c5b6a79880123456789abcdef", "ffffffffffffffff0123456789abcdef"]
    async with scene(chromium, tmp_path, cert, ca_pem) as at:
        (tmp_path / "console.token").touch(0o600)
        (tmp_path / "console.token").write_text(tokens[0])
        at.premises.more = "TokenFile = console.token"
        at.premises.write_settings()
        async with at.premises.agent():
            await at.opened()
            await at.page.goto(at.premises.url)
            await at.page.wait_for_selector("#sign-in")
            assert await at.page.is_hidden("#rows")
            await at.watched.look("agent-sign-in", LOOKS[1:])
            await at.page.fill("#token", tokens[1])
            await at.page.keyboard.press("Enter")
            await says(at.page, "#token-fault", "This is not the agent’s token. Check it.")
            await at.page.fill("#token", tokens[0])
            await at.page.keyboard.press("Enter")
            await at.shows("ada", "In a meeting")
            assert await at.page.is_hidden("#sign-in")
            await at.page.reload()
            await at.shows("ada", "In a meeting")

            (tmp_path / "console.token").write_text(tokens[1])
            await at.page.wait_for_selector("#sign-in")
            assert await at.page.is_hidden("#rows")
            await at.page.fill("#token", tokens[1])
            await at.page.keyboard.press("Enter")
            await at.shows("ada", "In a meeting")
            await at.page.click("#sign-out")
            await at.page.wait_for_selector("#sign-in")
            assert tokens[1] not in await at.page.content()


# What it must not become


@ON_ITS_LOOP
@pytest.mark.timeout(60)
async def test_markup_in_names_stays_text(chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes):
    evil = "<img src=x onerror=document.title='pwned'>"
    colleagues = f"login;upn\n{evil};eve@x.org\n</script><script>document.title='pwned'</script>;sid@x.org\n"
    async with scene(chromium, tmp_path, cert, ca_pem, colleagues) as at, at.premises.agent():
        await at.enter()
        await at.page.get_by_role("button", name=evil, exact=True).click()
        await says(at.page, "#details-name", evil)
        assert await at.page.title() == "Presence agent"
        assert await at.page.locator("main img, dialog img, main script, dialog script").count() == 0
        assert at.watched.complaints == []


@ON_ITS_LOOP
@pytest.mark.timeout(120)
async def test_of_ten_thousand_colleagues_only_those_in_view_are_in_the_page_and_a_change_touches_one_row(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    everybody = "login;extension\n" + "".join(f"user {number:05};{number}\n" for number in range(1, 10_001))
    async with scene(chromium, tmp_path, cert, ca_pem, everybody) as at:
        at.premises.enable = 0
        at.premises.write_settings()
        async with at.premises.agent():
            await at.page.set_viewport_size(PHONE)
            await at.enter()
            await says(at.page, "#shown", "10,000 of 10,000 shown")
            first = at.page.get_by_role("button", name="user 00001", exact=True)
            await first.press("End")
            await eventually(lambda: at.row("user 10000"))
            assert await at.page.locator("#rows-body tr").count() < 60
            assert await at.page.evaluate("document.activeElement.textContent") == "user 10000"
            last = at.page.locator("#rows-body tr", has_text="user 10000")
            await last.evaluate("row => { row.touched = 0; window.rowOfTheTest = row; }")
            await at.page.evaluate(
                """() => { window.drawn = 0; new MutationObserver(all => { window.drawn += all.length; })
                .observe(document.getElementById('rows-body'), { childList: true }); }"""
            )
            await at.posts("/v1/telephony", user="10000", state="ringing", sequence=1)
            await at.posts("/v1/telephony", user="1", state="ringing", sequence=1)  # far away
            await at.shows("user 10000", "Phone ringing")
            assert await at.page.evaluate("[window.rowOfTheTest.isConnected, window.drawn]") == [True, 0]
            await at.page.keyboard.press("Home")
            await at.shows("user 00001", "Phone ringing")


# What it is made of


def words() -> dict[str, dict[str, str]]:
    return json.loads(STATIC.joinpath("words.json").read_text())


def _named() -> Iterator[str]:
    """The keys of everything that the agent may say."""
    yield from (f"rich.{one}" for one in RichState)
    yield from (f"status.{one}" for one in ShownStatus if one.value not in set(RichState))
    yield from (f"phone.{one}" for one in TelephonyState)
    yield from (f"rule.{one}" for one in Rule)
    yield from (f"connection.{one}" for one in Connector)
    yield from (f"todo.{one}" for one in Connector if one is not Connector.UP_AND_RUNNING)
    yield from (f"source.{one}" for one in SourceName)
    yield from (f"reason.{status.label}" for status in REASONS if status.value)
    yield from (f"reason.{one}" for one in ("no_source", "connection_error", "forbidden", "credentials_not_found"))
    yield from (f"reason.{one}" for one in ("too_many_users", "presence_unknown", "told_unknown", "pending"))
    yield from (f"reason.{one}" for one in ("requesting", "error"))
    yield from (f"reason.SipSimple.{one}" for one in ("connection_error", "forbidden", "credentials_not_found"))
    yield from (f"reason.SipSimple.{one}" for one in ("presence_unknown", "not_found", "access_denied", "error"))
    yield from (
        f"todo.SipSimple.{one}" for one in ("connection_error", "forbidden", "credentials_not_found", "disabled")
    )
    for feed in (AsteriskFeed.feed_name, SipPublishFeed.feed_name):
        yield f"feed.{feed}"
        yield from (f"todo.{feed}.{one}" for one in NEEDS_A_PERSON)


def test_everything_that_the_agent_says_has_words_in_both_languages():
    found = words()
    assert set(_named()) - found.keys() == set()
    for key, said in found.items():
        assert said.keys() == {"en", "it"}, key
        assert all(said.values()), key
        assert re.findall(r"{\w+}", said["en"]) == re.findall(r"{\w+}", said["it"]), key


def test_every_word_of_the_page_is_in_the_catalogue_and_every_state_has_a_shape():
    texts = {path.name: path.read_text() for path in STATIC.iterdir() if path.name.endswith((".js", ".html"))}
    asked = {key for text in texts.values() for key in re.findall(r'(?:say\(|data-word(?:-label)?=)"([\w.]+)"', text)}
    assert asked - words().keys() == set()
    shapes = set(re.findall(r'id="icon-(\w+)"', texts["index.html"]))
    assert {one.value for one in ShownStatus} - shapes == {"busy_idle", "on_the_phone"}  # look as another one does


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=page_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as found:
        yield found


async def test_the_page_runs_its_own_scripts_only_and_browsers_ask_whether_it_changed(client: httpx.AsyncClient):
    first = await client.get("/")
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=\"/page/)|\son\w+=|style=|https?://", first.text)
    for path in ("/", "/page/page.js", "/page/words.json", "/page/style.css"):
        answer = await client.get(path)
        assert answer.headers["content-security-policy"] == policy
        again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/page/nothing.js")).status_code == 404
    assert (await client.get("/page/..%2f__init__.py")).status_code == 404
