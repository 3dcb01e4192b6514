"""A browser and MSAL, as far as the emulator's tests need them."""

from __future__ import annotations

import asyncio
import html
import re
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import msal

from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from emulator.generate import PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulator import Cloud

SCOPES = ["Presence.Read.All", "User.ReadBasic.All"]
RELAY = "presence-relay@contoso.example"

_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_INPUT = re.compile(r"<input\b([^>]*)>")


@asynccontextmanager
async def browser(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that trusts the cloud and keeps cookies."""
    context = ssl.create_default_context(cadata=cloud.ca_pem.decode())
    async with httpx.AsyncClient(base_url=cloud.url, verify=context, timeout=20) as client:
        yield client


def form(page: str, form_id: str) -> tuple[str, dict[str, str]]:
    """The action and the fields, with their values, of the form with an id."""
    for head, inner in _FORM.findall(page):
        attributes = dict(_ATTRIBUTE.findall(head))
        if attributes.get("id") == form_id:
            inputs = [dict(_ATTRIBUTE.findall(each)) for each in _INPUT.findall(inner)]
            fields = {
                each["name"]: html.unescape(each.get("value", "")) for each in inputs if each.get("type") != "checkbox"
            }
            return html.unescape(attributes["action"]), fields
    raise AssertionError(f"no form {form_id} in {page}")


async def submit(client: httpx.AsyncClient, page: httpx.Response, form_id: str, **values: str) -> httpx.Response:
    """Fill in a form of a page and send it."""
    action, fields = form(page.text, form_id)
    return await client.post(urljoin(str(page.url), action), data={**fields, **values})


async def walk(
    client: httpx.AsyncClient, uri: str, *, username: str = RELAY, password: str = PASSWORD, decision: str = "accept"
) -> dict[str, str]:
    """Sign in, decide on the consent page if there is one, and return what was sent to the application."""
    page = await client.get(uri)
    if 'id="sign-in"' in page.text:
        page = await submit(client, page, "sign-in", username=username, password=password)
    if 'id="consent"' in page.text:
        page = await submit(client, page, "consent", decision=decision)
    return answer_of(page)


def answer_of(page: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect or a form_post page sends to the application."""
    if page.status_code == 302:
        return dict(parse_qsl(urlsplit(page.headers["location"]).query))
    return form(page.text, "answer")[1]


def application(
    cloud: Cloud, folder: Path, tenant: str = "organizations", **options: Any
) -> msal.ConfidentialClientApplication:
    """Unmodified MSAL, pointed at the cloud. It blocks: call it in a thread."""
    ca = folder / "ca.pem"
    ca.write_bytes(cloud.ca_pem)
    options = {"client_credential": SECRET, **options}
    return msal.ConfidentialClientApplication(
        CLIENT_ID, authority=f"{cloud.url}/{tenant}", instance_discovery=False, verify=str(ca), **options
    )


async def sign_in(
    app: msal.ConfidentialClientApplication,
    client: httpx.AsyncClient,
    *,
    scopes: list[str] | None = None,
    **walking: str,
) -> dict[str, Any]:
    """The authorization-code flow from end to end; MSAL's result."""
    flow = app.initiate_auth_code_flow(scopes or SCOPES, redirect_uri=REDIRECT_URI, response_mode="form_post")
    answer = await walk(client, flow["auth_uri"], **walking)
    return await asyncio.to_thread(app.acquire_token_by_auth_code_flow, flow, answer)


def bearer(cloud: Cloud, who: str = RELAY, *scopes: str) -> dict[str, str]:
    """An authorization header, without anybody signing in."""
    registered = cloud.world.application(CLIENT_ID) or next(iter(cloud.world.applications.values()))
    wanted = set(scopes or SCOPES)
    return {"authorization": f"Bearer {cloud.tokens.access_token(cloud.person(who), registered, wanted, 3599)}"}
