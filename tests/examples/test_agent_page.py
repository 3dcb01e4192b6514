"""The console in a web page: 60 lines of JavaScript, in real Chromium, beside a real agent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.examples import tools
from tests.examples.premises import site
from tests.onboarding.chromium import ON_ITS_LOOP
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

FOLDER = tools.EXAMPLES / "agent/page"
MARKUP = "<img src=x onerror=document.title='bad'>"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_said: object) -> None:
        pass


@pytest.fixture
def origin() -> Iterator[str]:
    """A web server of somebody's with the page."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(FOLDER))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def shown(page: Page) -> dict[str, tuple[str, str]]:
    """Name -> status and class of each row."""
    rows = await page.evaluate(
        "[...document.querySelectorAll('li')].map(row => [row.firstChild.textContent, row.querySelector('span').textContent, row.className])"
    )
    return {name: (status, marked) for name, status, marked in rows}


def test_it_has_sixty_lines():
    assert len((FOLDER / "console.js").read_text().splitlines()) <= 60


@ON_ITS_LOOP
@pytest.mark.timeout(240)
async def test_a_page_shows_colleagues_draws_a_break_and_goes_on(chromium: Browser, origin: str, tmp_path: Path):
    async with site(tmp_path) as here:
        here.premises.more = f"Origins = {origin}"
        here.premises.write_settings()
        page = await chromium.new_page()
        try:
            async with here.premises.agent():
                stream = await here.begin()
                await page.goto(f"{origin}/console.html?agent={here.premises.url}")

                async def is_there() -> bool:
                    return await shown(page) == {"ada": ("Busy", ""), "ben": ("Unknown (not_found)", "")}

                await eventually(is_there, explain=lambda: stream.changes)
                assert await page.text_content("#connection") == "Live"
                (tmp_path / "colleagues.csv").write_text(f"login;upn\nada;ada@x.org\n{MARKUP};\n")
                await eventually(lambda: _has(page, {"ada", MARKUP}))
                assert await page.title() == "Colleagues"
            await eventually(lambda: page.evaluate("document.querySelector('ul').className == 'cut'"))
            async with here.premises.agent():
                await eventually(lambda: page.evaluate("document.querySelector('#connection').textContent == 'Live'"))
                assert (await shown(page))["ada"] == ("Busy", "uncertain")
        finally:
            await page.close()


async def _has(page: Page, names: set[str]) -> bool:
    return set(await shown(page)) == names
