"""Wrong sign-ins and wrong requests are answered as Microsoft answers them."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from emulator.generate import PASSWORD
from tests.emulator.driver import RELAY, answer_of, submit, walk

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def authorize(tenant: str = "organizations", **changes: str) -> str:
    """An authorize address with PKCE; a change to an empty text leaves the parameter out."""
    asked = {
        "client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "response_type": "code", "state": "s&t=1",
        "scope": "openid profile offline_access Presence.Read.All", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }  # fmt: skip
    return f"/{tenant}/oauth2/v2.0/authorize?{urlencode({k: v for k, v in {**asked, **changes}.items() if v})}"


async def redeem(client: httpx.AsyncClient, code: str, tenant: str = "organizations", **changes: str) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code", "client_id": CLIENT_ID, "client_secret": SECRET, "code": code,
        "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER, "scope": "openid profile offline_access Presence.Read.All",
    }  # fmt: skip
    answer = await client.post(f"/{tenant}/oauth2/v2.0/token", data={k: v for k, v in {**form, **changes}.items() if v})
    return {"status": answer.status_code, **answer.json()}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, "AADSTS700016"),
        ({"redirect_uri": "https://evil.example/callback"}, "AADSTS50011"),
        ({"redirect_uri": f"{REDIRECT_URI}/more"}, "AADSTS50011"),
    ],
)
async def test_an_unknown_application_or_address_gets_a_page_and_no_redirect(
    client: httpx.AsyncClient, changes: dict[str, str], code: str
) -> None:
    page = await client.get(authorize(**changes))

    assert page.status_code == 400
    assert "location" not in page.headers
    assert code in page.text


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": "none"}, "unsupported_response_type", "AADSTS700054"),
        ({"response_mode": "web_message"}, "unsupported_response_mode", "AADSTS70007"),
        ({"prompt": "perhaps"}, "invalid_request", "AADSTS90023"),
        ({"scope": ""}, "invalid_request", "AADSTS900144"),
        ({"scope": "openid Mood.Read"}, "invalid_scope", "AADSTS70011"),
        ({"code_challenge": "short"}, "invalid_request", "AADSTS501491"),
        ({"prompt": "none"}, "login_required", "AADSTS50058"),
    ],
)
async def test_a_wrong_request_goes_back_to_the_application(
    client: httpx.AsyncClient, changes: dict[str, str], error: str, code: str
) -> None:
    sent = answer_of(await client.get(authorize(**changes)))

    assert (sent["error"], sent["state"]) == (error, "s&t=1")
    assert sent["error_description"].startswith(f"{code}:")


@pytest.mark.parametrize(
    ("tenant", "username", "password", "code"),
    [
        ("organizations", RELAY, "wrong", "AADSTS50126"),
        ("organizations", "nobody@contoso.example", PASSWORD, "AADSTS50034"),
        ("fabrikam.example", RELAY, PASSWORD, "AADSTS50020"),
    ],
)
async def test_a_failed_sign_in_shows_the_form_again(
    client: httpx.AsyncClient, tenant: str, username: str, password: str, code: str
) -> None:
    page = await client.get(authorize(tenant))

    again = await submit(client, page, "sign-in", username=username, password=password)

    assert code in again.text
    sent = await submit(client, again, "sign-in", username="admin@fabrikam.example", password=PASSWORD)
    assert 'id="consent"' in sent.text


async def test_a_form_is_taken_only_once(client: httpx.AsyncClient) -> None:
    page = await client.get(authorize())
    await submit(client, page, "sign-in", username=RELAY, password=PASSWORD)

    again = await submit(client, page, "sign-in", username=RELAY, password=PASSWORD)

    assert "AADSTS50089" in again.text


async def test_a_second_sign_in_needs_neither_password_nor_consent(client: httpx.AsyncClient) -> None:
    await walk(client, authorize())

    assert "code" in answer_of(await client.get(authorize()))
    assert "code" in answer_of(await client.get(authorize(prompt="none")))
    assert 'id="sign-in"' in (await client.get(authorize(prompt="select_account"))).text
    assert 'id="consent"' in (await client.get(authorize(prompt="consent"))).text


async def test_an_administrator_can_consent_for_everybody(cloud: Cloud, client: httpx.AsyncClient) -> None:
    page = await client.get(authorize())
    page = await submit(client, page, "sign-in", username="admin@contoso.example", password=PASSWORD)
    await submit(client, page, "consent", decision="accept", organization="on")

    page = await client.get(authorize(prompt="login"))
    sent = await submit(client, page, "sign-in", username="ada@contoso.example", password=PASSWORD)

    assert "code" in answer_of(sent)


async def test_the_consent_page_names_application_and_scopes(client: httpx.AsyncClient) -> None:
    page = await client.get(authorize(login_hint=RELAY))
    page = await submit(client, page, "sign-in", password=PASSWORD)

    for text in ("Presence relay (local)", "Presence.Read.All", "offline_access", RELAY):
        assert text in page.text


async def test_a_code_works_once(client: httpx.AsyncClient) -> None:
    code = (await walk(client, authorize()))["code"]

    first, second = await redeem(client, code), await redeem(client, code)

    assert first["token_type"] == "Bearer"
    assert first["scope"].split() == ["Presence.Read.All", "openid", "profile"]
    assert (second["status"], second["error"], second["error_codes"]) == (400, "invalid_grant", [54005])


@pytest.mark.parametrize(
    ("changes", "tenant", "error", "code"),
    [
        ({"code_verifier": "w" * 43}, "organizations", "invalid_grant", 501481),
        ({"code_verifier": ""}, "organizations", "invalid_grant", 501481),
        ({"redirect_uri": "http://localhost/other"}, "organizations", "invalid_grant", 500112),
        ({}, "contoso.example", "invalid_grant", 700005),
        ({"code": "made-up"}, "organizations", "invalid_grant", 9002313),
        ({"client_secret": ""}, "organizations", "invalid_client", 7000218),
        ({"client_secret": "wrong"}, "organizations", "invalid_client", 7000215),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, "organizations", "unauthorized_client", 700016),
        ({"grant_type": "magic"}, "organizations", "unsupported_grant_type", 70003),
        ({}, "nowhere.example", "invalid_tenant", 90002),
    ],
)
async def test_a_wrong_redemption_is_refused_and_leaves_the_code_usable(
    client: httpx.AsyncClient, changes: dict[str, str], tenant: str, error: str, code: int
) -> None:
    granted = (await walk(client, authorize()))["code"]

    refused = await redeem(client, **{"code": granted, "tenant": tenant, **changes})

    assert (refused["error"], refused["error_codes"]) == (error, [code])
    assert refused["error_description"].startswith(f"AADSTS{code}: ")
    assert "access_token" in await redeem(client, granted)


async def test_without_a_challenge_a_verifier_fits_none(client: httpx.AsyncClient) -> None:
    """Else a code could be planted whose challenge was stripped on the way."""
    plain = authorize(code_challenge="", code_challenge_method="")
    code = (await walk(client, plain))["code"]

    refused = await redeem(client, code)

    assert refused["error_codes"] == [501481]
    assert "access_token" in await redeem(client, code, code_verifier="")


async def test_the_nonce_comes_back_as_it_was_sent(cloud: Cloud, client: httpx.AsyncClient) -> None:
    code = (await walk(client, authorize(nonce="n-0S6_WzA2Mj")))["code"]

    claims = cloud.tokens.key.verify((await redeem(client, code))["id_token"])

    assert claims is not None
    assert claims["nonce"] == "n-0S6_WzA2Mj"


async def test_a_made_up_refresh_token_is_refused(client: httpx.AsyncClient) -> None:
    for token in ("", "x", "1.e30.AAAA", "1.ÿ.ÿ"):
        refused = await redeem(client, "", grant_type="refresh_token", refresh_token=token or " ")
        assert refused["error_codes"] == [70000]


async def test_localhost_may_have_any_port(client: httpx.AsyncClient) -> None:
    sent = await walk(client, authorize(redirect_uri="http://localhost:5123/onboarding/callback"))

    assert "code" in sent


async def test_discovery_of_an_unknown_tenant_is_90002(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere.example/v2.0/.well-known/openid-configuration")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_tenant")
