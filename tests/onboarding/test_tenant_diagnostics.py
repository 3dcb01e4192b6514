"""The diagnostics page: who sees what, found by filters, live in a browser, and nothing of it anywhere else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from onboarding.tenant.views.diagnostics import MOST_ROWS
from relay.core.consent.tenant import TenantState
from relay.core.presence import Name, Status, TenantId
from relay.core.reading.ordering import Order
from relay.core.showing.diagnosis import ABSENCES, NOT_REQUESTED
from relay.diagnosis import minute
from relay.diagnosis.overview import Overviews
from relay.http.paths import TENANT
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.interest import Interest
from relay.store.presence.presences import Presences
from relay.store.presence.values import DirectoryEntry, Observed
from relay.wire.encode import encode_presence
from tests.onboarding.inventory.diagnostics import DIAGNOSTICS, FAR, SHOWN, lease_of, populate, presence, user
from tests.onboarding.person import Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]
ADA = "ada@contoso.example"


@pytest.fixture
async def signed_in(site: Site, meet: Meet) -> Person:
    """Contoso is connected, and whoever did that is signed in."""
    person = await meet()
    await person.connect()
    await person.enter_at_once()
    return person


def rows(person: Person) -> list[str]:
    """The titles of the rows, in order."""
    return re.findall(r'<th scope="row"><a id="[^"]*" href="[^"]*">([^<]*)</a>', person.page.text)


async def test_nobody_sees_it_who_is_not_signed_in(site: Site, person: Person):
    for path in (DIAGNOSTICS, f"{DIAGNOSTICS}/part", f"{TENANT}/users", f"{TENANT}/users/part?name={ADA}"):
        await person.get(path)
        assert 'id="live"' not in person.page.text
        assert "Watched users" not in person.text


async def test_every_watched_user_is_shown_with_what_there_is_or_why_there_is_nothing(site: Site, signed_in: Person):
    await populate(site)
    await signed_in.get(DIAGNOSTICS)
    assert len(rows(signed_in)) == len(SHOWN) + 2
    text = signed_in.text
    for said in ("busy", "Busy / InACall", "change notification", "do not disturb", "up and running"):
        assert said in text
    for status in (Status.NOT_REPORTED, Status.NOT_PERMITTED, Status.STALE, Status.NOT_FOUND, Status.PENDING):
        assert ABSENCES[status].word in text
        assert ABSENCES[status].why in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ADA", ["ada@contoso.example"]),
        ("q=99999999-0000-4000-8000-000000000001", ["ben@contoso.example"]),
        ("state=busy", ["ben@contoso.example"]),
        ("state=busy&state=offline", ["ben@contoso.example", "eve@contoso.example"]),
        ("q=ada&state=busy", []),
        ("q=%3Cscript%3E", []),
        ("q=" + "x" * 5000, []),
    ],
)
async def test_filters_find_users_by_text_and_by_state(site: Site, signed_in: Person, query: str, found: list[str]):
    await populate(site)
    await signed_in.get(f"{DIAGNOSTICS}?{query}")
    assert rows(signed_in) == found
    assert "<script>" not in signed_in.page.text.replace("<script src", "").replace("<script type", "")


async def test_of_very_many_users_some_are_shown_and_the_others_are_counted(site: Site, signed_in: Person):
    await populate(site, more=1500)
    await signed_in.get(f"{DIAGNOSTICS}?q=user0")
    assert len(rows(signed_in)) == MOST_ROWS
    assert f"{1500 - MOST_ROWS:,} more users. Use the filter to find them." in signed_in.text
    assert len(signed_in.page.content) < 400_000
    await signed_in.get(f"{DIAGNOSTICS}?q=user001499")
    assert rows(signed_in) == ["user001499@contoso.example"]


async def test_what_comes_from_outside_is_shown_as_text(site: Site, signed_in: Person):
    evil = "<img src=x onerror=alert(1)>"
    tenant, lease = site.tenant_id(), await lease_of(site)
    shown = presence(user(1), f"{evil}@contoso.example", f"{evil}Busy", f"'\"{evil}")
    await Presences(site.store).name(lease, tenant, {Name(ADA): DirectoryEntry(user(1), FAR)})
    await Presences(site.store).accept(
        lease, tenant, [Observed(user(1), encode_presence(shown), Order(lease.fence, 1))]
    )
    await Interest(site.store).add(tenant, "edge-1", [Name(ADA)])
    for path in (DIAGNOSTICS, f"{TENANT}/users?name={ADA}", f"{TENANT}/users?name=%3Cimg%20src=x%3E"):
        await signed_in.get(path)
        assert signed_in.page.status_code == 200
        assert "<img src=x" not in signed_in.page.text


async def test_another_tenants_users_are_never_shown(site: Site, signed_in: Person, raw: Redis):
    other = TenantId(site.cloud.world.tenant("fabrikam.example").tenant_id)  # type: ignore[union-attr]
    await Tenants(site.store).put(Tenant(tenant_id=other, state=TenantState.ACTIVE, created=datetime.now(UTC)))
    await Interest(site.store).add(other, "edge-1", [Name("olga@fabrikam.example")])
    await populate(site)
    for path in (
        DIAGNOSTICS,
        f"{DIAGNOSTICS}?q=olga",
        f"{DIAGNOSTICS}/part?tenant={other}",
        f"{TENANT}/users?name=olga@fabrikam.example&tenant={other}",
    ):
        await signed_in.get(path)
        assert signed_in.page.status_code == 200
        assert "Watched by" not in signed_in.text or "not requested by anyone" in signed_in.text
        assert rows(signed_in).count("olga@fabrikam.example") == 0
    await signed_in.get(DIAGNOSTICS)
    await signed_in.submit("watch", name="olga@fabrikam.example", tenant=other)
    assert await Interest(site.store).watching(other, [Name("olga@fabrikam.example")]) == {"edge-1"}


async def test_a_user_is_explained_by_object_id_though_suites_ask_by_name_and_no_worker_runs(
    site: Site, signed_in: Person
):
    await populate(site)
    await signed_in.get(f"{TENANT}/users/{user(1)}")
    assert signed_in.heading == "ben@contoso.example"
    for said in ("Busy / InACall", "busy / inacall → in a call", "change notification", "No worker of this relay"):
        assert said in signed_in.text


async def test_watching_needs_a_form_of_this_session(site: Site, signed_in: Person):
    await signed_in.get(DIAGNOSTICS)
    page = signed_in.page
    for changes in ({"token": ""}, {"token": "0" * 64}):
        signed_in.page = page
        await signed_in.submit("watch", name=ADA, **changes)
        assert signed_in.page.status_code == 403
    await signed_in.client.post(
        f"{site.url}{DIAGNOSTICS}/watch", data={"name": ADA}, headers={"origin": "https://evil.example"}
    )
    assert await Interest(site.store).read_edges(site.tenant_id()) == set()


async def test_pages_watch_few_users_and_say_when_these_are_too_many(site: Site, signed_in: Person):
    for number in range(minute.MOST_AT_ONCE):
        await minute.watch(site.store, site.tenant_id(), Name(f"user{number}@contoso.example"))
    await signed_in.get(DIAGNOSTICS)
    await signed_in.submit("watch", name=ADA)
    assert signed_in.page.status_code == 429
    assert signed_in.notice == "You are watching too many users from this page"
    assert NOT_REQUESTED.why in signed_in.text


async def test_what_is_no_name_watches_nobody(site: Site, signed_in: Person):
    for text in ("", "nobody", "x" * 5000, "a@b\x00", "<b>a@b.com</b>"):
        await signed_in.get(DIAGNOSTICS)
        await signed_in.submit("watch", name=text)
        assert signed_in.page.status_code == 200
        assert "user not configured" in signed_in.text
    assert await Interest(site.store).read_edges(site.tenant_id()) == set()


async def test_what_a_page_asks_for_by_itself_keeps_no_session_alive(site: Site, signed_in: Person, raw: Redis):
    await populate(site)
    flows = [key async for key in raw.scan_iter(match="flow:*")]
    for flow in flows:
        await raw.pexpire(flow, 60_000)
    for path in (f"{DIAGNOSTICS}/part", f"{TENANT}/users/part?name={ADA}"):
        await signed_in.get(path)
        assert 'id="live"' in signed_in.page.text
    assert max([await raw.pttl(flow) for flow in flows]) <= 60_000
    await signed_in.get(DIAGNOSTICS)
    assert max([await raw.pttl(flow) for flow in flows]) > 60_000


async def test_nothing_of_what_is_shown_is_logged(site: Site, signed_in: Person, capfd: pytest.CaptureFixture[str]):
    await populate(site)
    capfd.readouterr()
    for path in (
        DIAGNOSTICS,
        f"{DIAGNOSTICS}/part?q=ben",
        f"{TENANT}/users/{user(1)}",
        f"{TENANT}/users/part?name={ADA}",
    ):
        await signed_in.get(path)
    await signed_in.get(DIAGNOSTICS)
    await signed_in.submit("watch", name=ADA)
    told = "".join(capfd.readouterr())
    assert not any(secret in told for secret in ("ben@", ADA, str(user(1)), "InACall", "busy"))


async def test_the_live_part_may_be_asked_of_this_host_and_of_no_other(site: Site, signed_in: Person):
    await signed_in.get(DIAGNOSTICS)
    policy = signed_in.page.headers["content-security-policy"]
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy


async def test_however_many_look_a_tenant_is_read_once_a_second(site: Site, signed_in: Person, raw: Redis):
    await populate(site)
    overviews = Overviews(site.store)
    first = await asyncio.gather(*(overviews.of(site.tenant_id()) for _ in range(50)))
    assert all(overview is first[0] for overview in first)
