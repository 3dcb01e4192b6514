"""Real Chromium: pages that trust our CAs, and are looked at by axe.

With PICTURES=1 in the environment, as in `make soak` and `make test PICTURES=1`, each look leaves a screenshot for people in
`tests/artifacts/screenshots`. No test compares them, and to paint one costs more than the page.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright

from emulator.generate import PASSWORD

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
PHONE: ViewportSize = {"width": 360, "height": 740}
WIDE: ViewportSize = {"width": 1600, "height": 1000}
SMALL: ViewportSize = {"width": 800, "height": 600}
Look = tuple[str, ViewportSize, Literal["light", "dark"]]
LOOKS: tuple[Look, ...] = (
    ("wide-light", WIDE, "light"),
    ("phone-dark", PHONE, "dark"),
)
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first is Chromium without the windows around its pages, and takes a third of the time for them."""
ON_ITS_LOOP = pytest.mark.asyncio(loop_scope="session")
"""Of tests that use the browser: there is one a process, and it belongs to one event loop."""
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


@asynccontextmanager
async def started(*certificates_pem: bytes) -> AsyncIterator[Browser]:
    """A browser that accepts these certificates, and otherwise trusts the usual CAs."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert path is not None, (
        "Chromium is missing. Install it, for example: sudo apt-get install chromium-headless-shell"
    )
    trust = [f"--ignore-certificate-errors-spki-list={','.join(map(_pin, certificates_pem))}"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *trust])
        try:
            yield browser
        finally:
            await browser.close()


def _pin(pem: bytes) -> str:
    key = x509.load_pem_x509_certificate(pem).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return base64.b64encode(digest).decode()


class Watched:
    """A page of the browser, and everything that it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text} {said.location['url']}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def as_new(self) -> None:
        """Leave the page behind, with its cookies, its routes and what it complained about."""
        await self.page.unroute_all()
        if self.page.url.startswith("https:"):
            # The page leaves by itself: where the browser is told to, it starts another process for the page that follows.
            await self.page.evaluate("location.replace('about:blank')")
            await self.page.wait_for_url("about:blank")
        else:
            await self.page.goto("about:blank")
        await self.page.context.clear_cookies()
        await self.page.set_viewport_size(SMALL)
        await self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        self.complaints.clear()

    async def look(self, name: str, looks: tuple[Look, ...] = LOOKS, *, is_whole: bool = True) -> None:
        """Let axe look at the page in both colour schemes, each in one size; or check only that it is not too wide."""
        for look, viewport, scheme in looks:
            await self.page.set_viewport_size(viewport)
            await self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if is_whole:
                await self.keep(f"{name}-{look}")
            else:
                await self._fits(f"{name}-{look}")

    async def keep(self, name: str) -> None:
        """Let axe look at the page as it is, and keep a screenshot where these are wanted."""
        await self._fits(name)
        found: Any = (await Axe().run(self.page, options={"resultTypes": ["violations"]})).response
        told = [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]
        assert not told, f"{name}: {told}"
        if os.environ.get("PICTURES"):
            ARTIFACTS.mkdir(parents=True, exist_ok=True)
            await self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True, animations="disabled")

    async def _fits(self, where: str) -> None:
        overflow = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{where}: {overflow} px too wide"

    async def again(self, account: str) -> None:
        """Type the password once more at Microsoft, for a deed that cannot be undone."""
        await self.page.wait_for_selector("#sign-in")
        await self.page.fill("#username", account)
        await self.page.fill("#password", PASSWORD)
        await self.page.click("#sign-in button")

    async def text(self) -> str:
        return re.sub(r"\s+", " ", await self.page.inner_text("main"))

    async def sign_in(self, account: str, *, decision: str = "accept") -> None:
        """Microsoft's pages, as a person goes through them."""
        await self.page.wait_for_selector("#sign-in")
        await self.page.get_by_role("button", name=account).first.click()
        await self.page.wait_for_selector("#consent, #approval, .trouble, #confirm, main h1")
        if await self.page.locator("#consent").count():
            await self.page.click(f"button[value={decision}]")
        elif await self.page.locator("#approval button").count():
            await self.page.click("#approval button")


async def window(browser: Browser, **options: Any) -> BrowserContext:
    """Open a window of its own: small and without motion, because painting without a graphics card is most of a test's cost."""
    return await browser.new_context(viewport=SMALL, reduced_motion="reduce", **options)
