"""Onboardings that do not come to an end at once: each on a page that says what happened and what to do next, with nothing
kept; and going on from there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from emulator import Fault
from emulator.entra.service import TOKEN_PATH
from pages.problems import PROBLEMS
from tests.onboarding.person import CONFIRMED, TO_SIGN_IN, Person

Meet = Callable[..., Awaitable[Person]]
DISCOVERY = "/v2.0/.well-known/openid-configuration"
BULK = "/v1.0/communications/getPresencesByUserId"


async def says(person: Person, problem: str) -> None:
    """The page is the flow's, says what happened and what to do, and nothing is kept."""
    assert person.notice == PROBLEMS[problem].title
    assert PROBLEMS[problem].remedy in person.text
    assert person.page.status_code == 200
    assert await person.site.is_untouched()


async def goes_on(person: Person, account: str = "presence-relay@contoso.example") -> None:
    """From the page that it ended on, the person gets to a key."""
    await person.authorize(account)
    await person.complete()
    assert person.key


async def test_a_declined_consent(person: Person):
    await person.fill()
    await person.authorize(decision="decline")
    await says(person, "declined")
    await goes_on(person)


async def test_a_tenant_that_demands_admin_consent(person: Person):
    await person.fill(domain="litware.example", organisation="Litware")
    await person.authorize("quinn@litware.example")
    await says(person, "admin_needed")
    await goes_on(person, "admin@litware.example")


async def test_a_user_can_do_it_once_an_administrator_consented_for_all(person: Person):
    cloud = person.site.cloud
    (application,) = cloud.world.applications.values()
    cloud.directory.consent(
        "admin@litware.example", application, {"Presence.Read.All", "User.ReadBasic.All"}, everybody=True
    )
    key = await person.onboard("quinn@litware.example", domain="litware.example")
    assert (await person.site.suite_keys.verify(key)).tenant_id == person.site.tenant_id("litware.example")


async def test_a_guest_of_the_organisation(person: Person):
    """Microsoft signs guests in to where they come from."""
    assert person.site.cloud.world.tenant("contoso.example").guest("mia@fabrikam.example")  # type: ignore[union-attr]
    await person.fill()
    await person.authorize("mia@fabrikam.example")
    await says(person, "other_tenant")
    assert "mia@fabrikam.example is not a member of contoso.example." in person.text
    await goes_on(person)


async def test_a_personal_account(person: Person):
    person.site.cloud.set_switches(personal_accounts="admitted")
    await person.fill()
    await person.authorize("pat@outlook.example")
    await says(person, "personal_account")
    await goes_on(person)


async def test_a_personal_account_that_microsoft_keeps_on_its_own_page(person: Person):
    await person.fill()
    await person.leave()
    await person.submit("sign-in", username="pat@outlook.example", password="Pa55word!")
    assert "Use your work or school account instead" in person.text
    await person.answer(await person.sign_in())
    assert person.heading == CONFIRMED


async def test_an_account_that_a_policy_keeps_out_is_told_what_microsoft_says(person: Person):
    person.site.cloud.directory.revoke("ben@contoso.example", "conditional_access")
    await person.fill()
    await person.authorize("ben@contoso.example")
    await says(person, "refused")
    assert "A Conditional Access or security policy of the organisation blocks this account." in person.text
    await goes_on(person)


async def test_a_grant_that_may_not_read_presence_is_not_kept(person: Person):
    await person.fill()
    await person.authorize()
    person.site.cloud.add_fault(Fault(path=BULK, status=403, body='{"error":{"code":"Forbidden"}}'))
    await person.complete()
    await says(person, "proof_refused")
    person.site.cloud.faults.remove()
    await goes_on(person)


async def test_a_grant_that_was_revoked_before_it_was_completed_is_not_kept(person: Person):
    await person.fill()
    await person.authorize()
    person.site.cloud.directory.revoke("presence-relay@contoso.example")
    await person.complete()
    await says(person, "refused")
    await goes_on(person)


@pytest.mark.parametrize(
    ("domain", "words"),
    [("nowhere.example", "Microsoft has no organisation"), ("outlook.example", "personal accounts")],
)
async def test_a_domain_of_no_organisation_is_said_at_the_field(person: Person, domain: str, words: str):
    await person.fill(domain=domain)
    assert person.page.status_code == 422
    assert words in person.text
    assert f'value="{domain}"' in person.page.text
    assert 'value="Contoso Ltd"' in person.page.text
    await person.submit("start", domain="contoso.example")
    assert person.heading == TO_SIGN_IN


