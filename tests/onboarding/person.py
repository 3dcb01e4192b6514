"""A person in front of a browser, played by a script that looks at pages as a browser does: forms, links, cookies."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from emulator.generate import PASSWORD
from onboarding.cookies import TENANT_COOKIES
from relay.http.paths import CALLBACK, TENANT
from tests.emulator.driver import form
from tests.onboarding.site import ACCOUNT as ACCOUNT
from tests.onboarding.site import Site

APPLICANT = {
    "organisation": "Contoso Ltd",
    "contact": "Ada Adler",
    "email": "ada@contoso.example",
    "domain": "contoso.example",
}
TO_SIGN_IN = "Let the relay read presence in Contoso Ltd"
CONFIRMED = "Use this account?"
"""Headings of the second step, before and after signing in."""


class Person:
    """One browser. Microsoft's pages and ours share its cookie jar, as they do in life: by host."""

    def __init__(self, site: Site, client: httpx.AsyncClient) -> None:
        self.site = site
        self.client = client
        self.page = httpx.Response(200, request=httpx.Request("GET", site.settings.start_url))
        self._typed_s = 0

    @classmethod
    @asynccontextmanager
    async def at(cls, site: Site, ca_pem: str) -> AsyncIterator[Self]:
        context = ssl.create_default_context(cadata=ca_pem + site.cloud.ca_pem.decode())
        async with httpx.AsyncClient(verify=context, timeout=30, trust_env=False, follow_redirects=True) as client:
            yield cls(site, client)

    def as_new(self) -> None:
        """Lose all cookies: signed in nowhere, and no password typed yet that anybody remembers."""
        self.client.cookies.clear()
        self._typed_s = 0

    async def get(self, path: str) -> httpx.Response:
        self.page = await self.client.get(urljoin(self.site.url, path))
        return self.page

    async def submit(self, form_id: str, **values: str) -> httpx.Response:
        """Fill in a form of the page and send it, as a browser does: it says from where."""
        action, fields = form(self.page.text, form_id)
        target = urljoin(str(self.page.url), action)
        self.page = await self.client.post(target, data={**fields, **values}, headers={"origin": self._origin(target)})
        return self.page

    async def submit_action(self, action: str, **values: str) -> httpx.Response:
        """Send a form of the page that has no id, by where it goes."""
        fields = filled(self.page.text, action)
        assert fields, self.page.text
        target = urljoin(self.site.url, action)
        self.page = await self.client.post(target, data={**fields, **values}, headers={"origin": self._origin(target)})
        return self.page

    async def switch(self, language: str, **changes: str) -> httpx.Response:
        """Choose a language on the page."""
        found = re.search(
            r'class="languages" method="post" action="([^"]+)".*?name="back" value="([^"]*)"', self.page.text, re.DOTALL
        )
        assert found, self.page.text
        target = urljoin(str(self.page.url), found[1])
        data = {"back": unescape(found[2]), "language": language, **changes}
        self.page = await self.client.post(target, data=data, headers={"origin": self._origin(target)})
        return self.page

    async def fill(self, **changes: str) -> httpx.Response:
        """The first form."""
        await self.get("/onboarding")
        return await self.submit("start", **{**APPLICANT, **changes})

    async def leave(self) -> httpx.Response:
        """AUTHORIZE, and on to Microsoft as the page does by itself."""
        await self.submit("authorize")
        self.page = await self.client.get(self.microsoft_url())
        return self.page

    def microsoft_url(self) -> str:
        found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', self.page.text)
        assert found, self.page.text
        return unescape(found[1])

    async def sign_in(self, username: str = ACCOUNT, *, decision: str = "accept") -> dict[str, str]:
        """At Microsoft's pages, until there is an answer for us; returns its fields."""
        if 'id="sign-in"' in self.page.text:
            await self.submit("sign-in", username=username, password=PASSWORD)
        if 'id="consent"' in self.page.text:
            await self.submit("consent", decision=decision)
        if 'id="approval"' in self.page.text:
            await self.submit("approval")
        return form(self.page.text, "answer")[1]

    async def answer(self, fields: dict[str, str]) -> httpx.Response:
        """Bring Microsoft's answer back."""
        self.page = await self.client.post(
            f"{self.site.url}{CALLBACK}", data=fields, headers={"origin": self.site.cloud.url}
        )
        return self.page

    async def authorize(self, username: str = ACCOUNT, *, decision: str = "accept") -> httpx.Response:
        await self.leave()
        return await self.answer(await self.sign_in(username, decision=decision))

    async def confirm(self) -> httpx.Response:
        """Yes, this is the account: until the proof ended in one way or another."""
        await self.submit("confirm")
        return await self.follow()

    async def agree_for_everybody(
        self, username: str = "admin@contoso.example", decision: str = "accept"
    ) -> httpx.Response:
        """An administrator's way: sign in at Microsoft, agree for the whole organisation, and come back."""
        await self.submit("admin-consent")
        self.page = await self.client.get(self.microsoft_url())
        await self.submit("sign-in", username=username, password=PASSWORD)
        if 'id="admin-consent"' in self.page.text and "admin_consent" in self.page.text:
            await self.submit("admin-consent", decision=decision)
        return self.page

    async def sign_out_at_microsoft(self) -> None:
        """So that Microsoft asks again who it is; the page stays."""
        await self.client.get(f"{self.site.cloud.url}/organizations/oauth2/v2.0/logout")

    async def follow(self) -> httpx.Response:
        """Wait for the proof under way to end."""
        wait_s = 0.01
        async with asyncio.timeout(60):
            while "data-live" in self.page.text:
                await asyncio.sleep(wait_s := min(2 * wait_s, 1.0))
                await self.get(str(self.page.url))
        return self.page

    async def complete(self) -> httpx.Response:
        """The same, and on to the key if there is one to be shown."""
        await self.confirm()
        return await self.show_key() if 'id="show-key"' in self.page.text else self.page

    async def show_key(self) -> httpx.Response:
        """On from the overview to the page that shows the key."""
        return await self.get(f"{str(self.page.url).removesuffix('/key')}/key")

    async def overview(self) -> httpx.Response:
        """Back from the key to the overview."""
        return await self.get(str(self.page.url).removesuffix("/key"))

    async def onboard(self, username: str = ACCOUNT, **changes: str) -> str:
        """The whole way; returns the suite key."""
        await self.fill(**changes)
        await self.authorize(username)
        await self.complete()
        return self.key

    async def enter(self, username: str = ACCOUNT) -> httpx.Response:
        """Sign in to the tenant's page."""
        await self.to_sign_in()
        return await self.answer(await self.sign_in(username))

    async def connect(self, account: str = ACCOUNT, **changes: str) -> str:
        """What `onboard` leaves in the store, at a hundredth of its cost; the browser has been nowhere."""
        return await self.site.connect({**APPLICANT, **changes}, account)

    async def enter_at_once(self, account: str = ACCOUNT) -> httpx.Response:
        """Be on the tenant's page with a session as `enter` begins it, but not signed in at Microsoft."""
        secret = await self.site.begin_session(account)
        self.client.cookies.set(TENANT_COOKIES.session, secret, domain="localhost.local", path="/")
        return await self.get(TENANT)

    async def again(self, username: str = ACCOUNT) -> httpx.Response:
        """Type the password once more, for a deed that cannot be undone.

        Microsoft tells whole seconds, so nobody types it twice within one here.
        """
        if int(time.time()) <= self._typed_s:
            await asyncio.sleep(1 - time.time() % 1)
        self.page = await self.client.get(self.microsoft_url())
        fields = await self.sign_in(username)
        self._typed_s = int(time.time())
        return await self.answer(fields)

    async def to_sign_in(self) -> httpx.Response:
        """On to Microsoft from the tenant's page."""
        await self.get(TENANT)
        await self.submit("tenant-sign-in")
        self.page = await self.client.get(self.microsoft_url())
        return self.page

    @property
    def text(self) -> str:
        """What can be read on the page."""
        bare = re.sub(r"<(script|style|head)\b.*?</\1>", " ", self.page.text, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())

    @property
    def heading(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.page.text, re.DOTALL)
        assert found, self.page.text
        return " ".join(unescape(found[1]).split())

    @property
    def notice(self) -> str:
        found = re.search(r'<h2 id="notice-title">(.*?)</h2>', self.page.text, re.DOTALL)
        return unescape(found[1]).strip() if found else ""

    @property
    def link(self) -> str:
        """The link for somebody else on the page; empty when there is none."""
        found = re.search(r'<code id="link"[^>]*>([^<]+)</code>', self.page.text)
        return unescape(found[1]) if found else ""

    @property
    def key(self) -> str:
        """The suite key on the page; empty when there is none."""
        found = re.search(r"psk_[0-9a-f]{16}_[\w-]{43}", self.page.text)
        return found.group() if found else ""

    def _origin(self, url: str) -> str:
        """What a browser says: the page's origin to its own, nothing to others, as both sides' referrer policies have it."""
        page = urlsplit(str(self.page.url))
        target = urlsplit(url)
        same = (page.scheme, page.netloc) == (target.scheme, target.netloc)
        return f"{page.scheme}://{page.netloc}" if same else "null"


def filled(page: str, action: str) -> dict[str, str]:
    """What a browser sends of the form with this action when nobody changes anything in it."""
    reader = _Filled(action)
    for form_ in re.findall(r"<form\b.*?</form>", page, re.DOTALL):  # the rest is much, and slow to read
        reader.feed(form_)
    return reader.fields


class _Filled(HTMLParser):
    """Reads one form's fields, lists and areas as they stand."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._action = action
        self._is_inside = False
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = given.get("action") == self._action
        elif not self._is_inside:
            return
        elif tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.fields[given["name"]] = given.get("value", "")
        elif tag == "select":
            self._select = given["name"]
            self.fields[self._select] = ""
        elif tag == "option" and "selected" in given:
            self.fields[self._select] = given["value"]
        elif tag == "textarea":
            self._area = given["name"]
            self.fields[self._area] = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            self.fields[self._area] = self.fields[self._area].removeprefix("\n").replace("\n", "\r\n")
            self._area = ""
        elif tag == "form":
            self._is_inside = False
