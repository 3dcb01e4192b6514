"""What no honest browser sends, and what impatient people do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

import httpx
import pytest
from redis.asyncio import Redis

from onboarding.cookies import FORM_COOKIE
from pages.problems import PROBLEMS
from relay.http.paths import CALLBACK
from tests.emulator.driver import form
from tests.onboarding.person import APPLICANT, CONFIRMED, TO_SIGN_IN, Person
from tests.onboarding.site import Site

Meet = Callable[..., Awaitable[Person]]
FORM = {"content-type": "application/x-www-form-urlencoded"}


def shows(person: Person, problem: str) -> None:
    assert (person.page.status_code, person.heading) == (PROBLEMS[problem].status, PROBLEMS[problem].title)
    assert PROBLEMS[problem].remedy in person.text


async def at_microsoft(person: Person) -> dict[str, str]:
    """The answer that Microsoft has the browser bring back."""
    await person.fill()
    await person.leave()
    return await person.sign_in()


# Callbacks


@pytest.mark.parametrize(
    "answer",
    [
        {"state": ""},
        {"state": "x" * 150, "code": "1.abc"},
        {"state": "x" * 5000, "code": "1.abc"},
        {"code": "1.abc"},
        {"error": "access_denied"},
        {"state": "\x00\n", "code": "\x00"},
        {"admin_consent": "True", "tenant": "11111111-1111-4111-8111-111111111111", "state": "s"},
    ],
)
async def test_an_answer_that_belongs_to_no_sign_in(person: Person, answer: dict[str, str]):
    await person.fill()
    await person.answer(answer)
    shows(person, "unknown_sign_in")
    assert await person.site.is_untouched()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"code": ""}, "sign_in_stale"),
        ({"code": "1.forged"}, "refused"),
        ({"code": "<script>alert(1)</script>\x00"}, "refused"),
        ({"error": "server_error", "error_description": "AADSTS90033: <b>later</b>"}, None),
        ({"error": "access_denied", "error_subcode": "cancel"}, "declined"),
        ({"error": "<script>", "error_description": "AADSTS1: </p><script>alert(1)</script>"}, None),
    ],
)
async def test_an_answer_that_was_changed_on_the_way(person: Person, change: dict[str, str], problem: str | None):
    answer = await at_microsoft(person)
    await person.answer({**answer, **change})
    if problem is None:
        shows(person, "microsoft_away")
    else:
        assert person.notice == PROBLEMS[problem].title
    assert "<script>alert" not in person.page.text
    assert "<b>later" not in person.page.text
    assert await person.site.is_untouched()


async def test_an_answer_counts_once(person: Person):
    answer = await at_microsoft(person)
    await person.answer(answer)
    flow = str(person.page.url)
    await person.answer(answer)
    shows(person, "unknown_sign_in")
    assert flow.removeprefix(person.site.url) in person.page.text, "there is a way back"
    await person.get(flow)
    assert person.heading == CONFIRMED


async def test_two_answers_at_once_are_taken_once(person: Person):
    answer = await at_microsoft(person)
    url = f"{person.site.url}{CALLBACK}"
    pages = await asyncio.gather(*(person.client.post(url, data=answer) for _ in range(5)))
    assert sorted(page.status_code for page in pages) == [200, 400, 400, 400, 400]


async def test_an_expired_sign_in(person: Person, raw: Redis):
    await person.fill()
    before = set(await raw.keys("flow:*"))
    await person.leave()
    answer = await person.sign_in()
    (sign_in,) = set(await raw.keys("flow:*")) - before
    assert 0 < await raw.pttl(sign_in) <= 15 * 60 * 1000
    await raw.delete(sign_in)
    await person.answer(answer)
    shows(person, "unknown_sign_in")


async def test_a_code_of_one_sign_in_is_no_good_for_another(meet: Meet):
    ada, mallory = await meet(), await meet()
    hers, his = await at_microsoft(ada), await at_microsoft(mallory)
    await mallory.answer({**his, "code": hers["code"]})
    assert mallory.notice
    assert await ada.site.is_untouched()


async def test_login_csrf_an_answer_brought_by_another_browser_is_refused(meet: Meet):
    """Mallory signs in and has Ada's browser bring the answer, so that she would complete his request, or he hers."""
    ada, mallory = await meet(), await meet()
    answer = await at_microsoft(mallory)
    mallorys = str(mallory.page.url)
    await ada.fill()
    await ada.answer(answer)
    shows(ada, "unknown_sign_in")
    await mallory.answer(answer)
    shows(mallory, "unknown_sign_in")
    assert mallorys.startswith(ada.site.cloud.url)


async def test_a_stolen_return_cookie_does_not_open_the_flow(meet: Meet):
    ada, mallory = await meet(), await meet()
    await ada.fill()
    flow = str(ada.page.url)
    for cookie in ada.client.cookies.jar:
        if cookie.name.startswith("__Host-return-"):
            mallory.client.cookies.jar.set_cookie(cookie)
    await mallory.get(flow)
    shows(mallory, "unknown_flow")


