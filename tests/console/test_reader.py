"""An operator whose role is for reading sees everything, is offered no change, and is refused each one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import pytest
from starlette.routing import Route
from structlog.testing import capture_logs

from console.app import create_app
from console.services import ConsoleServices
from console.sessions import OperatorRight
from console.settings import EntraAccess
from console.sign_ins import right_of
from pages.layout import Pages
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.graph.auth.id_tokens import VerifiedIdentity
from relay.http.paths import CONSOLE, CONSOLE_CALLBACK
from tests.console.conftest import Meet, StartConsole
from tests.console.operator import Operator
from tests.console.site import CLIENT_ID, CONTOSO, GROUP, OPERATOR, READER, READER_ROLE, ROLE, TOKEN, ConsoleSite
from tests.console.test_sign_in import let_time_pass
from tests.graph.conftest import settings_for

ONE: Final = f"{CONSOLE}/tenants/{{tenant_id}}"
TENANT: Final = f"{CONSOLE}/tenants/{CONTOSO}"
ACTIONS: Final[Mapping[str, tuple[TenantState, dict[str, str]]]] = {
    f"{ONE}/suspend": (TenantState.ACTIVE, {}),
    f"{ONE}/resume": (TenantState.SUSPENDED, {}),
    f"{ONE}/approve": (TenantState.PENDING, {}),
    f"{ONE}/mapping": (TenantState.ACTIVE, {"map:BusyIdle": "AWAY"}),
    f"{CONSOLE}/invite": (TenantState.ACTIVE, {"domain": "contoso.example", "days": "14"}),
}
"""Route -> the state in which the form changes something, and its fields."""
OF_EVERYBODY: Final = {
    f"{CONSOLE}/sign-in", f"{CONSOLE}/sign-out", f"{CONSOLE}/token", f"{CONSOLE}/language", CONSOLE_CALLBACK,
}  # fmt: skip
"""Routes of forms that change nothing but the browser's own session."""
FOR_CHANGES: Final = {f"{ONE}/suspend", f"{CONSOLE}/invite"}
"""Pages that are nothing but a form for a change."""
REFUSED: Final = (403, "You cannot make changes in this console")


async def routes(site: ConsoleSite) -> dict[str, set[str]]:
    """Path -> methods, of everything that the console serves."""
    public = settings_for(site.cloud, client_secret=None, anonymous=True)
    pages = Pages(site.settings, "console", strapline="", promise="")
    async with ConsoleServices.open(site.store, site.ring, site.settings, pages, public, None) as services:
        app = create_app(site.settings, pages, services)
        return {route.path: set(route.methods or ()) for route in app.routes if isinstance(route, Route)}


@pytest.fixture
async def reader(console: ConsoleSite, meet: Meet) -> Operator:
    """Somebody with the role for reading, and Contoso is there."""
    await console.put()
    person = await meet(console)
    await person.enter(READER)
    return person


async def test_each_form_of_the_console_is_tried_here(console: ConsoleSite):
    found = await routes(console)
    assert {path for path, methods in found.items() if "POST" in methods} == {*ACTIONS, *OF_EVERYBODY}


@pytest.mark.parametrize("route", ACTIONS)
async def test_each_change_is_refused_to_a_reader_and_made_for_an_operator(
    console: ConsoleSite, reader: Operator, meet: Meet, route: str
):
    state, fields = ACTIONS[route]
    path = route.format(tenant_id=CONTOSO)
    await console.put(state=state)
    before = await console.tenants.load(CONTOSO)
    await reader.get(TENANT)
    with capture_logs() as logged:
        page = await reader.send(path, **await seen(console, meet, fields))
    assert (page.status_code, heading(page.text)) == REFUSED
    assert [line["path"] for line in logged if line["event"] == "console_act_refused"] == [path]
    assert await console.tenants.load(CONTOSO) == before
    assert (await console.audit(), await console.acts()) == ([], [])
    operator = await meet(console)
    await operator.enter()
    await operator.send(path, **await seen(console, meet, fields))
    assert len(await console.acts()) == 1  # the same form, from somebody who may


