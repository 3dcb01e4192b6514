"""OpenID Connect beside the sign-in: `userinfo`, signing out, tokens from the authorize endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from emulator.demo import CLIENT_ID, REDIRECT_URI
from emulator.generate import PASSWORD
from tests.emulator.driver import RELAY, bearer, submit
from tests.emulator.test_authorize import authorize, redeem
from tests.emulator.test_entra_scopes import ADA, opened, signed_in

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud
    from emulator.world import Application


@pytest.mark.fault("F3")
async def test_userinfo_says_who_is_signed_in_by_get_and_by_post(cloud: Cloud, client: httpx.AsyncClient) -> None:
    tokens = await signed_in(client, "openid profile email", ADA)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    document = (await client.get("/contoso.example/v2.0/.well-known/openid-configuration")).json()

    for method in ("GET", "POST"):
        answer = await client.request(method, document["userinfo_endpoint"], headers=headers)
        assert answer.json() == {
            "sub": opened(cloud, tokens["id_token"])["sub"], "name": "Ada Adler", "family_name": "Adler",
            "given_name": "Ada", "picture": "https://graph.microsoft.com/v1.0/me/photo/$value", "email": ADA,
        }  # fmt: skip


@pytest.mark.fault("F3")
async def test_userinfo_says_no_more_than_the_scopes_allow(cloud: Cloud, client: httpx.AsyncClient) -> None:
    tokens = await signed_in(client, "openid", ADA)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}

    assert set((await client.get("/oidc/userinfo", headers=headers)).json()) == {"sub"}
    assert (await client.get("/oidc/userinfo", headers=bearer(cloud, RELAY, "User.Read"))).status_code == 403
    assert (await client.get("/oidc/userinfo")).status_code == 401
    assert (await client.put("/oidc/userinfo", headers=headers)).status_code == 405


@pytest.mark.fault("F10")
async def test_signing_out_sends_the_browser_back_to_a_registered_address_only(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await signed_in(client, "openid User.Read")
    logout = "/common/oauth2/v2.0/logout"

    back = await client.get(logout, params={"post_logout_redirect_uri": REDIRECT_URI, "state": "s&1"})
    elsewhere = await client.get(logout, params={"post_logout_redirect_uri": "https://evil.example/"})
    another = await client.get(logout, params={"post_logout_redirect_uri": REDIRECT_URI, "client_id": "no-such"})

    assert (back.status_code, back.headers["location"]) == (302, f"{REDIRECT_URI}?state=s%261")
    for page in (elsewhere, another):
        assert (page.status_code, "signed out" in page.text) == (200, True)
        assert "evil" not in page.text
    assert 'id="sign-in"' in (await client.get(authorize())).text


@pytest.mark.fault("F12")
async def test_an_unknown_application_is_told_with_the_directory_that_was_asked(client: httpx.AsyncClient) -> None:
    for segment, directory in (("contoso.example", "Contoso"), ("organizations", "organizations")):
        refused = await redeem(client, "x", segment, client_id="no-such")
        page = await client.get(authorize(segment, client_id="no-such"))
        assert f"was not found in the directory '{directory}'" in refused["error_description"]
        assert f"directory &#39;{directory}&#39;" in page.text


@pytest.mark.fault("F12")
async def test_paths_that_entra_does_not_have_are_refused_in_its_form(client: httpx.AsyncClient) -> None:
    for path in ("/contoso.example/oauth2/v3.0/token", "/common/oauth2/v2.0/nothing"):
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request")
        assert path.partition("/oauth2")[2] in answer.json()["error_description"]


@pytest.mark.fault("F12")
async def test_an_answer_without_a_body_has_no_type_either(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/_emulator/tenants/contoso.example/app_consents", json={"client_id": CLIENT_ID, "roles": []}
    )

    assert answer.status_code == 204
    assert not {"content-type", "content-length"} & set(answer.headers)


@pytest.mark.parametrize(
    ("response_type", "names"),
    [
        ("id_token", {"id_token"}),
        ("code id_token", {"code", "id_token"}),
        ("id_token token", {"id_token", "access_token", "token_type", "expires_in", "scope"}),
        ("token", {"access_token", "token_type", "expires_in", "scope"}),
    ],
)
async def test_the_authorize_endpoint_sends_the_tokens_that_the_registration_allows(
    cloud: Cloud, client: httpx.AsyncClient, response_type: str, names: set[str]
) -> None:
    asked = authorize(
        response_type=response_type, scope="openid profile User.Read", nonce="n1", code_challenge="",
        code_challenge_method="",
    )  # fmt: skip
    refused = fragment(await client.get(asked))
    assert refused["error_description"].startswith("AADSTS700054:")
    allow(cloud)
    cloud.directory.consent(ADA, allow(cloud), {"User.Read"})
    page = await submit(client, await client.get(asked), "sign-in", username=ADA, password=PASSWORD)

    sent = fragment(page)

    assert set(sent) == {*names, "state", "session_state"}
    if "access_token" in names:
        claims = opened(cloud, sent["access_token"])
        assert {"User.Read", "openid", "profile"} == set(claims["scp"].split())
    if "id_token" in names:
        claims = opened(cloud, sent["id_token"])
        assert claims["nonce"] == "n1"
        assert ("c_hash" in claims, "at_hash" in claims) == ("code" in names, "access_token" in names)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": ""}, "AADSTS900144"),
        ({"scope": "User.Read"}, "AADSTS70011"),
        ({"response_mode": "query"}, "AADSTS70007"),
        ({"response_type": "code token"}, "AADSTS700054"),
    ],
)
async def test_a_wrong_request_for_tokens_is_refused_in_the_fragment(
    cloud: Cloud, client: httpx.AsyncClient, changes: dict[str, str], code: str
) -> None:
    allow(cloud)

    sent = fragment(await client.get(authorize(**{"response_type": "id_token", "nonce": "n1", **changes})))

    assert sent["error_description"].startswith(f"{code}:")


async def test_the_discovery_document_names_what_is_there(client: httpx.AsyncClient) -> None:
    document = (await client.get("/contoso.example/v2.0/.well-known/openid-configuration")).json()

    assert document["response_types_supported"] == ["code", "id_token", "code id_token", "id_token token"]
    assert (await client.post(document["device_authorization_endpoint"])).json()["error_codes"] == [900144]


def allow(cloud: Cloud) -> Application:
    """Let the application have tokens from the authorize endpoint."""
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    application.id_tokens = application.access_tokens = True
    return application


def fragment(page: httpx.Response) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(page.headers["location"]).fragment))