async def test_callbacks_take_posts_of_forms_only(person: Person):
    await person.get(f"{CALLBACK}?code=1&state=2")
    shows(person, "wrong_method")
    for body, headers in [
        (b'{"state": "x"}', {"content-type": "application/json"}),
        (b"state=%ff%fe&code=1", FORM),
        (b"state=1&state=2", FORM),
        (b"\xff\xfe=1", FORM),
        (b"&".join(b"a%d=1" % n for n in range(50)), FORM),
        (b"--b\r\n\r\n", {"content-type": "multipart/form-data; boundary=b"}),
    ]:
        person.page = await person.client.post(f"{person.site.url}{CALLBACK}", content=body, headers=headers)
        shows(person, "bad_request")


# Other people's flows and forms


async def test_a_flow_is_unknown_in_any_other_browser(meet: Meet):
    ada, mallory = await meet(), await meet()
    await ada.fill()
    await ada.authorize()
    flow = str(ada.page.url)
    await mallory.get(flow)
    shows(mallory, "unknown_flow")
    _, fields = form(ada.page.text, "confirm")
    for step in ("authorize", "admin", "invite", "confirm", "key"):
        mallory.page = await mallory.client.post(f"{flow}/{step}", data=fields)
        shows(mallory, "unknown_flow")
    assert await ada.site.is_untouched()


async def test_a_planted_cookie_is_not_taken_over_by_a_flow(person: Person):
    """Session fixation: what was in the browser before a flow began opens nothing of it."""
    await person.get("/onboarding")
    planted = next(cookie.value for cookie in person.client.cookies.jar if cookie.name == FORM_COOKIE)
    await person.submit("start", **APPLICANT)
    flow_id = str(person.page.url).rpartition("/")[2]
    person.client.cookies.clear()
    for prefix in ("__Host-onboarding-", "__Host-return-"):
        person.client.cookies.set(f"{prefix}{flow_id}", planted or "", domain="localhost.local", path="/")
    await person.get(f"/onboarding/{flow_id}")
    shows(person, "unknown_flow")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_forms_sent_from_elsewhere_are_refused(person: Person, headers: dict[str, str]):
    await person.fill()
    await person.authorize()
    action, fields = form(person.page.text, "confirm")
    person.page = await person.client.post(f"{person.site.url}{action}", data=fields, headers=headers)
    shows(person, "form_stale")
    assert await person.site.is_untouched()


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "ä" * 43])
async def test_forms_without_their_token_are_refused(person: Person, token: str):
    await person.fill()
    await person.authorize()
    await person.submit("confirm", token=token)
    shows(person, "form_stale")
    await person.get("/onboarding")
    await person.submit("start", **APPLICANT, token=token)
    shows(person, "form_stale")
    assert await person.site.is_untouched()


async def test_the_token_of_one_flow_is_no_good_for_another(person: Person):
    await person.fill()
    _, first = form(person.page.text, "authorize")
    await person.fill()
    await person.submit("authorize", token=first["token"])
    shows(person, "form_stale")


async def test_a_browser_without_cookies_is_told(person: Person):
    await person.get("/onboarding")
    person.client.cookies.clear()
    await person.submit("start", **APPLICANT)
    shows(person, "no_cookie")


# Addresses


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost:1", "localhost:{port}.evil.example", "evil.example:{port}", ""]
)
async def test_a_request_for_another_host_is_refused(person: Person, host: str):
    port = str(person.site.settings.port)
    headers = {"host": host.format(port=port), "x-forwarded-host": "evil.example"}
    person.page = await person.client.get(person.site.settings.start_url, headers=headers)
    shows(person, "wrong_host")
    assert "evil.example" not in person.page.text


async def test_no_header_has_a_say_in_where_microsoft_sends_its_answer(person: Person):
    await person.fill()
    action, fields = form(person.page.text, "authorize")
    headers = {
        "x-forwarded-host": "evil.example", "x-forwarded-proto": "http", "forwarded": "host=evil.example",
        "x-original-host": "evil.example", "referer": "https://evil.example/",
    }  # fmt: skip
    person.page = await person.client.post(f"{person.site.url}{action}", data=fields, headers=headers)
    assert f"redirect_uri={quote(person.site.settings.redirect_uri, safe='')}" in person.microsoft_url()
    assert "evil.example" not in person.page.text


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "//evil.example/onboarding", "/onboarding/", "/onboarding//evil.example", "/\\evil.example",
        "/onboarding/https://evil.example", "/onboarding/?next=https://evil.example", "/onboarding/..%2f..%2fevil.example",
        "/onboarding/static/..%2f..%2fapp.py", "/onboarding/static/../../app.py", "/onboarding/%00", "/onboarding/" + "a" * 24,
        "/onboarding/" + "<script>", "/onboarding/static", "/admin",
    ],
)  # fmt: skip
async def test_no_address_leads_elsewhere(person: Person, path: str):
    response = await person.client.get(f"{person.site.url}{path}", follow_redirects=False)
    assert response.status_code == 404
    assert "location" not in response.headers
    assert "<script>alert" not in response.text
    assert "class Views" not in response.text


# What is typed

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'


