"""An operator in front of a browser, played by a script."""

from __future__ import annotations

import httpx

from relay.http.paths import CONSOLE, CONSOLE_CALLBACK
from tests.console.site import OPERATOR, TOKEN
from tests.onboarding.person import Person


class Operator(Person):
    """One browser, at the console."""

    async def leave(self, path: str = CONSOLE) -> httpx.Response:
        """Open a page, press the button, and go on to Entra as the page does by itself."""
        await self.get(path)
        await self.submit("console-sign-in")
        self.page = await self.client.get(self.microsoft_url())
        return self.page

    async def answer(self, fields: dict[str, str]) -> httpx.Response:
        """Bring Entra's answer back."""
        self.page = await self.client.post(
            f"{self.site.url}{CONSOLE_CALLBACK}", data=fields, headers={"origin": self.site.cloud.url}
        )
        return self.page

    async def enter(self, username: str = OPERATOR, path: str = CONSOLE) -> httpx.Response:
        """Sign in with Entra."""
        await self.leave(path)
        return await self.answer(await self.sign_in(username))

    async def enter_with_token(self, token: str = TOKEN) -> httpx.Response:
        await self.get(CONSOLE)
        return await self.submit("console-token", secret=token)

    @property
    def token(self) -> str:
        """The token of the forms of the page."""
        return self.page.text.split('name="token" value="')[1].split('"')[0]

    async def send(self, path: str, **values: str) -> httpx.Response:
        """Send a form that the page may not have, with the token of one that it has."""
        data = {"token": self.token, **values}
        return await self.client.post(self.site.url + path, data=data, headers={"origin": self.site.url})

    async def recheck(self) -> httpx.Response:
        """Follow the page that asks Entra silently, and bring its answer back, as a browser does by itself."""
        self.page = await self.client.get(self.microsoft_url())
        return await self.answer(await self.sign_in())
