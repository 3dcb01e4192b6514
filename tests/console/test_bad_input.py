"""Requests that no page of the console makes: each has a clear answer, and none does anything."""

from __future__ import annotations

import pytest

from console.cookies import COOKIES
from pages.rate_limit import RequestKind
from pages.settings import RateLimits
from relay.core.consent.tenant import TenantState
from relay.http.paths import CONSOLE, CONSOLE_CALLBACK
from relay.store.sealing.quotas import Quota
from tests.console.conftest import Meet, StartConsole
from tests.console.operator import Operator
from tests.console.site import CONTOSO, OPERATOR, TOKEN, ConsoleSite

TENANT = f"{CONSOLE}/tenants/{CONTOSO}"


@pytest.fixture
async def operator(trial: ConsoleSite, meet: Meet) -> Operator:
    await trial.put()
    person = await meet(trial)
    await person.enter_with_token()
    return person


@pytest.mark.parametrize(
    "tenant_id",
    ["nothing", "..%2f..%2fetc", "%00", "c0c0c0c0-1111-4111-8111-11111111111", f"{CONTOSO}%0a", "a" * 3000, "%F0%9F%92%A9",
     "dddddddd-2222-4222-8222-222222222222"],
)  # fmt: skip
async def test_an_odd_tenant_id_finds_nothing(operator: Operator, tenant_id: str):
    for path in ("", "/suspend", "/mapping", "/log", "/explain?user=ada"):
        await operator.get(f"{CONSOLE}/tenants/{tenant_id}{path}")
        assert operator.page.status_code in (400, 404)
        assert operator.heading in ("There is no such tenant", "Page not found", "We could not read your request")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("q=" + "a" * 20_000, 200),
        ("state=nothing&page=nothing", 200),
        ("page=-1", 200),
        ("page=99999999999999999999", 200),
        ("page=\u0661", 200),
        ("q=%00%ff", 400),
        ("q=1&q=2", 400),
        ("&".join(f"f{one}=1" for one in range(50)), 400),
        ("q=%3Cscript%3Ealert(1)%3C/script%3E", 200),
    ],
)
async def test_an_odd_query_is_bounded_and_escaped(operator: Operator, query: str, status: int):
    await operator.get(f"{CONSOLE}?{query}")
    assert operator.page.status_code == status
    assert len(operator.page.content) < 30_000
    assert "<script>alert" not in operator.page.text


async def test_a_query_longer_than_any_head_is_cut_off(operator: Operator):
    page = await operator.client.get(f"{operator.site.url}{CONSOLE}?q={'a' * 50_000}")
    assert page.status_code in (400, 414, 431)


@pytest.mark.parametrize("user", ["", " ", "\u202e", "a" * 5000, "<b>", "nobody"])
async def test_explaining_an_odd_name_says_what_is_known_of_it(operator: Operator, user: str):
    page = await operator.client.get(f"{operator.site.url}{TENANT}/explain", params={"user": user})
    assert page.status_code == 200
    assert "<b>" not in page.text


@pytest.mark.parametrize("deed", ["suspend", "resume", "approve", "mapping"])
@pytest.mark.parametrize("how", ["no token", "another token", "another site", "no form", "not signed in"])
async def test_a_form_that_is_not_of_this_session_does_nothing(
    trial: ConsoleSite, operator: Operator, deed: str, how: str
):
    await operator.get(f"{TENANT}/suspend")
    token, headers = operator.token, {"origin": trial.url}
    if how == "another site":
        headers = {"origin": "https://evil.example"}
    if how == "not signed in":
        operator.as_new()
    data = {"no token": {}, "another token": {"token": "x" * 43}}.get(how, {"token": token})
    address = f"{trial.url}{TENANT}/{deed}"
    if how == "no form":
        page = await operator.client.post(address, json=data, headers=headers)
    else:
        page = await operator.client.post(address, data=data, headers=headers)
    assert page.status_code in (400, 403)
    assert await trial.state() is TenantState.ACTIVE
    assert (await trial.audit(), await trial.acts()) == ([], [])


async def test_a_deed_cannot_be_done_by_a_link(trial: ConsoleSite, operator: Operator):
    for deed in ("resume", "approve"):
        await operator.get(f"{TENANT}/{deed}")
        assert operator.page.status_code == 405
    await operator.get(f"{TENANT}/suspend")
    assert await trial.state() is TenantState.ACTIVE


async def test_an_answer_is_taken_once_and_only_from_the_browser_that_asked(console: ConsoleSite, meet: Meet):
    operator, thief = await meet(console), await meet(console)
    await operator.leave()
    fields = await operator.sign_in(OPERATOR)
    await thief.leave()
    await thief.answer(fields)
    assert (thief.page.status_code, thief.notice) == (400, "This sign-in has expired")
    # Whoever posts it first uses it up: its own browser begins again.
    await operator.answer(fields)
    assert operator.notice == "This sign-in has expired"
    await operator.enter()
    assert operator.heading == "Tenants"


