"""A flood of forms, from one network or from many, locks nobody out and fills no store."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import trustme

from onboarding.cookies import FORM_COOKIE
from onboarding.settings import Quotas
from pages.browser_secrets import form_token, new_secret
from pages.settings import RateLimits
from relay.store.custody.proxies import Proxies
from tests.onboarding.person import APPLICANT, Person
from tests.onboarding.site import Site
from tests.support.topology import raw_client

pytestmark = [pytest.mark.finding(9), pytest.mark.long]

Meet = Callable[..., Awaitable[Person]]
Start = Callable[..., Awaitable[Site]]
PACE = RateLimits()


def flood(
    site: Site, networks: int, each: int, data: dict[str, str] | None, cookie: str = ""
) -> list[Awaitable[httpx.Response]]:
    """Forms from many networks, by a proxy that the relay trusts."""
    return [
        _post(site, f"198.{18 + n // 250}.{n % 250}.1", data, cookie, path)
        for n in range(networks)
        for k in range(each)
        for path in ("/onboarding", "/onboarding/tenant/sign-in")[k % 2 : k % 2 + 1]
    ]


async def _post(site: Site, address: str, data: dict[str, str] | None, cookie: str, path: str) -> httpx.Response:
    headers = {"origin": site.url, "x-forwarded-for": address} | ({"cookie": cookie} if cookie else {})
    async with _HERE[0][1]:
        return await _HERE[0][0].post(f"{site.url}{path}", data=data, headers=headers)


_HERE: list[tuple[httpx.AsyncClient, asyncio.Semaphore]] = []


@pytest.fixture
async def client(authority: trustme.CA, start_site: Start) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is gone before the site is, which would wait for its connections."""
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    async with httpx.AsyncClient(verify=context, timeout=30, trust_env=False) as made:
        _HERE[:] = [(made, asyncio.Semaphore(20))]
        yield made


@pytest.mark.usefixtures("client")
async def test_sixty_networks_with_empty_forms_lock_nobody_out(start_site: Start, meet: Meet):
    site = await start_site(rate_limits=PACE, trusted_proxies="127.0.0.1")
    answers = await asyncio.gather(*flood(site, 60, 4, {}))
    assert {answer.status_code for answer in answers} <= {400, 403}
    assert await site.is_untouched()
    assert not [name async for name in raw_client(site.store).scan_iter()], (
        "refused before Redis was asked for anything"
    )
    person = await meet(site)
    await person.onboard()
    assert await site.suite_keys.verify(person.key)
    await person.get("/onboarding/tenant")
    await person.submit("tenant-sign-in")
    assert person.page.status_code == 200


@pytest.mark.usefixtures("client")
async def test_forms_with_a_token_from_many_networks_leave_a_bounded_number_of_flows(start_site: Start, meet: Meet):
    site = await start_site(rate_limits=PACE, trusted_proxies="127.0.0.1", quotas=Quotas(most=20))
    person = await meet(site)
    await person.fill()
    await person.authorize()  # it has gone on
    secret = new_secret()
    data = {**APPLICANT, "token": form_token(secret)}
    answers = await asyncio.gather(*flood(site, 20, 8, data, f"{FORM_COOKIE}={secret}"))
    assert {answer.status_code for answer in answers} == {200, 303}
    flows = [name async for name in raw_client(site.store).scan_iter("flow:*")]
    assert 20 <= len(flows) <= 2 * 20 + 10
    await person.complete()
    assert await site.suite_keys.verify(person.key), "who has gone on is not dropped for those who have not"
    late = await meet(site)
    await late.fill()
    assert late.page.status_code == 200


async def test_sign_ins_go_on_while_one_network_floods_sign_ups(start_site: Start, meet: Meet):
    site = await start_site(rate_limits=RateLimits(sign_ups=2))
    person = await meet(site)
    for _ in range(4):
        await person.fill()
    assert person.page.status_code == 429
    await person.get("/onboarding/tenant")
    await person.submit("tenant-sign-in")
    assert person.page.status_code == 200


async def test_a_proxy_that_nobody_named_is_told_of(start_site: Start, meet: Meet, capsys: pytest.CaptureFixture[str]):
    site = await start_site()
    person = await meet(site)
    for n in range(5):
        await person.client.get(f"{site.url}/onboarding", headers={"x-forwarded-for": f"203.0.113.{n}"})
    assert await Proxies(site.store).last() is not None
    assert capsys.readouterr().out.count("proxy_not_trusted") == 1
