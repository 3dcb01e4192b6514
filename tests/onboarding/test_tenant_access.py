"""Who may do what on a tenant's page: every right against every action, and every route names its action."""

from __future__ import annotations

import ast
import inspect
import textwrap
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.routing import Route

from onboarding.settings import WebSettings
from onboarding.tenant.access import RIGHTS, Access, Action, access_of, is_contact
from onboarding.tenant.sessions import Session
from relay.core.presence import TenantId, UserId
from relay.graph.auth.id_tokens import VerifiedIdentity
from relay.http.paths import TENANT
from relay.store.custody.managers import CLAIM_LASTS, Claim
from relay.store.custody.tenants import Tenant
from tests.onboarding.site import Site

HERE, ELSEWHERE = TenantId("11111111-1111-4111-8111-111111111111"), TenantId("22222222-2222-4222-8222-222222222222")
ADA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000000"), UserId("bbbbbbbb-0000-4000-8000-000000000000")
GLOBAL_ADMIN = "62e90394-69f5-4237-9190-012177145e10"
INSIDE = {Access.MANAGES, Access.ROLE, Access.READS}


def tenant() -> Tenant:
    return Tenant(tenant_id=HERE, created=datetime.now(UTC), settings={"contact_email": "ben@contoso.example"})


def somebody(**changes: Any) -> Session:
    given = {"tenant_id": HERE, "account_id": ADA, "upn": "ben@contoso.example", "is_guest": False, "began_s": 0.0}
    return Session(**{**given, **changes})


@pytest.mark.parametrize(
    ("who", "managers", "accounts", "roles", "access"),
    [
        (somebody(), set(), set(), set(), Access.NO_ROLE),
        (somebody(), set(), {BEN}, set(), Access.NO_ROLE),
        (somebody(), set(), {ADA}, set(), Access.READS),
        (somebody(), {ADA}, set(), set(), Access.MANAGES),
        (somebody(), {ADA}, {ADA}, set(), Access.MANAGES),
        (somebody(), {BEN}, {ADA}, set(), Access.READS),
        (somebody(roles=(GLOBAL_ADMIN,)), set(), set(), {GLOBAL_ADMIN}, Access.ROLE),
        (somebody(roles=(GLOBAL_ADMIN.upper(),)), set(), {ADA}, {GLOBAL_ADMIN}, Access.ROLE),
        (somebody(roles=(GLOBAL_ADMIN,)), set(), set(), set(), Access.NO_ROLE),
        (somebody(roles=(BEN,)), set(), {ADA}, {GLOBAL_ADMIN}, Access.READS),
        (somebody(tenant_id=ELSEWHERE, roles=(GLOBAL_ADMIN,)), {ADA}, {ADA}, {GLOBAL_ADMIN}, Access.NOT_CONNECTED),
    ],
)
def test_the_right_follows_from_object_ids_and_the_named_roles(
    who: Session, managers: set[UserId], accounts: set[UserId], roles: set[str], access: Access
):
    assert access_of(who, tenant(), managers, accounts, roles) is access


def test_a_tenant_that_is_not_here_gives_no_right():
    assert access_of(somebody(roles=(GLOBAL_ADMIN,)), None, {ADA}, {ADA}, {GLOBAL_ADMIN}) is Access.NOT_CONNECTED


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("access", Access)
def test_reading_accounts_see_and_end_their_own_grant_and_nothing_else(access: Access, action: Action):
    if action is Action.WITHDRAW_OWN_REQUEST:
        assert access.may(action) is (access is not Access.NOT_CONNECTED)
        return
    own = action in (Action.SEE_OWN_STATE, Action.WITHDRAW_OWN_GRANT)
    assert access.may(action) is (access in INSIDE if own else access.is_manager)


def test_every_deed_has_its_rights_and_nobody_outside_has_any_but_to_ask_no_more():
    assert set(RIGHTS) == set(Action)
    outside = {action for action, rights in RIGHTS.items() if rights & {Access.NO_ROLE, Access.NOT_CONNECTED}}
    assert outside == {Action.WITHDRAW_OWN_REQUEST}


@pytest.mark.parametrize(
    ("upn", "is_guest", "claim", "may"),
    [
        ("ada@contoso.example", False, "ADA@contoso.example ", True),
        ("ada@contoso.example", True, "ada@contoso.example", False),
        ("ada@contoso.example", False, "", False),
        ("", False, "", False),
        ("ben@contoso.example", False, "ada@contoso.example", False),
    ],
)
def test_the_contact_is_an_account_of_the_tenant_itself(upn: str, is_guest: bool, claim: str, may: bool):
    assert is_contact(VerifiedIdentity(HERE, ADA, upn, is_guest), Claim(claim, datetime.now(UTC) + CLAIM_LASTS)) is may


OPEN = {f"{TENANT}/sign-in", f"{TENANT}/sign-out", f"{TENANT}/left"}
"""Routes that let nobody see or change anything of a tenant."""


async def test_every_route_names_a_deed(site: Site):
    """Whatever is added to the tenant's page must ask for a right, by name, before it does anything."""
    routes = [route for route in await _routes(site) if route.path.startswith(TENANT)]
    assert len(routes) > 25
    for route in routes:
        if route.path in OPEN:
            continue
        source = ast.parse(textwrap.dedent(inspect.getsource(route.endpoint)))
        calls = [ast.unparse(node.func) for node in ast.walk(source) if isinstance(node, ast.Call)]
        asks = [name for name in calls if name.endswith(("auth.visitor", "auth.form", "self._sent", "self._user"))]
        assert asks, f"{route.path}: {route.endpoint.__qualname__} asks for no right"


async def _routes(site: Site) -> list[Route]:
    from onboarding.tenant.routes import TenantPages
    from pages.layout import Pages
    from tests.graph.conftest import settings_for

    settings: WebSettings = site.settings
    pages, graph = Pages(settings, "onboarding"), settings_for(site.cloud)
    async with TenantPages.open(site.store, site.ring, graph, settings, pages) as views:
        return views.routes()