@pytest.mark.parametrize("name", ["organisation", "contact"])
async def test_html_in_names_is_shown_as_it_is_typed(person: Person, name: str):
    key = await person.onboard(**{name: EVIL})
    assert key
    tenant = await person.site.tenants.load(person.site.tenant_id())
    assert tenant is not None
    assert EVIL in (tenant.name, tenant.settings["contact_name"])
    for path in ("", "/onboarding"):
        await person.get(path or str(person.page.url))
        assert "<script>alert" not in person.page.text
        assert "<img src=x" not in person.page.text


@pytest.mark.parametrize("name", list(APPLICANT))
@pytest.mark.parametrize(
    "text", [EVIL, "a\nb@c.de", "a\x00b.de", "\u202egro.osotnoc", "", "   ", "x" * 400, "\ud83d\ude00\ufffe"]
)
async def test_what_cannot_be_used_is_said_at_its_field(person: Person, name: str, text: str):
    if name in ("organisation", "contact") and text == EVIL:
        return  # a strange name, but a name
    await person.get("/onboarding")
    await person.submit(
        "start", **{**APPLICANT, name: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}
    )
    assert person.page.status_code == 422
    assert f'id="{name}-fault"' in person.page.text
    assert person.page.text.count('-fault"><span') == 1
    assert "<script>alert" not in person.page.text
    assert "\u202e" not in person.page.text
    assert await person.site.is_untouched()


@pytest.mark.parametrize("name", [*APPLICANT, "token", "unheard-of"])
async def test_a_megabyte_in_a_field_is_refused_with_a_page(person: Person, name: str):
    await person.get("/onboarding")
    await person.submit("start", **{**APPLICANT, name: "x" * 1_000_000})
    shows(person, "too_large")


async def test_a_megabyte_in_the_answer_is_refused_with_a_page(person: Person):
    await person.answer({"state": "x", "code": "x" * 1_000_000})
    shows(person, "too_large")


async def test_a_body_that_never_ends_is_cut_off(start_site: Callable[..., Awaitable[Site]], meet: Meet):
    person = await meet(await start_site())

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    with contextlib.suppress(httpx.HTTPError):  # cut off before the page was read
        person.page = await person.client.post(person.site.settings.start_url, content=endless(), headers=FORM)
        shows(person, "too_large")


# Impatience


async def test_going_back_and_sending_the_form_again_begins_another_flow(person: Person):
    await person.get("/onboarding")
    page = person.page
    await person.submit("start", **APPLICANT)
    first = str(person.page.url)
    person.page = page
    await person.submit("start", **APPLICANT)
    assert str(person.page.url) != first
    await person.get(first)
    await person.authorize()
    await person.complete()
    assert person.key


async def test_authorizing_twice_either_sign_in_will_do(person: Person):
    await person.fill()
    page = person.page
    await person.leave()
    first = await person.sign_in()
    person.page = page
    await person.leave()
    second = await person.sign_in()
    await person.answer(first)
    assert person.heading == CONFIRMED
    await person.answer(second)
    assert person.heading == CONFIRMED
    await person.complete()
    assert person.key


async def test_pressing_yes_many_times_at_once_makes_one_key(site: Site, person: Person):
    await person.fill()
    await person.authorize()
    flow = str(person.page.url)
    action, fields = form(person.page.text, "confirm")
    url = f"{site.url}{action}"

    pages = await asyncio.gather(*(person.client.post(url, data=fields, follow_redirects=False) for _ in range(6)))

    assert {page.status_code for page in pages} == {303}
    await person.get(flow)
    await person.follow()
    await person.show_key()
    key = await site.suite_keys.verify(person.key)
    keys = await site.suite_keys.list(site.tenant_id())
    assert [record.key_id for record in keys if record.revoked is None] == [key.key_id]
    assert len(await site.vault.list(site.tenant_id())) == 1
    assert len(await site.tenants.list()) == 1


async def test_yes_before_signing_in_and_signing_in_after_yes_change_nothing(site: Site, person: Person):
    await person.fill()
    flow = str(person.page.url)
    action, fields = form(person.page.text, "authorize")
    for step in ("confirm", "key"):
        person.page = await person.client.post(f"{flow}/{step}", data=fields)
        assert person.heading == TO_SIGN_IN
    assert await site.is_untouched()
    await person.authorize()
    await person.complete()
    keys = await site.suite_keys.list(site.tenant_id())
    for step in ("authorize", "admin", "invite", "confirm"):
        person.page = await person.client.post(f"{flow}/{step}", data=fields)
        assert "Contoso Ltd is connected" in person.heading
    assert await site.suite_keys.list(site.tenant_id()) == keys
    assert action


async def test_looking_ahead_does_not_use_the_key_up(person: Person):
    await person.fill()
    await person.authorize()
    flow = str(person.page.url)
    action, fields = form(person.page.text, "confirm")
    await person.client.post(f"{person.site.url}{action}", data=fields, follow_redirects=False)
    await person.get(flow)
    await person.follow()
    assert (await person.client.head(f"{flow}/key")).status_code == 200
    ahead = await person.client.get(f"{flow}/key", headers={"sec-purpose": "prefetch"})
    assert "psk_" not in ahead.text
    await person.show_key()
    assert person.key
