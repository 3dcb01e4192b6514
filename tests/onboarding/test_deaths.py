"""Each documented way a grant dies, from `emulator/entra/deaths.toml`: what the tenant's page says, in both languages, and the one
click that cures it. How Entra's answers become these refusals is tried in `tests/graph/test_deaths.py`.

`make test` has a page, a cure and a sign-in for each sentence, and one picture; `make soak` has them for each death, and a picture of each sentence.
That each death has its sentence is looked at without a page, in every run.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
import trustme
from _pytest.mark import ParameterSet
from playwright.async_api import Browser
from redis.asyncio import Redis

from emulator import Config, Emulator
from pages.problems import PROBLEMS
from relay.core.consent.grants import GrantState
from relay.core.consent.microsoft_error import RefusalRecord, parse_error
from relay.core.consent.refusals import RefusalClass, classify
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.http.paths import TENANT
from relay.locale.languages import CATALOGUE, Language
from relay.store.sealing.keyring import KeyRing
from relay.store.server.connection import Store, StoreSettings
from tests.onboarding.chromium import ON_ITS_LOOP, PHONE, Watched, window
from tests.onboarding.inventory import Visit
from tests.onboarding.person import Person
from tests.onboarding.site import Site, web_settings
from tests.support.valkey import ValkeyServer, free_port

DEATHS: list[dict[str, Any]] = tomllib.loads(Path("emulator/entra/deaths.toml").read_text())["death"]
FATAL = [death for death in DEATHS if death["class"] == "consent_required"]
TRACE = "0d4cb9a2-5a1b-4b6e-9f7e-0e6f3b1c2d00"


def sentence(death: dict[str, Any]) -> str:
    return classify(death["error"], death.get("suberror", ""), [death["code"]]).sentence


FIRST = {said: death for death in reversed(FATAL) for said in [sentence(death)]}
"""Sentence -> the first death that it is said of."""
TOLD_OTHERWISE = {65004: "declined", 90094: "admin_needed", 90095: "approval_asked"} | dict.fromkeys(
    (54005, 501481, 700005), "sign_in_stale"
)
"""Numbers that mean something of their own to whoever stands in front of the page."""


def fatal() -> Iterator[ParameterSet]:
    """Each death, and whether a picture is taken; but for the first of each sentence for `make soak`."""
    for at, death in enumerate(FATAL):
        is_first = FIRST[sentence(death)] is death
        yield pytest.param(death, at == 0, id=name(death), marks=[] if is_first else [pytest.mark.soak])
        if is_first and at:
            yield pytest.param(death, True, id=f"{name(death)}-picture", marks=[pytest.mark.soak])


def refused() -> Iterator[ParameterSet]:
    """Each death; but for the first of each sentence, and those that are told otherwise, for `make soak`."""
    seen = set[str]()
    for death in DEATHS:
        is_new = sentence(death) not in seen or death["code"] in TOLD_OTHERWISE
        yield pytest.param(death, id=name(death), marks=[] if is_new else [pytest.mark.soak])
        seen.add(sentence(death))


def name(death: dict[str, Any]) -> str:
    return f"{death['code']}-{death['name']}"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(valkey: ValkeyServer, ring: KeyRing, cert: trustme.LeafCert) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(StoreSettings(url=valkey.url)))
        cloud = await stack.enter_async_context(Emulator.start(Config()))
        yield await stack.enter_async_context(Site.serving(web_settings(free_port(), cert), store, ring, cloud))


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def watched(chromium: Browser) -> AsyncIterator[Watched]:
    """One window for all pictures."""
    async with await window(chromium) as context:
        yield Watched(await context.new_page())


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def ada(site: Site, valkey: ValkeyServer, authority: trustme.CA) -> AsyncIterator[Person]:
    """The contact, who is signed in to the page of a tenant that was connected with its service account."""
    async with Redis.from_url(valkey.url) as raw:
        await raw.flushall()
    ca_pem = authority.cert_pem.bytes().decode()
    async with Person.at(site, ca_pem) as person, Person.at(site, ca_pem) as ada:
        await person.onboard()
        await ada.enter("ada@contoso.example")
        yield ada


@pytest.mark.parametrize("death", DEATHS, ids=name)
def test_a_death_has_a_sentence_of_its_own_in_both_languages(death: dict[str, Any]):
    said = sentence(death)
    assert said != classify("").sentence
    assert CATALOGUE[Language.ITALIAN][said] != said
    # What the data tells apart, the sentences tell apart: whose matter it is.
    assert (
        classify(death["error"], death.get("suberror", ""), [death["code"]]).kind
        is RefusalClass[death["class"].upper()]
    )


@pytest.mark.timeout(60)
@ON_ITS_LOOP
@pytest.mark.parametrize(("death", "is_pictured"), list(fatal()))
async def test_a_dead_grant_is_explained_on_the_page_and_cured_with_one_click(
    site: Site, ada: Person, watched: Watched, death: dict[str, Any], is_pictured: bool
):
    await die(site, death)

    for language in (Language.ITALIAN, Language.ENGLISH):
        ada.client.headers["accept-language"] = language.value
        await ada.get(TENANT)
        said = sentence(death)
        assert CATALOGUE[language].get(said, said) in ada.text
        assert f"AADSTS{death['code']}" in ada.text
        assert TRACE in ada.text
    if is_pictured:
        await picture(site, ada, watched, f"death-{name(death)}")

    await ada.submit("cure")
    ada.page = await ada.client.get(ada.microsoft_url())
    await ada.answer(await ada.sign_in())

    tenant = await site.tenants.load(site.tenant_id())
    assert tenant is not None
    assert tenant.state is TenantState.ACTIVE
    (grant,) = await site.vault.list(site.tenant_id())
    assert (grant.state, grant.error) == (GrantState.HEALTHY, "")


async def die(site: Site, death: dict[str, Any]) -> None:
    """What the worker writes when it finds a grant dead."""
    tenant_id = site.tenant_id()
    (grant,) = await site.vault.list(tenant_id)
    code = "/".join(filter(None, (death["error"], death.get("suberror", ""))))
    said = parse_error(number=death["code"], description=f"AADSTS{death['code']}: {death['text']}", trace_id=TRACE)
    trouble = RefusalRecord(code=code, at=datetime.now(UTC), said=said)
    await site.vault.set_state(tenant_id, grant.account_id, grant.version, GrantState.DEAD, code, trouble=trouble)
    await site.tenants.happened(tenant_id, TenantEvent.LAST_GRANT_DIED, trouble=trouble)


async def picture(site: Site, ada: Person, watched: Watched, called: str) -> None:
    await watched.as_new()
    await watched.page.set_viewport_size(PHONE)
    await Visit(site, watched.page, ada, Language.ENGLISH).show(TENANT)
    assert await watched.page.get_by_role("button", name="Renew consent").count() >= 1
    await watched.keep(called)


# The same refusals in front of somebody who is just signing in


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def ben(site: Site, authority: trustme.CA) -> AsyncIterator[Person]:
    async with Person.at(site, authority.cert_pem.bytes().decode()) as ben:
        yield ben


@pytest.mark.timeout(60)
@ON_ITS_LOOP
@pytest.mark.parametrize("death", list(refused()))
async def test_a_refused_sign_in_says_why_what_to_do_and_which_request_it_was(
    site: Site, ben: Person, death: dict[str, Any]
):
    await ben.fill(domain="fabrikam.example")
    await ben.submit("authorize")
    state = parse_qs(urlsplit(ben.microsoft_url()).query)["state"][0]
    said = (
        f"AADSTS{death['code']}: {death['text']} Trace ID: {TRACE} Correlation ID: {TRACE[::-1]} "
        "Timestamp: 2026-11-26 20:15:09Z"
    )
    answer = {"state": state, "error": death["error"], "error_description": said}
    if "suberror" in death:
        answer["suberror"] = death["suberror"]
    await ben.answer(answer)
    told = TOLD_OTHERWISE.get(death["code"])
    means = PROBLEMS[told].text if told else sentence(death)
    for detail in (means, f"AADSTS{death['code']}", TRACE, TRACE[::-1], "2026-11-26 20:15:09Z"):
        assert detail in ben.text
    assert 'id="authorize"' in ben.page.text or "button--main" in ben.page.text, "there is a way on"
    if ben.page.status_code == 200:  # the request's own page can be read again
        await ben.switch("it")
        assert CATALOGUE[Language.ITALIAN][means] in ben.text
        await ben.switch("en")
    assert await site.vault.list(site.tenant_id("fabrikam.example")) == []
