"""What every answer carries, the cookies, and that secrets stay where they belong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest
import structlog
from redis.asyncio import Redis

from onboarding.app import opened
from onboarding.identity_association import PATH
from onboarding.settings import WebSettings
from pages.settings import RateLimits
from tests.graph.conftest import settings_for
from tests.onboarding.person import Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]
PUBLIC = "https://relay.example"


async def public(
    site: Site, path: str = "/onboarding", *, has_identity_association: bool = False, **options: object
) -> httpx.Response:
    """A page as it is served under a public name, behind an ingress."""
    settings = WebSettings(
        public_url=PUBLIC, suite_address="relay.example:443", has_identity_association=has_identity_association
    )
    graph = settings_for(site.cloud)
    async with opened(settings, site.store, site.ring, graph) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
            return await client.request("GET", path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["/", "/onboarding", "/onboarding/nothing", "/onboarding/callback", "/onboarding/tenant", "/elsewhere"]
)
async def test_every_page_has_the_same_guards(site: Site, path: str):
    headers = (await public(site, path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert "server" not in headers


async def test_microsoft_finds_the_application_at_the_publishers_domain(site: Site):
    answer = await public(site, PATH, has_identity_association=True)
    assert answer.headers["content-type"] == "application/json"  # Microsoft refuses others
    assert answer.json() == {"associatedApplications": [{"applicationId": settings_for(site.cloud).client_id}]}


async def test_no_publisher_is_claimed_unless_the_operator_says_so(site: Site):
    assert (await public(site, PATH)).status_code == 404


async def test_pages_need_nothing_inline_and_nothing_from_elsewhere(person: Person):
    await person.fill()
    pages = [person.page.text]
    await person.authorize()
    pages.append(person.page.text)
    await person.complete()
    for page in [*pages, person.page.text]:
        assert " style=" not in page
        assert not re.search(r"\son\w+=", page)
        assert not re.search(r"<script(?![^>]* src=)", page)
        assert re.findall(r'(?:src|href|action)="(https?:[^"]*)"', page) == []


async def test_static_files_are_kept_for_ever_and_change_their_address(site: Site):
    page = await public(site)
    (style,) = re.findall(r'rel="stylesheet" href="([^"]+)"', page.text)
    assert re.search(r"\?v=[0-9a-f]{12}$", style)
    answer = await public(site, style)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_localhost_is_spared_hsts_which_knows_no_ports(person: Person):
    assert "strict-transport-security" not in (await person.get("/onboarding")).headers


async def test_cookies_are_bound_to_the_host_and_hidden_from_scripts(person: Person):
    await person.get("/onboarding")
    set_cookies = person.page.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in set_cookies] == ["__Host-onboarding"]
    sent = await person.submit("start", organisation="C", contact="A", email="a@b.de", domain="contoso.example")
    set_cookies += sent.history[0].headers.get_list("set-cookie")
    flow_id = str(sent.url).rpartition("/")[2]
    sites = {}
    for cookie in set_cookies:
        name, *attributes = (part.strip() for part in cookie.split(";"))
        assert {"Path=/", "Secure", "HttpOnly"} < set(attributes)
        assert not any(attribute.startswith("Domain") for attribute in attributes)
        sites[name.partition("=")[0]] = attributes[-1]
    assert sites == {
        "__Host-onboarding": "SameSite=Lax",
        f"__Host-onboarding-{flow_id}": "SameSite=Lax",
        f"__Host-return-{flow_id}": "SameSite=None",
    }


async def test_no_secret_is_in_the_store_an_address_or_a_log(person: Person, raw: Redis):
    seen: list[str] = []
    with structlog.testing.capture_logs() as logs:
        await person.fill()
        await person.leave()
        answer = await person.sign_in()
        seen.append(str(person.page.url))
        await person.answer(answer)
        seen.append(str(person.page.url))
        kept = [str(await raw.get(name)) for name in await raw.keys("flow:*")]
        await person.complete()
        seen.append(str(person.page.url))
    assert person.key
    cookies = [cookie.value or "" for cookie in person.client.cookies.jar if cookie.name.startswith("__Host-")]
    dump = [str(await raw.dump(name)) for name in await raw.keys("*")]
    everything = "\n".join([*seen, *kept, *dump, *map(str, logs)])
    for secret in [*cookies, answer["code"], person.key.split("_", 2)[2], "refresh_token", "Ada Adler ada@"]:
        assert len(secret) > 8
        assert secret not in everything
    assert "Ada Adler" not in "\n".join([*seen, *kept, *map(str, logs)])


async def test_too_many_requests_of_one_address_are_slowed_down_with_a_page(
    start_site: Callable[..., Awaitable[Site]], meet: Meet
):
    person = await meet(await start_site(rate_limits=RateLimits(requests=20, sign_ups=3)))
    for _ in range(3):
        await person.fill()
        assert person.page.status_code == 200
    await person.fill()
    assert (person.page.status_code, person.heading) == (429, "Wait a moment")
    assert person.page.headers["retry-after"] == "60"
    for _ in range(20):
        await person.get("/onboarding")
    assert person.page.status_code == 429


async def test_the_address_of_a_proxy_is_believed_only_when_it_is_trusted(
    start_site: Callable[..., Awaitable[Site]], meet: Meet
):
    pace = RateLimits(requests=3)
    for trusted, statuses in (("", {200, 429}), ("127.0.0.1", {200})):
        person = await meet(await start_site(rate_limits=pace, trusted_proxies=trusted))
        url = person.site.settings.start_url
        answers = [await person.client.get(url, headers={"x-forwarded-for": f"203.0.113.{n}"}) for n in range(8)]
        assert {answer.status_code for answer in answers} == statuses


async def test_a_slow_request_is_given_up(start_site: Callable[..., Awaitable[Site]]):
    site = await start_site(request_time=timedelta(milliseconds=200), tls_cert_pem=None, tls_key_pem=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.settings.port)
    head = f"POST /onboarding HTTP/1.1\r\nHost: localhost:{site.settings.port}\r\nContent-Length: 50\r\n\r\nslow"
    writer.write(head.encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    assert b" 408 " in answer
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    "changes",
    [
        {"public_url": "https://relay.example/path"},
        {"public_url": "http://relay.example"},
        {"public_url": "relay.example"},
        {"public_url": "https://relay.example?x=1"},
        {"tls_cert_pem": b"x"},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, object]):
    with pytest.raises(ValueError):
        WebSettings(**{"public_url": PUBLIC, "suite_address": "relay.example:443", **changes})  # type: ignore[arg-type]


def test_the_redirect_uri_follows_from_the_settings():
    settings = WebSettings(public_url=PUBLIC, suite_address="relay.example:443")
    assert settings.redirect_uri == "https://relay.example/onboarding/callback"
    assert settings.hosts == {"relay.example", "relay.example:443"}
    with_port = WebSettings(public_url="https://relay.example:8443", suite_address="relay.example:443")
    assert with_port.hosts == {"relay.example:8443"}
