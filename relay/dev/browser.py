"""Simulates a person at Microsoft's pages: fills in forms until Entra returns the answer for the relay."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import httpx

from relay.dev.folder import DevTrouble

_MOST_PAGES: Final = 8


@dataclass(slots=True)
class HtmlForm:
    """One form of a page: its target, and its prefilled fields."""

    form_id: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


async def sign_in_and_consent(
    authorize_url: str, redirect_uri: str, *, username: str, password: str, ca_pem: str
) -> dict[str, str]:
    """Sign in and accept as a person does; return the fields that Entra posts to the redirect URI.

    Raises:
        DevTrouble: a page is not the expected one.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    async with httpx.AsyncClient(verify=context, follow_redirects=True, timeout=10, trust_env=False) as browser:
        page = await browser.get(authorize_url)
        for _ in range(_MOST_PAGES):
            forms = _forms(page.text)
            answer = next((form for form in forms if form.action == redirect_uri), None)
            if answer is not None:
                return answer.fields
            form = next((form for form in forms if form.form_id in _FILLED), None)
            if form is None:
                break
            filled = {"sign-in": {"username": username, "password": password}, "consent": {"decision": "accept"}}
            page = await browser.post(urljoin(str(page.url), form.action), data=form.fields | filled[form.form_id])
    raise DevTrouble(f"The local Microsoft cloud shows an unexpected page (HTTP {page.status_code}).")


_FILLED: Final = ("sign-in", "consent")


def _forms(page: str) -> list[HtmlForm]:
    parser = _Forms()
    parser.feed(page)
    return parser.found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[HtmlForm] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(HtmlForm(values.get("id", ""), values.get("action", "")))
        elif tag == "input" and self.found and values.get("type") == "hidden":
            self.found[-1].fields[values.get("name", "")] = values.get("value", "")
