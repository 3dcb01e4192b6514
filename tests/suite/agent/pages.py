"""A real agent on a scripted relay, and a window of a real browser before its page."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import trustme
from playwright.async_api import Browser, Page

from presence_api.v1 import presence_pb2 as pb
from tests.onboarding.chromium import Watched, window
from tests.suite.agent.agents import Premises
from tests.suite.agent.test_teams import tell
from tests.suite.scripted_relay import OpenedStream, ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

COLLEAGUES = "login;upn;extension\nada;ada@x.org;1001\nben;ben@x.org;1002\ncarla;carla@x.org;1003\n"


@dataclass
class Scene:
    """An agent at work, and a browser window before its page."""

    premises: Premises
    relay: ScriptedRelay
    watched: Watched

    @property
    def page(self) -> Page:
        return self.watched.page

    async def opened(self) -> OpenedStream:
        """The agent's stream, on which everybody has been told."""
        stream = await self.relay.stream()
        stream.started()
        tell(stream, ada=("A", "IN_A_MEETING"), ben=("B", pb.UNKNOWN_REASON_NOT_FOUND), carla=("C", "AWAY"))
        return stream

    async def enter(self) -> None:
        await self.page.goto(self.premises.url)
        await self.page.wait_for_selector("#link.chip--good")

    async def row(self, name: str) -> str:
        """The words of a colleague's row."""
        found = self.page.locator("#rows-body tr", has=self.page.get_by_role("button", name=name, exact=True))
        return " ".join((await found.inner_text()).split()) if await found.count() else ""

    async def shows(self, name: str, words: str) -> None:
        await eventually(lambda: self._shows(name, words))

    async def _shows(self, name: str, words: str) -> bool:
        return words in await self.row(name)

    async def posts(self, path: str, **state: object) -> None:
        async with httpx.AsyncClient(trust_env=False) as connector:
            (await connector.post(f"{self.premises.url}{path}", json={"states": [state]})).raise_for_status()


@contextlib.asynccontextmanager
async def scene(
    browser: Browser,
    folder: Path,
    cert: trustme.LeafCert,
    ca_pem: bytes,
    colleagues: str = COLLEAGUES,
    **options: object,
) -> AsyncIterator[Scene]:
    """Everything but the agent, whose files are written."""
    relay = ScriptedRelay()
    await relay.listen(cert)
    premises = Premises(folder, f"localhost:{relay.port}", free_port())
    premises.write(colleagues, ca_pem)
    context = await window(browser, **options)
    try:
        yield Scene(premises, relay, Watched(await context.new_page()))
    finally:
        await context.close()
        await relay.kill()


async def says(page: Page, selector: str, text: str) -> None:
    """Wait until an element says this."""

    async def is_so() -> bool:
        return await page.inner_text(selector) == text

    await eventually(is_so, explain=lambda: f"{selector}: {text}")
