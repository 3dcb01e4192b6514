"""Who is let in, for how long, and what everybody else is told."""

from __future__ import annotations

import pytest

from console.cookies import COOKIES
from console.sessions import OperatorSessions
from emulator.faults import Fault
from relay.core.consent.tenant import TenantState
from relay.http.paths import CONSOLE
from tests.console.conftest import Meet, StartConsole
from tests.console.operator import Operator
from tests.console.site import CLIENT_ID, CONTOSO, GROUP, OPERATOR, ROLE, STRANGER, TOKEN, ConsoleSite, entra

TENANT = f"{CONSOLE}/tenants/{CONTOSO}"


async def test_an_operator_with_the_role_sees_the_tenants_and_comes_back_to_the_page_that_was_asked_for(
    console: ConsoleSite, meet: Meet
):
    await console.put()
    operator = await meet(console)
    await operator.enter(path=TENANT)
    assert operator.heading.startswith("Contoso")
    await operator.get(CONSOLE)
    assert "contoso.example" in operator.text
    assert f"Signed in as {OPERATOR}" in operator.text


async def test_somebody_without_the_role_is_refused_and_told_which_account_it_was(console: ConsoleSite, meet: Meet):
    await console.put()
    stranger = await meet(console)
    await stranger.enter(STRANGER)
    assert stranger.page.status_code == 403
    assert stranger.notice == "This account is not an operator’s"
    assert STRANGER in stranger.text
    await stranger.get(TENANT)
    assert "Sign in with Microsoft" in stranger.text
    assert "contoso.example" not in stranger.text


async def test_an_account_of_another_tenant_is_refused(console: ConsoleSite, meet: Meet):
    console.cloud.directory.give_roles("ada@contoso.example", CLIENT_ID, [ROLE])
    stranger = await meet(console)
    await stranger.leave()
    # Entra signs nobody of another tenant in at this tenant's address.
    await stranger.submit("sign-in", username="ada@contoso.example", password="Pa55word!")
    assert 'id="answer"' not in stranger.page.text
    assert "AADSTS50020" in stranger.page.text


async def test_a_token_of_another_tenant_is_refused_even_with_the_role(
    console: ConsoleSite, meet: Meet, monkeypatch: pytest.MonkeyPatch
):
    cloud = console.cloud
    contoso = cloud.world.tenant("contoso.example")
    cloud.directory.give_roles("ada@contoso.example", CLIENT_ID, [ROLE])
    made = cloud.tokens.id_token
    ada = cloud.person("ada@contoso.example")
    assert contoso is not None
    monkeypatch.setattr(cloud.tokens, "id_token", lambda person, *given, **more: made(ada, *given, **more))
    stranger = await meet(console)
    await stranger.enter()
    assert (stranger.page.status_code, stranger.notice) == (403, "That account belongs to another organisation")
    await stranger.get(CONSOLE)
    assert "Sign in with Microsoft" in stranger.text


async def test_a_group_lets_somebody_in_and_too_many_groups_are_explained(start_console: StartConsole, meet: Meet):
    console = await start_console()
    console = await start_console(entra=entra(console.cloud, role="", groups=frozenset({GROUP})))
    application = console.cloud.world.application(CLIENT_ID)
    assert application is not None
    application.groups_claim = True
    member = await meet(console)
    console.cloud.directory.put_in_groups(STRANGER, [GROUP])
    await member.enter(STRANGER)
    assert "Signed in as noah" in member.text
    console.cloud.directory.put_in_groups(OPERATOR, [f"00000000-0000-4000-8000-{one:012}" for one in range(201)])
    other = await meet(console)
    await other.enter()
    assert other.notice == "Microsoft does not say which groups you are in"


async def test_a_role_that_was_taken_away_ends_the_session_at_the_next_look(console: ConsoleSite, meet: Meet):
    await console.put()
    operator = await meet(console)
    await operator.enter()
    console.cloud.directory.give_roles(OPERATOR, CLIENT_ID, [])
    await operator.get(TENANT)
    assert operator.heading.startswith("Contoso")  # until Entra is asked again
    await let_time_pass(operator, console)
    await operator.get(TENANT)
    assert "Opening the Microsoft sign-in page" in operator.text
    await operator.recheck()
    assert (operator.page.status_code, operator.notice) == (403, "This account is not an operator’s")
    await operator.get(TENANT)
    assert 'id="console-sign-in"' in operator.page.text


