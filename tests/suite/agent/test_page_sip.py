"""SIP on the page of the agent: the connection, what to do, and why nothing is known of somebody, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from playwright.async_api import Browser, Page

from tests.onboarding.chromium import LOOKS, ON_ITS_LOOP
from tests.sip.scripted_server import accept, refuses, scripted, tells
from tests.suite.agent.pages import says, scene
from tests.support.waiting import eventually

CONNECTION = "li[data-source=SipSimple]"


@pytest.mark.long
@ON_ITS_LOOP
@pytest.mark.timeout(120)
async def test_the_connection_and_the_reasons_are_told_in_the_words_of_sip(
    chromium: Browser, tmp_path: Path, cert: trustme.LeafCert, ca_pem: bytes
):
    users = {"ada": refuses(403), "ben": refuses(404), "carla": refuses(500), "dora": tells(b"")}
    silent = {"eva": lambda request: [accept(request)]}
    rows = "login,sip\n" + "".join(f"{user},{user}@pbx.example\n" for user in (*users, *silent, "fay"))
    async with scripted(**users, **silent) as server, scene(chromium, tmp_path, cert, ca_pem, rows) as at:
        settings = f"[SipSimple]\nEnable = 1\nAddress = {server.address}\nUri = sip:suite@pbx.example\n"
        at.premises.enable, at.premises.more = 0, settings
        at.premises.write_settings()
        async with at.premises.agent():
            await at.enter()
            page = at.page
            await says(page, f"{CONNECTION} .chip", "up and running")
            await at.shows("ada", "the SIP server does not permit it")
            await at.shows("ben", "no such user at the SIP server")
            await at.shows("carla", "the SIP server answers with an error")
            await at.shows("dora", "the SIP server has no information about this user")
            await at.shows("eva", "requested, no answer yet")
            await at.shows("fay", "Available")
            server.answers["suite"] = refuses(403)
            at.premises.more = f"{settings}AuthId = other\n"
            at.premises.write_settings()
            await says(page, f"{CONNECTION} .chip", "forbidden")
            assert "Check SipSimple.AuthId and the password." in await page.inner_text(CONNECTION)
            await at.shows("fay", "the SIP server refuses the agent")
            await at.watched.look("agent-sip", LOOKS)
            await page.click("#languages button[lang=it]")
            await eventually(lambda: _says(page, "Il server SIP rifiuta l’agente."))
            await at.shows("fay", "il server SIP rifiuta l’agente")
            at.premises.more = settings.replace("Enable = 1", "Enable = 0")
            at.premises.write_settings()
            await says(page, f"{CONNECTION} .chip", "disattivato")
            assert "SipSimple.Enable = 1" in await page.inner_text(CONNECTION)


async def _says(page: Page, words: str) -> bool:
    return words in await page.inner_text(CONNECTION)
