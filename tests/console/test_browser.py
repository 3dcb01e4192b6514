"""Every page of the console in every state, in real Chromium: axe finds nothing, and a picture of each is kept where they are wanted.

One browser for all rows, which are by turns in English and Italian, wide and light or dark on a phone; `make soak` looks at each
row in both. The first row of a page is part of `make test` and is looked at whole; the others are part of `make test-long`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from _pytest.mark import ParameterSet
from playwright.async_api import Browser, Page
from redis.asyncio import Redis

import console as package
from emulator import Config, Emulator
from emulator.faults import Fault
from relay.core.audit.events import OPERATOR as COMMAND_LINE
from relay.core.audit.events import Actor
from relay.core.consent.microsoft_error import MicrosoftError, RefusalRecord
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.presence import Name, Status, TenantId
from relay.core.shares import PartitionLoad
from relay.http.paths import CONSOLE
from relay.locale.languages import Language
from relay.store.custody.operator_log import ActKind, OperatorAct, OperatorLog
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.presence.connected import ConnectedSuites, OpenStreams
from relay.store.presence.interest import Interest
from relay.store.presence.workers import Workers
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import RingMarks
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from tests.console.site import (
    CLIENT_ID,
    CONTOSO,
    OPERATOR,
    READER,
    READER_ROLE,
    ROLE,
    STRANGER,
    TOKEN,
    ConsoleSite,
    console_settings,
    entra,
)
from tests.onboarding.chromium import LOOKS, ON_ITS_LOOP, Look, Watched, window
from tests.support.topology import raw_client
from tests.support.valkey import ValkeyServer, free_port

TENANT = f"{CONSOLE}/tenants/{CONTOSO}"
LANGUAGES = (Language.ENGLISH, Language.ITALIAN)
DAY = timedelta(days=1)
WORKER = "presence-relay-worker-7d9c5b8f64-x2x4q-3f9a01bc"
EDGE = "presence-relay-edge-5f6b7c8d9-abcde-77aa01bc"


@dataclass
class Consoles:
    """Both consoles on one store and one cloud: sign-in by Entra, and by the token of a trial."""

    entra: ConsoleSite
    trial: ConsoleSite


@dataclass
class Visit:
    """One visit of one row, by somebody with the token unless the row says otherwise."""

    consoles: Consoles
    page: Page

    @property
    def site(self) -> ConsoleSite:
        return self.consoles.trial

    async def enter(self, path: str = CONSOLE) -> None:
        """Sign in with the link that `presence-relay dev` prints, and open a page."""
        await self.page.goto(f"{self.site.url}{CONSOLE}#token={TOKEN}")
        await self.page.wait_for_selector("#sign-out")
        if path != CONSOLE:
            await self.goto(path)

    async def goto(self, path: str) -> None:
        await self.page.goto(self.site.url + path)

    async def sign_in(self, account: str = OPERATOR) -> None:
        """Sign in with Entra."""
        await self.page.goto(self.consoles.entra.url + CONSOLE)
        await self.page.click("#console-sign-in button")
        await Watched(self.page).sign_in(account)


Visiting = Callable[[Visit], Awaitable[None]]
ROWS: list[tuple[str, str, Visiting]] = []
"""(template, state, what brings the browser there)."""


def row(page: str, state: str) -> Callable[[Visiting], Visiting]:
    def register(visit: Visiting) -> Visiting:
        ROWS.append((page, state, visit))
        return visit

    return register


def opened(page: str, state: str, path: str, prepare: Callable[[ConsoleSite], Awaitable[object]] | None = None) -> None:
    """A page as it opens to somebody with the token, once what it shows is there."""

    async def visit_(visit: Visit) -> None:
        if prepare is not None:
            await prepare(visit.site)
        await visit.enter(path)

    row(page, state)(visit_)


def put(**changes: Any) -> Callable[[ConsoleSite], Awaitable[object]]:
    """Contoso is there."""
    return lambda site: site.put(**changes)


# ------------------------------------------------------------ what is there


async def populate(site: ConsoleSite) -> None:
    """Tenants in each state, with what workers and edges said of them."""
    await site.put(settings={"map:BusyIdle": "AWAY", "contact_email": "ada@contoso.example"})
    others = {
        "fabrikam": TenantState.PENDING, "litware": TenantState.ACTIVE, "adventure-works-international-holdings": TenantState.ACTIVE,
        "woodgrove": TenantState.SUSPENDED, "tailspin": TenantState.ACTIVE,
    }  # fmt: skip
    ids = {name: TenantId(f"{number:08}-2222-4222-8222-222222222222") for number, name in enumerate(others)}
    for name, state in others.items():
        await site.put(ids[name], name=name.replace("-", " ").title(), domain=f"{name}.example", state=state)
    await end_consent(site, ids["litware"])
    await said(site, CONTOSO)
    await said(site, ids["adventure-works-international-holdings"], Status.ACCESS_DENIED)
    await said(site, ids["tailspin"], silent=True)
    suite_keys = SuiteKeys(site.store, RingMarks(site.ring))
    key = await suite_keys.issue(CONTOSO, "Reception")
    revoked = await suite_keys.issue(CONTOSO, "Old console")
    await suite_keys.revoke(revoked.key_id)
    await Interest(site.store).add(CONTOSO, EDGE, [Name("ada@contoso.example"), Name("ben@contoso.example")])
    open_ = {CONTOSO: {key.key_id: OpenStreams(2, 2)}}
    for edge in (EDGE, f"{EDGE}2"):
        await ConnectedSuites(site.store).say(edge, open_)
    half = keys.PARTITIONS // 2
    for worker, owned in ((WORKER, range(half)), (f"{WORKER}2", range(half, keys.PARTITIONS - 2))):
        loads = {partition: PartitionLoad(users=1000, notifications=2) for partition in owned}
        await Workers(site.store).beat(worker, timedelta(seconds=30), loads, announce=False)
    acts = OperatorLog(site.store)
    mia = Actor.operator(OPERATOR, site.cloud.person(OPERATOR).oid)
    for kind, by, name in (
        (ActKind.APPROVED, mia, "tailspin"), (ActKind.SUSPENDED, COMMAND_LINE, "woodgrove"), (ActKind.INVITED, mia, "fabrikam"),
    ):  # fmt: skip
        await acts.record(OperatorAct.of(kind, by, tenant_id=ids[name], about=f"{name}.example"))


async def end_consent(site: ConsoleSite, tenant_id: TenantId) -> None:
    said_ = MicrosoftError(
        number=50173, words="AADSTS50173: The provided grant has expired due to it being revoked.",
        trace_id="11111111-2222-3333-4444-555555555555", correlation_id="66666666-2222-3333-4444-555555555555", time="2026-11-26 21:04:09Z",
    )  # fmt: skip
    trouble = RefusalRecord(code="invalid_grant", at=datetime.now(UTC), said=said_)
    await Tenants(site.store).happened(tenant_id, TenantEvent.LAST_GRANT_DIED, trouble=trouble)


async def said(site: ConsoleSite, tenant_id: TenantId, status: Status = Status.NONE, *, silent: bool = False) -> None:
    """What a tenant's worker said a moment ago, or an hour ago."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000) - (3_600_000 if silent else 0)
    contact = f"{now_ms - 2000} 5000 {int(status)} 5000 {now_ms}"
    await raw_client(site.store).set(keys.tenant_contact(tenant_id), contact)


