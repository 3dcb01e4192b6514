"""Account choice, hints, second factors, guests and personal accounts at the sign-in pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from emulator.demo import CLIENT_ID
from emulator.generate import PASSWORD
from emulator.world import PERSONAL
from tests.emulator.driver import RELAY, answer_of, application, form, sign_in, submit, walk
from tests.emulator.test_authorize import authorize, redeem

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"


async def enter(client: httpx.AsyncClient, uri: str, who: str) -> httpx.Response:
    """Give account and password; the page after that."""
    return await submit(client, await client.get(uri), "sign-in", username=who, password=PASSWORD)


async def whose(cloud: Cloud, client: httpx.AsyncClient, page: httpx.Response) -> str:
    claims = cloud.tokens.key.verify((await redeem(client, answer_of(page)["code"]))["id_token"])
    assert claims is not None
    return str(claims["preferred_username"])


async def test_several_remembered_accounts_can_be_chosen_from_without_a_password(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await walk(client, authorize(prompt="login"), username=ADA)
    await walk(client, authorize(prompt="login"), username=BEN)

    page = await client.get(authorize())

    assert "Pick an account" in page.text
    first, second = form(page.text, "account-1"), form(page.text, "account-2")
    assert first[1]["account"] == cloud.person(BEN).oid, "the newest comes first"
    assert second[1]["account"] == cloud.person(ADA).oid
    assert await whose(cloud, client, await submit(client, page, "account-2")) == ADA


async def test_select_account_asks_even_when_one_account_is_signed_in(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await walk(client, authorize(), username=ADA)

    page = await client.get(authorize(prompt="select_account"))

    assert "Pick an account" in page.text
    assert await whose(cloud, client, await submit(client, page, "account-1")) == ADA
    page = await client.get(authorize(prompt="select_account"))
    other = await submit(client, page, "sign-in", username=BEN, password=PASSWORD)
    assert 'id="consent"' in other.text


async def test_a_remembered_account_of_another_browser_cannot_be_chosen(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await walk(client, authorize(), username=ADA)
    page = await client.get(authorize(prompt="select_account"))
    client.cookies.clear()

    answer = await submit(client, page, "account-1")

    assert 'id="sign-in"' in answer.text
    assert "Pick an account" not in answer.text


async def test_a_login_hint_picks_the_account_or_fills_in_the_form(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await walk(client, authorize(prompt="login"), username=ADA)
    await walk(client, authorize(prompt="login"), username=BEN)

    assert await whose(cloud, client, await client.get(authorize(login_hint=ADA.upper()))) == ADA
    assert await whose(cloud, client, await client.get(authorize(login_hint=ADA, prompt="none"))) == ADA
    stranger = await client.get(authorize(login_hint="chloe@contoso.example"))
    assert form(stranger.text, "sign-in")[1]["username"] == "chloe@contoso.example"


async def test_a_domain_hint_narrows_the_accounts(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await walk(client, authorize(prompt="login"), username=ADA)
    await walk(client, authorize(prompt="login"), username="noah@fabrikam.example")

    assert await whose(cloud, client, await client.get(authorize(domain_hint="contoso.example"))) == ADA
    page = await client.get(authorize(domain_hint="litware.example"))
    assert "quinn@litware.example" in page.text
    assert BEN not in page.text


async def test_signing_out_ends_the_browsers_session_and_no_refresh_token(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    tokens = await redeem(client, (await walk(client, authorize()))["code"])

    page = await client.get("/common/oauth2/v2.0/logout")

    assert "signed out" in page.text
    assert 'id="sign-in"' in (await client.get(authorize())).text
    again = await redeem(client, "", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert "access_token" in again


async def test_a_registered_second_factor_is_asked_for_and_shows_in_the_tokens(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    shown = (await client.put(f"/_emulator/people/{ADA}/second_factor", json={"registered": True})).json()

    page = await enter(client, authorize(), ADA)
    assert "Enter code" in page.text
    assert shown["code"] not in page.text
    wrong = await submit(client, page, "mfa", code="x")
    assert "AADSTS500121" in wrong.text
    consent = await submit(client, wrong, "mfa", code=shown["code"])
    tokens = await redeem(client, answer_of(await submit(client, consent, "consent", decision="accept"))["code"])

    claims = cloud.tokens.key.verify(tokens["access_token"])
    assert claims is not None
    assert claims["amr"] == ["pwd", "mfa"]
    assert "code" in answer_of(await client.get(authorize())), "the browser remembers the second factor as well"


async def test_a_second_factor_cannot_be_skipped(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.directory.set_second_factor(ADA)
    page = await enter(client, authorize(), ADA)
    fields = form(page.text, "mfa")[1]

    for name in ("consent", "approval", "admin_consent"):
        skipped = await client.post(f"/organizations/{name}", data={**fields, "decision": "accept"})
        assert "location" not in skipped.headers
        assert "AADSTS50089" in skipped.text
        page = await enter(client, authorize(), ADA)
        fields = form(page.text, "mfa")[1]
    assert answer_of(await client.get(authorize(prompt="none")))["error"] == "login_required"


async def test_a_tenant_that_demands_a_second_factor_lets_people_register_one(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await client.put("/_emulator/tenants/contoso.example/policies", json={"mfa_required": True})

    page = await enter(client, authorize(), ADA)

    assert "More information required" in page.text
    code = cloud.person(ADA).mfa_code
    assert code in page.text
    assert 'id="consent"' in (await submit(client, page, "mfa", code=code)).text
    assert cloud.person(ADA).mfa
    assert "code" in await walk_with_factor(cloud, client, ADA)


async def walk_with_factor(cloud: Cloud, client: httpx.AsyncClient, who: str) -> dict[str, str]:
    page = await enter(client, authorize(prompt="login"), who)
    page = await submit(client, page, "mfa", code=cloud.person(who).mfa_code)
    return answer_of(await submit(client, page, "consent", decision="accept") if 'id="consent"' in page.text else page)


@pytest.mark.parametrize(("registered", "code"), [(True, 50076), (False, 50079)])
async def test_a_grant_without_a_second_factor_dies_when_the_tenant_demands_one(
    cloud: Cloud, client: httpx.AsyncClient, registered: bool, code: int
) -> None:
    tokens = await redeem(client, (await walk(client, authorize(), username=ADA))["code"])
    cloud.directory.set_second_factor(ADA, registered=registered)
    cloud.directory.set_policies("contoso.example", mfa_required=True)

    refused = await redeem(client, "", grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    assert (refused["error"], refused["error_codes"]) == ("interaction_required", [code])
    assert "capolids" in refused["claims"]
    again = await redeem(client, (await walk_with_factor(cloud, client, ADA))["code"])
    renewed = await redeem(client, "", grant_type="refresh_token", refresh_token=again["refresh_token"])
    assert "access_token" in renewed


async def test_a_missing_second_factor_may_be_an_invalid_grant(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(strong_authentication_error="invalid_grant")
    token = cloud.directory.grant(ADA, CLIENT_ID, {"Presence.Read.All"})
    cloud.directory.set_policies("contoso.example", mfa_required=True)

    refused = await redeem(client, "", grant_type="refresh_token", refresh_token=token)

    assert (refused["error"], refused["suberror"], refused["error_codes"]) == ("invalid_grant", "basic_action", [50079])


@pytest.mark.parametrize("where", ["redirect", "page"])
async def test_a_policy_stops_somebody_after_the_password(cloud: Cloud, client: httpx.AsyncClient, where: str) -> None:
    cloud.set_switches(blocked_sign_in=where)
    cloud.directory.revoke(ADA, "device_not_compliant")

    page = await enter(client, authorize(), ADA)

    if where == "page":
        assert "AADSTS53000" in page.text
        assert "location" not in page.headers
    else:
        sent = answer_of(page)
        assert (sent["error"], sent["state"]) == ("access_denied", "s&t=1")
        assert sent["error_description"].startswith("AADSTS53000:")


async def test_the_answer_may_come_in_the_fragment(client: httpx.AsyncClient) -> None:
    page = await enter(client, authorize(response_mode="fragment"), RELAY)
    page = await submit(client, page, "consent", decision="accept")

    _, _, sent = page.headers["location"].partition("#")

    assert "code=" in sent
    assert "?" not in page.headers["location"]


async def test_a_plain_challenge_is_taken_and_checked(client: httpx.AsyncClient) -> None:
    challenge = "p" * 50
    code = (await walk(client, authorize(code_challenge=challenge, code_challenge_method="")))["code"]

    assert (await redeem(client, code))["error_codes"] == [501481]
    assert "access_token" in await redeem(client, code, code_verifier=challenge)


async def test_a_state_of_thousands_of_characters_comes_back_whole(client: httpx.AsyncClient) -> None:
    state = "st/ä+&=%" * 500

    sent = await walk(client, authorize(state=state))

    assert sent["state"] == state


async def claims_of(cloud: Cloud, folder: Path, client: httpx.AsyncClient, tenant: str, who: str) -> dict[str, Any]:
    app = await asyncio.to_thread(application, cloud, folder, tenant)
    signed_in = await sign_in(app, client, username=who)
    access = cloud.tokens.key.verify(signed_in["access_token"])
    assert access is not None
    (account,) = app.get_accounts()
    return {**signed_in["id_token_claims"], "access": access, "home": account["home_account_id"]}


async def test_a_guests_tokens_are_of_the_guest_and_say_where_the_account_is_at_home(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    mia = cloud.person("mia@fabrikam.example")
    contoso = cloud.person(ADA).tenant
    guest = contoso.guest(mia.upn)
    assert guest is not None

    claims = await claims_of(cloud, tmp_path, client, contoso.tenant_id, mia.upn)

    assert (claims["oid"], claims["tid"], claims["acct"]) == (guest.oid, contoso.tenant_id, 1)
    assert claims["idp"] == f"https://sts.windows.net/{mia.tenant.tenant_id}/"
    assert claims["access"]["upn"] == guest.upn == "mia_fabrikam.example#EXT#@contoso.example"
    assert claims["home"] == f"{mia.oid}.{mia.tenant.tenant_id}"


async def test_a_browser_that_signed_in_as_a_guest_is_at_home_everywhere_else(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    mia = cloud.person("mia@fabrikam.example")
    await walk(client, authorize("contoso.example"), username=mia.upn)
    await walk(client, authorize(), username=mia.upn)

    for tenant, tid in (
        ("organizations", mia.tenant.tenant_id),
        ("contoso.example", cloud.person(ADA).tenant.tenant_id),
    ):
        code = answer_of(await client.get(authorize(tenant, prompt="none")))["code"]
        claims = cloud.tokens.key.verify((await redeem(client, code, tenant))["id_token"])
        assert claims is not None
        assert claims["tid"] == tid


async def test_a_refresh_token_serves_a_guest_in_the_other_tenant(cloud: Cloud, client: httpx.AsyncClient) -> None:
    token = cloud.directory.grant("mia@fabrikam.example", CLIENT_ID, {"Presence.Read.All"})
    contoso = cloud.person(ADA).tenant
    guest = contoso.guest("mia@fabrikam.example")
    assert guest is not None
    asked = {"grant_type": "refresh_token", "refresh_token": token, "tenant": contoso.domain}

    assert (await redeem(client, "", **asked))["error_codes"] == [65001], "nobody consented there"
    cloud.directory.grant(guest, CLIENT_ID, {"Presence.Read.All"})
    claims = cloud.tokens.key.verify((await redeem(client, "", **asked))["access_token"])

    assert claims is not None
    assert (claims["oid"], claims["tid"]) == (guest.oid, contoso.tenant_id)
    litware = await redeem(client, "", **{**asked, "tenant": "litware.example"})
    assert litware["error_codes"] == [50020]


async def test_a_guests_tokens_are_revoked_at_home_and_not_where_the_guest_is(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    guest = cloud.person(ADA).tenant.guest("mia@fabrikam.example")
    assert guest is not None
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": cloud.directory.grant(guest, CLIENT_ID, {"Presence.Read.All"}),
    }

    cloud.directory.revoke(guest, "sessions_revoked")
    assert "access_token" in await redeem(client, "", **asked)
    cloud.directory.revoke("mia@fabrikam.example", "sessions_revoked")
    assert (await redeem(client, "", **asked))["error_codes"] == [50173]


async def test_personal_accounts_live_at_consumers_and_come_from_live_com(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    claims = await claims_of(cloud, tmp_path, client, "consumers", "pat@outlook.example")

    assert (claims["tid"], claims["idp"], claims["iss"]) == (PERSONAL, "live.com", f"{cloud.url}/{PERSONAL}/v2.0")


@pytest.mark.parametrize(
    ("segment", "who", "code"),
    [("consumers", ADA, "AADSTS500208"), ("contoso.example", "pat@outlook.example", "AADSTS50020")],
)
async def test_an_account_of_the_wrong_kind_is_told_so(
    client: httpx.AsyncClient, segment: str, who: str, code: str
) -> None:
    page = await enter(client, authorize(segment), who)

    assert code in page.text
    assert form(page.text, "sign-in")