async def seen(console: ConsoleSite, meet: Meet, fields: dict[str, str]) -> dict[str, str]:
    """The fields, with the digest that the mapping's form has now."""
    if not any(name.startswith("map:") for name in fields):
        return fields
    operator = await meet(console)
    await operator.enter()
    await operator.get(f"{TENANT}/mapping")
    found = re.search(r'name="seen" value="(\w+)"', operator.page.text)
    assert found is not None
    return {**fields, "seen": found[1]}


def heading(text: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", text, re.DOTALL)
    return found[1].strip() if found else ""


@pytest.mark.parametrize("state", list(TenantState))
async def test_a_reader_sees_every_page_and_is_offered_no_change(
    console: ConsoleSite, reader: Operator, state: TenantState
):
    await console.put(state=state)
    for route, methods in (await routes(console)).items():
        if "GET" not in methods:
            continue
        page = await reader.get(route.format(tenant_id=CONTOSO))
        if route in FOR_CHANGES:
            assert (page.status_code, heading(page.text)) == REFUSED
            continue
        assert page.status_code == 200, route
        assert "read only" in reader.text, route
        posts = set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', page.text))
        assert posts == {f"{CONSOLE}/language", f"{CONSOLE}/sign-out"}, route
        links = {found.partition("?")[0] for found in re.findall(r'<a [^>]*href="([^"]+)"', page.text)}
        assert links.isdisjoint(path.format(tenant_id=CONTOSO) for path in FOR_CHANGES), route


async def test_the_mapping_is_shown_to_a_reader_as_it_is(console: ConsoleSite, reader: Operator):
    await console.put(settings={"map:BusyIdle": "AWAY"})
    page = await reader.get(f"{TENANT}/mapping")
    assert '<option value="AWAY" selected>' in page.text
    assert '<fieldset id="rows" disabled' in page.text


async def test_a_role_that_was_exchanged_counts_from_the_next_look_on(console: ConsoleSite, meet: Meet):
    await console.put()
    operator = await meet(console)
    await operator.enter()
    await operator.get(f"{TENANT}/suspend")
    for roles, is_offered in (([READER_ROLE], False), ([ROLE, READER_ROLE], True)):
        console.cloud.directory.give_roles(OPERATOR, CLIENT_ID, roles)
        await let_time_pass(operator, console)
        await operator.get(TENANT)
        await operator.recheck()
        assert ("Suspend …" in operator.text) is is_offered
        assert ((await operator.client.get(f"{console.url}{TENANT}/suspend")).status_code == 200) is is_offered


async def test_without_a_role_for_reading_its_holder_is_refused(start_console: StartConsole, meet: Meet):
    fabrikam = await start_console()
    access = fabrikam.settings.entra
    assert access is not None
    console = await start_console(entra=EntraAccess(tenant_id=access.tenant_id, role=ROLE))
    person = await meet(console)
    await person.enter(READER)
    assert (person.page.status_code, person.notice) == (403, "This account is not an operator’s")


async def test_the_token_of_a_trial_may_change_everything(trial: ConsoleSite, meet: Meet):
    await trial.put()
    person = await meet(trial)
    await person.enter_with_token(TOKEN)
    await person.get(TENANT)
    assert "Suspend …" in person.text
    assert "read only" not in person.text


@pytest.mark.parametrize(
    ("roles", "groups", "right"),
    [
        ((ROLE,), (), OperatorRight.CHANGE),
        ((ROLE, READER_ROLE), (), OperatorRight.CHANGE),
        ((READER_ROLE,), (), OperatorRight.READ),
        ((READER_ROLE,), (GROUP,), OperatorRight.CHANGE),
        ((), (), None),
        (("Relay.Reader", READER_ROLE.lower()), (), None),
        (("",), (), None),
    ],
)
def test_the_most_that_a_role_or_group_gives_counts(
    roles: tuple[str, ...], groups: tuple[str, ...], right: OperatorRight | None
):
    who = VerifiedIdentity(CONTOSO, UserId("a"), "a@b.example", False, app_roles=roles, groups=groups)
    access = EntraAccess(tenant_id=TenantId(CONTOSO), role=ROLE, groups=frozenset({GROUP}), reader_role=READER_ROLE)
    assert right_of(who, access) is right