# ------------------------------------------------------------ pages as they open


opened("tenants", "none-yet", CONSOLE)
opened("tenant", "at-work", TENANT, populate)
opened("suspend", "asked", f"{TENANT}/suspend", put())
opened("mapping", "shown", f"{TENANT}/mapping", put(settings={"map:BusyIdle": "AWAY"}))
opened("log", "empty", f"{TENANT}/log?watches=yes", put())
opened("invite", "form", f"{CONSOLE}/invite")
opened("workers", "at-work", f"{CONSOLE}/workers", populate)
opened("workers", "none-although-needed", f"{CONSOLE}/workers", put())
opened("edges", "with-streams", f"{CONSOLE}/edges", populate)
opened("edges", "without-streams", f"{CONSOLE}/edges")
opened("events", "of-operators", f"{CONSOLE}/events", populate)
opened("events", "empty", f"{CONSOLE}/events")
opened("problem", "no-such-tenant", TENANT)


# ------------------------------------------------------------ signing in


@row("sign_in", "with-microsoft")
async def _(visit: Visit) -> None:
    await visit.page.goto(visit.consoles.entra.url + CONSOLE)


@row("sign_in", "with-the-token")
async def _(visit: Visit) -> None:
    await visit.goto(CONSOLE)


@row("sign_in", "wrong-token")
async def _(visit: Visit) -> None:
    await visit.goto(CONSOLE)
    await visit.page.fill("#secret", "wrong")
    await visit.page.click("#console-token button")
    await visit.page.wait_for_selector("#notice-title")