async def test_a_replayed_answer_opens_nothing(console: ConsoleSite, meet: Meet):
    operator = await meet(console)
    await operator.leave()
    fields = await operator.sign_in(OPERATOR)
    await operator.answer(fields)
    assert operator.heading == "Tenants"
    await operator.answer(fields)
    assert operator.notice == "This sign-in has expired"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"state": ""},
        {"state": "x" * 5000, "code": "1"},
        {"state": "tenant.abc", "code": "1"},
        {"error": "access_denied"},
    ],
)
async def test_a_forged_answer_opens_nothing(console: ConsoleSite, meet: Meet, fields: dict[str, str]):
    operator = await meet(console)
    await operator.leave()
    await operator.answer(fields)
    assert operator.page.status_code == 400
    await operator.get(CONSOLE)
    assert 'id="console-sign-in"' in operator.page.text


async def test_a_forged_code_with_the_right_state_opens_nothing(console: ConsoleSite, meet: Meet):
    operator = await meet(console)
    await operator.leave()
    fields = await operator.sign_in(OPERATOR)
    await operator.answer({**fields, "code": "forged"})
    assert operator.page.status_code == 400
    await operator.get(CONSOLE)
    assert 'id="console-sign-in"' in operator.page.text


async def test_the_callback_of_a_trial_and_the_token_of_the_other_do_not_exist(
    console: ConsoleSite, trial: ConsoleSite, meet: Meet
):
    one, other = await meet(trial), await meet(console)
    await one.get(CONSOLE)
    page = await one.client.post(f"{trial.url}{CONSOLE_CALLBACK}", data={"state": "x"})
    assert page.status_code == 404
    await other.get(CONSOLE)
    page = await other.client.post(
        f"{console.url}{CONSOLE}/token",
        data={"token": other.token, "secret": TOKEN},
        headers={"origin": console.url},
    )
    assert page.status_code == 404


async def test_of_many_sessions_the_one_that_was_idle_longest_ends(start_console: StartConsole, meet: Meet):
    console = await start_console(token=TOKEN, sessions=Quota("sessions-console", 3))
    people = [await meet(console) for _ in range(4)]
    for person in people:
        await person.enter_with_token()
    await people[0].get(CONSOLE)
    assert 'id="console-token"' in people[0].page.text
    await people[3].get(CONSOLE)
    assert people[3].heading == "Tenants"


async def test_tries_of_the_token_are_limited(start_console: StartConsole, meet: Meet):
    console = await start_console(token=TOKEN, rate_limits=RateLimits(sign_ins=3))
    guesser = await meet(console)
    for _ in range(3):
        await guesser.enter_with_token("guess")
        assert guesser.page.status_code == 403
    await guesser.enter_with_token()
    assert (guesser.page.status_code, guesser.heading) == (429, "Wait a moment")
    assert RequestKind.SIGN_IN


async def test_changes_are_limited(start_console: StartConsole, meet: Meet):
    console = await start_console(token=TOKEN, rate_limits=RateLimits(changes=1))
    await console.put()
    operator = await meet(console)
    await operator.enter_with_token()
    await operator.get(f"{TENANT}/mapping")
    await operator.submit_action(f"{TENANT}/mapping")
    await operator.get(f"{TENANT}/suspend")
    await operator.submit("confirm")
    assert operator.page.status_code == 429
    assert await console.state() is TenantState.ACTIVE


async def test_the_public_name_is_not_served(trial: ConsoleSite, operator: Operator):
    page = await operator.client.get(f"{trial.url}{CONSOLE}", headers={"host": "relay.example"})
    assert page.status_code == 421
    assert "contoso.example" not in page.text


async def test_pages_say_what_browsers_may_do_with_them_and_cookies_are_of_this_host_alone(
    trial: ConsoleSite, meet: Meet
):
    operator = await meet(trial)
    await operator.get(CONSOLE)
    headers = operator.page.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["cache-control"], headers["x-frame-options"]) == ("no-store", "DENY")
    operator.client.follow_redirects = False
    await operator.submit("console-token", secret=TOKEN)
    [cookie] = operator.page.headers.get_list("set-cookie")
    assert cookie.startswith(f"{COOKIES.session}=")
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in cookie


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(operator: Operator, method: str):
    page = await operator.client.request(method, f"{operator.site.url}{CONSOLE}")
    assert page.status_code == 405


async def test_a_store_that_is_away_is_said_and_nobody_is_let_in(trial: ConsoleSite, operator: Operator, valkey, raw):  # type: ignore[no-untyped-def]
    await raw.execute_command("ACL", "SETUSER", "console", "off")
    try:
        await raw.execute_command("CLIENT", "KILL", "USER", "console")
        await operator.get(CONSOLE)
        assert operator.page.status_code in (500, 503)
        assert "contoso.example" not in operator.page.text
    finally:
        valkey._make_users()
