"""Who may consent: the tenants' policies, requests for approval, assignments, and the admin consent endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from emulator import Cloud, Config, Emulator
from emulator.demo import CLIENT_ID, REDIRECT_URI, SCOPES
from emulator.generate import PASSWORD
from tests.emulator.driver import answer_of, browser, form, submit, walk
from tests.emulator.test_authorize import authorize, redeem

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

ADA = "ada@contoso.example"
ADMIN = "admin@contoso.example"
CONTOSO = "contoso.example"


async def enter(client: httpx.AsyncClient, uri: str, who: str = ADA) -> httpx.Response:
    return await submit(client, await client.get(uri), "sign-in", username=who, password=PASSWORD)


def verify_publisher(cloud: Cloud) -> None:
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    application.verified = True


def admin_consent(tenant: str = CONTOSO, version: str = "v2.0/", **changes: str) -> str:
    asked = {
        "client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "state": "s&t=1",
        "scope": "https://graph.microsoft.com/Presence.Read.All https://graph.microsoft.com/User.ReadBasic.All",
    }  # fmt: skip
    return f"/{tenant}/{version}adminconsent?{urlencode({k: v for k, v in {**asked, **changes}.items() if v})}"


async def test_the_consent_page_lists_scopes_in_words_and_the_publisher(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    page = await enter(client, authorize())
    for text in ("Read presence information of all users", "Maintain access to data", "Sign you in", "(unverified)"):
        assert text in page.text
    assert "verified publisher" not in page.text

    verify_publisher(cloud)
    page = await enter(client, authorize(prompt="login"))

    assert "Local development ✓ verified publisher" in page.text
    assert "not verified" not in page.text


@pytest.mark.parametrize(
    ("policy", "verified", "scope", "heading"),
    [
        ("allowed", False, "Presence.Read.All", "Permissions requested"),
        ("verified_publishers_only", False, "Presence.Read.All", "Need admin approval"),
        ("verified_publishers_only", True, "Presence.Read.All", "Permissions requested"),
        ("off", True, "Presence.Read.All", "Need admin approval"),
        ("request_approval", True, "Presence.Read.All", "Approval required"),
    ],
)
async def test_a_tenants_policy_says_whether_users_may_consent(
    cloud: Cloud, client: httpx.AsyncClient, policy: str, verified: bool, scope: str, heading: str
) -> None:
    if verified:
        verify_publisher(cloud)
    shown = await client.put(f"/_emulator/tenants/{CONTOSO}/policies", json={"user_consent": policy})
    assert shown.json()["user_consent"] == policy

    page = await enter(client, authorize(scope=f"openid {scope}"))
    admins = await enter(client, authorize(scope=f"openid {scope}", prompt="login"), ADMIN)

    assert f"<h1>{heading}</h1>" in page.text
    assert "<h1>Permissions requested</h1>" in admins.text


async def test_unverified_publishers_may_be_stopped_everywhere(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(unverified_publishers="admin_needed")
    assert "Need admin approval" in (await enter(client, authorize())).text

    verify_publisher(cloud)

    assert "Permissions requested" in (await enter(client, authorize(prompt="login"))).text


async def test_a_consent_form_is_not_taken_from_somebody_who_may_not_consent(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    page = await enter(client, authorize())
    cloud.directory.set_policies(CONTOSO, user_consent="off")

    sent = answer_of(await submit(client, page, "consent", decision="accept", organization="on"))

    assert sent["error_description"].startswith("AADSTS90094:")
    assert cloud.directory.grants() == []


async def test_a_user_asks_for_approval_and_can_sign_in_after_an_administrator_gave_it(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    cloud.directory.set_policies(CONTOSO, user_consent="request_approval")
    page = await enter(client, authorize())
    sent = answer_of(await submit(client, page, "approval", decision="request", reason="For the phones"))
    assert sent["error"] == "access_denied"
    assert sent["error_description"].startswith("AADSTS90095:")
    (asked,) = (await client.get("/_emulator/consents/requests")).json()["requests"]
    assert (asked["upn"], asked["scopes"], asked["reason"]) == (ADA, ["Presence.Read.All"], "For the phones")
    assert "You asked an administrator" in (await client.get(authorize())).text

    approved = await client.post("/_emulator/consents/requests", json={"tenant": CONTOSO, "client_id": CLIENT_ID})

    assert approved.status_code == 204
    assert "code" in answer_of(await client.get(authorize()))
    assert cloud.directory.consent_requests() == []


async def test_a_denied_request_can_be_made_again(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.directory.set_policies(CONTOSO, user_consent="request_approval")
    await submit(client, await enter(client, authorize()), "approval", decision="request")

    cloud.directory.answer_consent_request(CONTOSO, CLIENT_ID, approve=False)

    assert "Request approval" in (await client.get(authorize())).text
    await submit(client, await client.get(authorize()), "approval", decision="back")
    assert cloud.directory.consent_requests() == [], "going back asks nobody"
    with pytest.raises(LookupError):
        cloud.directory.answer_consent_request(CONTOSO, CLIENT_ID)


async def test_an_application_that_demands_assignment_lets_only_the_assigned_in(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    assigned = {"client_id": CLIENT_ID, "people": ["ben@contoso.example", ADMIN]}
    await client.put(f"/_emulator/tenants/{CONTOSO}/assignments", json=assigned)

    stopped = answer_of(await enter(client, authorize()))
    needs_admin = await enter(client, authorize(prompt="login"), "ben@contoso.example")
    admin = await enter(client, authorize(prompt="login"), ADMIN)
    await submit(client, admin, "consent", decision="accept", organization="on")

    assert stopped["error_description"].startswith("AADSTS50105:")
    assert "Need admin approval" in needs_admin.text
    assert "code" in answer_of(await enter(client, authorize(prompt="login"), "ben@contoso.example"))


async def test_a_grant_dies_when_the_account_is_no_longer_assigned(cloud: Cloud, client: httpx.AsyncClient) -> None:
    token = cloud.directory.grant(ADA, CLIENT_ID, {"Presence.Read.All"})
    cloud.directory.assign(CONTOSO, CLIENT_ID, [])
    refused = await redeem(client, "", grant_type="refresh_token", refresh_token=token)
    assert refused["error_codes"] == [50105]

    cloud.directory.assign(CONTOSO, CLIENT_ID, None)

    assert "access_token" in await redeem(client, "", grant_type="refresh_token", refresh_token=token)


async def test_an_application_that_was_removed_from_a_tenant_comes_back_with_a_new_consent(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    token = cloud.directory.grant(ADA, CLIENT_ID, {"Presence.Read.All"})
    other = cloud.directory.grant("mia@fabrikam.example", CLIENT_ID, {"Presence.Read.All"})
    await client.post(
        f"/_emulator/tenants/{CONTOSO}/refuse_application", json={"client_id": CLIENT_ID, "kind": "removed"}
    )
    refused = await redeem(client, "", grant_type="refresh_token", refresh_token=token)
    assert (refused["error"], refused["error_codes"]) == ("unauthorized_client", [700016])
    assert "access_token" in await redeem(client, "", grant_type="refresh_token", refresh_token=other)

    code = (await walk(client, authorize(), username=ADA))["code"]

    assert "access_token" in await redeem(client, code)


async def test_policies_requests_and_assignments_outlive_the_process(tmp_path: Path) -> None:
    config = Config(state=tmp_path / "state.json")
    async with Emulator.start(config) as cloud, browser(cloud) as client:
        cloud.directory.set_policies(CONTOSO, user_consent="request_approval", mfa_required=True)
        cloud.directory.set_second_factor(ADA)
        cloud.directory.assign("fabrikam.example", CLIENT_ID, ["mia@fabrikam.example"])
        cloud.directory.refuse_tenant("litware.example", "tenant_throttled")
        page = await submit(client, await enter(client, authorize()), "mfa", code=cloud.person(ADA).mfa_code)
        await submit(client, page, "approval", decision="request")
        before = [vars_of(cloud), cloud.directory.consent_requests()]
    async with Emulator.start(config) as cloud:
        assert [vars_of(cloud), cloud.directory.consent_requests()] == before
        assert cloud.person(ADA).mfa


def vars_of(cloud: Cloud) -> list[object]:
    return [(one.user_consent, one.mfa_required, one.assignments, one.refusal) for one in cloud.world.tenants.values()]


async def test_admin_consent_gives_the_whole_tenant_and_neither_code_nor_token(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    page = await enter(client, admin_consent(), ADMIN)
    assert "review for your organization" in page.text

    sent = answer_of(await submit(client, page, "admin-consent", decision="accept"))

    assert sent == {
        "admin_consent": "True", "tenant": cloud.person(ADA).tenant.tenant_id, "state": "s&t=1",
        "scope": "https://graph.microsoft.com/Presence.Read.All https://graph.microsoft.com/User.ReadBasic.All",
    }  # fmt: skip
    assert "code" in answer_of(await enter(client, authorize(prompt="login"), ADA)), "users need not consent"


async def test_admin_consent_of_default_and_of_the_older_endpoint_gives_everything_registered(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    for uri in (admin_consent(scope="https://graph.microsoft.com/.default"), admin_consent(version="", scope="")):
        page = await enter(client, uri + "&login_hint=x", ADMIN)
        assert "without a signed-in user" in page.text
        sent = answer_of(await submit(client, page, "admin-consent", decision="accept"))
        assert (sent["admin_consent"], "error" in sent) == ("True", False)
        (grant,) = [each for each in cloud.directory.grants() if each["person"] == "*"]
        assert set(grant["scopes"]) == {scope.lower() for scope in SCOPES}
        contoso = cloud.person(ADA).tenant
        assert contoso.app_consents.pop(CLIENT_ID) == {"Presence.Read.All", "User.Read.All"}
        contoso.consents.clear()


async def test_a_declined_admin_consent_is_an_error_that_says_admin_consent_true_as_well(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    page = await enter(client, admin_consent(), ADMIN)

    sent = answer_of(await submit(client, page, "admin-consent", decision="decline"))

    assert (sent["admin_consent"], sent["error"], sent["state"]) == ("True", "consent_required", "s&t=1")
    assert sent["error_description"].startswith("AADSTS65004:")
    assert "tenant" not in sent
    assert cloud.directory.grants() == []


async def test_admin_consent_is_for_administrators_only(cloud: Cloud, client: httpx.AsyncClient) -> None:
    page = await enter(client, admin_consent(), ADA)
    assert "Only an administrator" in page.text

    sent = answer_of(await submit(client, page, "admin-consent", decision="accept"))

    assert (sent["admin_consent"], sent["error"]) == ("True", "access_denied")
    assert sent["error_description"].startswith("AADSTS90094:")
    assert cloud.directory.grants() == []


async def test_admin_consent_works_at_organizations_and_not_at_common(client: httpx.AsyncClient) -> None:
    assert form((await enter(client, admin_consent("organizations"), ADMIN)).text, "admin-consent")
    for segment in ("common", "consumers"):
        page = await client.get(admin_consent(segment))
        assert "AADSTS90130" in page.text
        assert "location" not in page.headers


async def test_an_administrator_of_another_tenant_cannot_consent(client: httpx.AsyncClient) -> None:
    page = await enter(client, admin_consent(), "admin@fabrikam.example")

    assert "AADSTS50020" in page.text


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"redirect_uri": "https://evil.example/"}, "AADSTS50011"), ({"client_id": "nobody"}, "AADSTS700016")],
)
async def test_admin_consent_sends_nothing_to_unregistered_addresses(
    client: httpx.AsyncClient, changes: dict[str, str], code: str
) -> None:
    page = await client.get(admin_consent(**changes))

    assert code in page.text
    assert "location" not in page.headers


async def test_admin_consent_refuses_wrong_scopes_at_the_application(client: httpx.AsyncClient) -> None:
    for scope, code in (("", "AADSTS900144"), ("Mood.Read", "AADSTS70011")):
        sent = answer_of(await client.get(admin_consent(scope=scope)))
        assert (sent["admin_consent"], sent["state"]) == ("True", "s&t=1")
        assert sent["error_description"].startswith(f"{code}:")