@row("sign_in", "no-role")
async def _(visit: Visit) -> None:
    await visit.sign_in(STRANGER)
    await visit.page.wait_for_selector("#notice-title")


@row("sign_in", "signed-out")
async def _(visit: Visit) -> None:
    await visit.enter()
    await visit.page.click("#sign-out button")
    await visit.page.wait_for_selector("#console-token")


@row("to_microsoft", "on-the-way")
async def _(visit: Visit) -> None:
    cloud = visit.consoles.entra.cloud
    await visit.page.goto(visit.consoles.entra.url + CONSOLE)
    await visit.page.route(f"{cloud.url}/**", lambda route: route.fulfill(status=204))
    await visit.page.click("#console-sign-in button")
    await visit.page.wait_for_selector("#leave")


# ------------------------------------------------------------ tenants


@row("tenants", "each-state")
async def _(visit: Visit) -> None:
    await populate(visit.site)
    await visit.sign_in()
    await visit.page.wait_for_selector("#tenants")


@row("tenants", "a-search-without-a-match")
async def _(visit: Visit) -> None:
    await populate(visit.site)
    await visit.enter()
    await visit.page.fill("#q", "nobody")
    await visit.page.click("#search button")
    await visit.page.wait_for_url("**q=nobody*")


@row("tenants", "the-second-page-of-those-in-need")
async def _(visit: Visit) -> None:
    for number in range(51):
        tenant_id = TenantId(f"{number:08}-1111-4111-8111-111111111111")
        await visit.site.put(tenant_id, name=f"Customer {number}", domain=f"customer{number}.example")
    await visit.enter()
    await visit.page.click("#only-attention")
    await visit.page.click("#after")
    await visit.page.wait_for_url("**page=2")


@row("tenant", "suspended")
async def _(visit: Visit) -> None:
    await populate(visit.site)
    await visit.enter(f"{TENANT}/suspend")
    await visit.page.click("#confirm button")
    await visit.page.wait_for_selector("#resume")


@row("tenant", "waits-for-approval")
async def _(visit: Visit) -> None:
    await visit.site.put(state=TenantState.PENDING)
    await visit.enter(TENANT)
    await visit.page.wait_for_selector("#approve")


@row("tenant", "consent-ended")
async def _(visit: Visit) -> None:
    await visit.site.put()
    await end_consent(visit.site, CONTOSO)
    await visit.enter(TENANT)


@row("tenant", "a-user-explained")
async def _(visit: Visit) -> None:
    await populate(visit.site)
    await visit.enter(TENANT)
    await visit.page.fill("#user", "ada@contoso.example")
    await visit.page.click("#explain button")
    await visit.page.wait_for_selector("#explained")


@row("log", "of-a-tenant")
async def _(visit: Visit) -> None:
    await populate(visit.site)
    await visit.enter(f"{TENANT}/suspend")
    await visit.page.click("#confirm button")
    await visit.page.click("#log")
    await visit.page.wait_for_selector("#entries")


# ------------------------------------------------------------ the rest


@row("invite", "wrong")
async def _(visit: Visit) -> None:
    await visit.enter(f"{CONSOLE}/invite")
    await visit.page.fill("#domain", "nobody.example")
    await visit.page.click("#invite button")
    await visit.page.wait_for_selector(".field__fault")


@row("invite", "link")
async def _(visit: Visit) -> None:
    await visit.enter(f"{CONSOLE}/invite")
    await visit.page.fill("#domain", "fabrikam.example")
    await visit.page.click("#invite button")
    await visit.page.wait_for_selector("#link")


@row("invite", "microsoft-away")
async def _(visit: Visit) -> None:
    await visit.enter(f"{CONSOLE}/invite")
    visit.site.cloud.add_fault(Fault(contains="/v2.0/", status=503))
    await visit.page.fill("#domain", "fabrikam.example")
    await visit.page.click("#invite button")
    await visit.page.wait_for_selector("#notice-title")