async def test_a_look_that_finds_the_role_leads_back_to_the_page(console: ConsoleSite, meet: Meet):
    await console.put()
    operator = await meet(console)
    await operator.enter()
    await let_time_pass(operator, console)
    await operator.get(TENANT)
    await operator.recheck()
    assert operator.heading.startswith("Contoso")
    await operator.get(CONSOLE)
    assert operator.heading == "Tenants"


async def test_a_look_that_another_operator_answers_ends_the_session(console: ConsoleSite, meet: Meet):
    await console.put()
    console.cloud.directory.give_roles(STRANGER, CLIENT_ID, [ROLE])
    operator = await meet(console)
    await operator.enter()
    await let_time_pass(operator, console)
    await operator.get(TENANT)
    # An address can be changed on its way: somebody else signs in for the one who was asked about.
    operator.page = await operator.client.get(operator.microsoft_url().replace("prompt=none", "prompt=login"))
    await operator.answer(await operator.sign_in(STRANGER))
    assert (operator.page.status_code, operator.notice) == (400, "You were signed out")
    await operator.get(TENANT)
    assert 'id="console-sign-in"' in operator.page.text


async def test_a_change_waits_for_the_look_and_is_not_carried_out(console: ConsoleSite, meet: Meet):
    await console.put()
    operator = await meet(console)
    await operator.enter()
    await operator.get(f"{TENANT}/suspend")
    await let_time_pass(operator, console)
    await operator.submit("confirm")
    await operator.recheck()
    assert operator.notice == "Your access was checked again"
    assert await console.state() is TenantState.ACTIVE


async def test_when_entra_is_away_nobody_signs_in_and_a_due_look_is_answered_with_a_clear_page(
    console: ConsoleSite, meet: Meet
):
    await console.put()
    operator, other = await meet(console), await meet(console)
    await operator.enter()
    console.cloud.add_fault(Fault(contains="/v2.0/", status=503))
    await other.get(CONSOLE)
    await other.submit("console-sign-in")
    assert (other.page.status_code, other.heading) == (503, "Microsoft does not answer")
    # Who was looked at lately works on.
    await operator.get(TENANT)
    assert operator.heading.startswith("Contoso")
    await let_time_pass(operator, console)
    await operator.get(TENANT)
    assert (operator.page.status_code, operator.heading) == (503, "Microsoft does not answer")


async def test_somebody_whom_entra_signed_out_signs_in_again(console: ConsoleSite, meet: Meet):
    operator = await meet(console)
    await operator.enter()
    await operator.sign_out_at_microsoft()
    await let_time_pass(operator, console)
    await operator.get(CONSOLE)
    await operator.recheck()
    assert 'id="console-sign-in"' in operator.page.text
    await operator.get(CONSOLE)
    assert 'id="console-sign-in"' in operator.page.text


async def test_the_token_of_a_trial_lets_in_and_another_does_not(trial: ConsoleSite, meet: Meet):
    operator = await meet(trial)
    await operator.enter_with_token("0" * 40)
    assert (operator.page.status_code, operator.notice) == (403, "The token is wrong")
    await operator.enter_with_token()
    assert "Signed in with the trial token" in operator.text


async def test_another_token_ends_the_sessions_of_the_old_one(
    start_console: StartConsole, trial: ConsoleSite, meet: Meet
):
    operator = await meet(trial)
    await operator.enter_with_token()
    other = await start_console(token=f"{TOKEN}-2")
    operator.site = other  # type: ignore[assignment]
    # A cookie belongs to a host, whatever the port; the session is found, and is worth nothing here.
    await operator.get(CONSOLE)
    assert 'id="console-token"' in operator.page.text


async def test_signing_out_ends_the_session_in_the_store_too(trial: ConsoleSite, meet: Meet):
    operator = await meet(trial)
    await operator.enter_with_token()
    kept = dict(operator.client.cookies)
    await operator.submit("sign-out")
    assert "You are signed out." in operator.text
    operator.client.cookies.update(kept)
    await operator.get(CONSOLE)
    assert 'id="console-token"' in operator.page.text


async def let_time_pass(operator: Operator, console: ConsoleSite) -> None:
    """Entra was asked about this operator an hour ago."""
    sessions = OperatorSessions(console.store, console.ring, console.settings.sessions)
    held = await sessions.load(operator.client.cookies[COOKIES.session])
    assert held is not None
    assert await sessions.change(held, checked_s=held.session.checked_s - 3600)