# Microsoft or the store down, at each step


async def test_entra_down_at_the_form_keeps_what_was_typed(person: Person):
    person.site.cloud.add_fault(Fault(contains=DISCOVERY, status=503))
    await person.fill()
    assert person.page.status_code == 503
    assert person.notice == "Microsoft does not answer"
    person.site.cloud.faults.remove()
    await person.submit("start")
    assert person.heading == TO_SIGN_IN


async def back(person: Person, status: int, problem: str) -> None:
    """A page of its own that leads back to the flow; goes there."""
    assert (person.page.status_code, person.heading) == (status, PROBLEMS[problem].title)
    link = re.search(r'class="button button--main" href="([^"]+)"', person.page.text)
    assert link
    await person.get(link[1])
    assert person.page.status_code == 200


async def test_entra_down_at_authorize(person: Person):
    await person.fill()
    person.site.cloud.add_fault(Fault(contains=DISCOVERY, reset=True))
    await person.submit("authorize")
    await back(person, 503, "microsoft_away")
    person.site.cloud.faults.remove()
    await goes_on(person)


async def test_entra_down_when_the_answer_comes(person: Person):
    await person.fill()
    await person.leave()
    answer = await person.sign_in()
    person.site.cloud.add_fault(Fault(contains=TOKEN_PATH, status=503))
    await person.answer(answer)
    await back(person, 503, "microsoft_away")
    person.site.cloud.faults.remove()
    await goes_on(person)


@pytest.mark.parametrize("path", [TOKEN_PATH, "/v1.0/users", BULK])
async def test_microsoft_down_at_complete_loses_nothing(person: Person, path: str):
    await person.fill()
    await person.authorize()
    person.site.cloud.add_fault(Fault(contains=path, status=503))
    await person.confirm()
    assert (person.heading, person.notice) == ("The check failed", PROBLEMS["microsoft_away"].title)
    assert await person.site.is_untouched()
    person.site.cloud.faults.remove()
    await person.complete()
    assert person.key


async def test_a_bad_moment_of_graphs_at_complete_goes_unnoticed(person: Person):
    await person.fill()
    await person.authorize()
    person.site.cloud.add_fault(Fault(path=BULK, status=503, count=1))
    await person.complete()
    assert person.key


async def test_a_wrong_credential_of_ours_is_said_to_be_ours(person: Person):
    await person.fill()
    await person.leave()
    answer = await person.sign_in()
    (application,) = person.site.cloud.world.applications.values()
    person.site.cloud.directory.refuse_application(application.client_id, "secret_expired")
    await person.answer(answer)
    await back(person, 502, "credential")


async def test_the_store_away_at_each_step_is_said_and_nothing_is_lost(person: Person, valkey: object):
    async def away(step: Callable[[], Awaitable[object]]) -> None:
        valkey.kill()  # type: ignore[attr-defined]
        try:
            await step()
        finally:
            valkey.start()  # type: ignore[attr-defined]
        assert (person.page.status_code, person.heading) == (503, PROBLEMS["store_away"].title)

    await away(person.fill)
    await person.fill()
    flow = str(person.page.url)
    await away(lambda: person.submit("authorize"))
    await person.get(flow)
    await person.leave()
    answer = await person.sign_in()
    await away(lambda: person.answer(answer))
    await person.answer(answer)
    await away(person.complete)
    await person.get(flow)
    await person.complete()
    if not person.key:  # the first write after a restart finds out that its connection is gone
        await person.get(flow)
        await person.complete()
    assert person.key


@pytest.mark.parametrize("step", ["greeting", "authorized", "done"])
async def test_a_flow_that_expired_says_so(person: Person, raw: Redis, step: str):
    await person.fill()
    flow = str(person.page.url)
    if step != "greeting":
        await person.authorize()
    if step == "done":
        await person.complete()
    for name in await raw.keys("flow:*"):
        assert 0 < await raw.pttl(name) <= 15 * 60 * 1000
        await raw.delete(name)
    await person.get(flow)
    assert (person.page.status_code, person.heading) == (404, PROBLEMS["unknown_flow"].title)