# ------------------------------------------------------------ to somebody who only reads


async def read(visit: Visit, path: str) -> None:
    await visit.sign_in(READER)
    await visit.page.wait_for_selector("#sign-out")
    await visit.page.goto(visit.consoles.entra.url + path)


@row("tenant", "to-a-reader")
async def _(visit: Visit) -> None:
    await populate(visit.site)
    await read(visit, TENANT)


@row("mapping", "to-a-reader")
async def _(visit: Visit) -> None:
    await visit.site.put(settings={"map:BusyIdle": "AWAY"})
    await read(visit, f"{TENANT}/mapping")


@row("problem", "read-only")
async def _(visit: Visit) -> None:
    await read(visit, f"{CONSOLE}/invite")


# ------------------------------------------------------------ the visits


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def consoles(valkey: ValkeyServer, ring: KeyRing, cert: trustme.LeafCert) -> AsyncIterator[Consoles]:
    """Both consoles, for all rows; each finds them as new."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store(StoreSettings(url=valkey.url)))
        cloud = await stack.enter_async_context(Emulator.start(Config()))
        sites = [
            await stack.enter_async_context(
                ConsoleSite.serving(console_settings(free_port(), cert, **given), store, ring, cloud)
            )
            for given in ({"entra": entra(cloud)}, {"token": TOKEN})
        ]
        cloud.snapshots.take("fresh")
        yield Consoles(*sites)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def windows(chromium: Browser) -> AsyncIterator[dict[Language, Watched]]:
    """One window in each language for all rows, which are without cookies at first."""
    async with AsyncExitStack() as stack:
        contexts = [await stack.enter_async_context(await window(chromium, locale=one.value)) for one in LANGUAGES]
        yield {one: Watched(await context.new_page()) for one, context in zip(LANGUAGES, contexts, strict=True)}


def visits() -> Iterator[ParameterSet]:
    """Each row in one language and one look, and for `make soak` in each."""
    seen = set[str]()
    for at, (page, state, visit) in enumerate(ROWS):
        language, look, name = LANGUAGES[at % 2], LOOKS[at // 2 % 2], f"console-{page}-{state}"
        is_first = page not in seen
        marks = [] if is_first else [pytest.mark.long]
        yield pytest.param(page, name, visit, language, (look,), is_first, id=f"{name}-{language.value}", marks=marks)
        seen.add(page)
        for each in LANGUAGES:
            yield pytest.param(
                page, name, visit, each, LOOKS, True, id=f"{name}-{each.value}-soak", marks=pytest.mark.soak
            )


@pytest.mark.timeout(120)
@ON_ITS_LOOP
@pytest.mark.parametrize(("page", "name", "visit", "language", "looks", "is_whole"), list(visits()))
async def test_a_page_in_a_state(
    page: str,
    name: str,
    visit: Visiting,
    language: Language,
    looks: tuple[Look, ...],
    is_whole: bool,
    consoles: Consoles,
    windows: dict[Language, Watched],
    valkey: ValkeyServer,
):
    watched = windows[language]
    await watched.as_new()
    async with Redis.from_url(valkey.url) as raw:
        await raw.flushall()
    consoles.entra.cloud.snapshots.restore("fresh")
    consoles.entra.cloud.directory.give_roles(OPERATOR, CLIENT_ID, [ROLE])
    consoles.entra.cloud.directory.give_roles(READER, CLIENT_ID, [READER_ROLE])
    try:
        await asyncio.wait_for(visit(Visit(consoles, watched.page)), 40)
        assert await watched.page.get_attribute("main", "data-page") == page
        assert await watched.page.get_attribute("html", "lang") == language.value
        await watched.look(f"{name}-{language.value}", looks, is_whole=is_whole)
    finally:
        consoles.entra.cloud.faults.remove()
    assert [one for one in watched.complaints if "Content Security Policy" in one] == []


def test_every_page_has_a_row():
    templates = Path(package.__file__).parent.glob("templates/*.html")
    pages = {
        path.stem
        for path in templates
        if re.search(r'{% extends "(layout|console|way)\.html" %}', path.read_text()) and path.stem != "console"
    }
    assert {page for page, _, _ in ROWS} == pages | {"problem"}
    assert len({(page, state) for page, state, _ in ROWS}) == len(ROWS)
