"""The token endpoint: what tokens say, client credentials, refresh tokens that live and die, capabilities."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

import msal
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from emulator.demo import CLIENT_ID, SECRET
from emulator.entra.refusals import SURVIVED
from emulator.entra.tokens import GRAPH_ID, UNUSED_S
from tests.emulator.driver import RELAY, SCOPES, application, sign_in, walk
from tests.emulator.test_authorize import authorize, redeem
from tests.emulator.test_msal import make_certificate

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from emulator import Cloud
    from emulator.world import Application, Tenant

CP1 = '{"access_token":{"xms_cc":{"values":["cp1"]}}}'
DEFAULT = "https://graph.microsoft.com/.default"


def registered(cloud: Cloud) -> Application:
    found = cloud.world.application(CLIENT_ID)
    assert found is not None
    return found


def contoso(cloud: Cloud) -> Tenant:
    return cloud.person(RELAY).tenant


def opened(cloud: Cloud, token: str) -> dict[str, Any]:
    claims = cloud.tokens.key.verify(token)
    assert claims is not None
    return claims


async def refreshed(client: httpx.AsyncClient, token: str, **changes: str) -> dict[str, Any]:
    return await redeem(client, "", grant_type="refresh_token", refresh_token=token, **changes)


async def itself(client: httpx.AsyncClient, tenant: str = "contoso.example", **changes: str) -> dict[str, Any]:
    """A token of the application itself."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET, "scope": DEFAULT}
    answer = await client.post(f"/{tenant}/oauth2/v2.0/token", data={k: v for k, v in {**form, **changes}.items() if v})
    return {"status": answer.status_code, **answer.json()}


@pytest.mark.parametrize("version", [1, 2])
async def test_graphs_tokens_are_of_version_1_or_as_the_switch_says(
    cloud: Cloud, client: httpx.AsyncClient, version: int
) -> None:
    cloud.set_switches(graph_token_version=version)
    tid = contoso(cloud).tenant_id

    claims = opened(cloud, (await redeem(client, (await walk(client, authorize()))["code"]))["access_token"])

    form = {"ver": claims["ver"], "iss": claims["iss"], "aud": claims["aud"]}
    if version == 1:
        assert form == {"ver": "1.0", "iss": f"https://sts.windows.net/{tid}/", "aud": "https://graph.microsoft.com"}
        assert (claims["appid"], claims["upn"]) == (CLIENT_ID, RELAY)
        assert "azp" not in claims
    else:
        assert form == {"ver": "2.0", "iss": f"{cloud.url}/{tid}/v2.0", "aud": GRAPH_ID}
        assert (claims["azp"], claims["preferred_username"]) == (CLIENT_ID, RELAY)
        assert "appid" not in claims
    assert (claims["scp"], claims["tid"], claims["oid"]) == (
        "Presence.Read.All openid profile",
        tid,
        cloud.person(RELAY).oid,
    )
    assert "roles" not in claims


@pytest.mark.parametrize(("version", "audience"), [(1, f"api://{CLIENT_ID}"), (2, CLIENT_ID)])
async def test_a_token_for_the_application_itself_is_of_the_version_that_it_is_registered_with(
    cloud: Cloud, client: httpx.AsyncClient, version: int, audience: str
) -> None:
    registered(cloud).access_token_version = version
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})

    claims = opened(cloud, (await refreshed(client, token, scope=f"api://{CLIENT_ID}/.default"))["access_token"])

    assert (claims["ver"], claims["aud"]) == (f"{version}.0", audience)
    read = await client.get("/v1.0/me", headers={"authorization": f"Bearer {cloud.tokens.key.sign(claims)}"})
    assert read.status_code == 401, "it is none for Graph"


async def test_the_endpoints_of_version_1_take_a_resource(cloud: Cloud, client: httpx.AsyncClient) -> None:
    uri = authorize(scope="", resource="https://graph.microsoft.com").replace("/v2.0", "")
    code = (await walk(client, uri))["code"]
    form = {
        "grant_type": "authorization_code", "client_id": CLIENT_ID, "client_secret": SECRET, "code": code,
        "redirect_uri": "http://localhost/onboarding/callback", "code_verifier": "v" * 43,
        "resource": "https://graph.microsoft.com",
    }  # fmt: skip

    answer = (await client.post("/organizations/oauth2/token", data=form)).json()

    assert set(opened(cloud, answer["access_token"])["scp"].split()) == {*registered(cloud).scopes, "openid", "profile"}


async def test_lifetimes_are_as_the_switches_say(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(access_token_s=120, cae_token_s=240)
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    for claims, lifetime in (("", 120), (CP1, 240)):
        answer = await refreshed(client, token, claims=claims)
        found = opened(cloud, answer["access_token"])
        assert answer["expires_in"] == found["exp"] - found["iat"] == lifetime


async def test_a_client_with_the_capability_gets_long_lived_tokens_that_say_so(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """MSAL sends the capability both when it authorizes and when it redeems."""
    app = await asyncio.to_thread(application, cloud, tmp_path, client_capabilities=["CP1"])

    signed_in = await sign_in(app, client)
    (account,) = app.get_accounts()
    forced = await asyncio.to_thread(app.acquire_token_silent_with_error, SCOPES, account, force_refresh=True)

    for answer in (signed_in, forced):
        assert answer["expires_in"] == 28 * 3600
        assert opened(cloud, answer["access_token"])["xms_cc"] == ["cp1"]
    plain = await refreshed(client, signed_in["refresh_token"])
    assert "xms_cc" not in opened(cloud, plain["access_token"])


async def test_graph_challenges_a_revoked_account_and_a_new_sign_in_answers(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    tokens = await redeem(client, (await walk(client, authorize(claims=CP1)))["code"], claims=CP1)
    cloud.directory.revoke(RELAY, "sessions_revoked")

    read = await client.get("/v1.0/me/presence", headers={"authorization": f"Bearer {tokens['access_token']}"})

    found = re.search(r'claims="([^"]+)"', read.headers["www-authenticate"])
    assert found is not None
    challenge = base64.b64decode(found[1]).decode()
    assert (await refreshed(client, tokens["refresh_token"], claims=challenge))["error_codes"] == [50173]
    again = await walk(client, authorize(claims=challenge, prompt="login"))
    answer = await redeem(client, again["code"], claims=challenge)
    read = await client.get("/v1.0/me/presence", headers={"authorization": f"Bearer {answer['access_token']}"})
    assert read.status_code == 200


async def test_a_claims_challenge_can_be_sent_back_to_the_token_endpoint(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    challenge = json.loads(CP1)
    challenge["access_token"]["nbf"] = {"essential": True, "value": str(int(time.time()))}

    assert "access_token" in await refreshed(client, token, claims=json.dumps(challenge))
    cloud.directory.revoke(RELAY, "sessions_revoked")
    assert (await refreshed(client, token, claims=json.dumps(challenge)))["error_codes"] == [50173]


@pytest.mark.parametrize("credential", ["secret", "sha1", "sha256"])
async def test_msal_gets_tokens_for_the_application_itself(cloud: Cloud, tmp_path: Path, credential: str) -> None:
    options: dict[str, Any] = {}
    if credential != "secret":
        key, certificate = make_certificate()
        registered(cloud).certificates.append(certificate)
        options["client_credential"] = {"private_key": key, "public_certificate": certificate}
        if credential == "sha1":
            options["client_credential"] = {"private_key": key, "thumbprint": thumbprint(certificate)}
    cloud.directory.consent_app(contoso(cloud), registered(cloud), ["Presence.Read.All", "User.Read.All"])
    app: msal.ConfidentialClientApplication = await asyncio.to_thread(
        application, cloud, tmp_path, contoso(cloud).tenant_id, **options
    )

    answer = await asyncio.to_thread(app.acquire_token_for_client, [DEFAULT])

    claims = opened(cloud, answer["access_token"])
    assert (claims["idtyp"], claims["roles"]) == ("app", ["Presence.Read.All", "User.Read.All"])
    assert claims["oid"] == claims["sub"] != cloud.person(RELAY).oid
    assert "scp" not in claims
    assert "refresh_token" not in answer


def thumbprint(certificate: str) -> str:
    return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA1()).hex()


async def test_application_permissions_need_an_administrators_consent(cloud: Cloud, client: httpx.AsyncClient) -> None:
    assert (await itself(client))["error_codes"] == [700016], "nobody ever consented to it in this tenant"
    cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})

    claims = opened(cloud, (await itself(client))["access_token"])

    assert "roles" not in claims, "a user's consent gives none"
    answer = await client.post(
        "/_emulator/tenants/contoso.example/app_consents",
        json={"client_id": CLIENT_ID, "roles": ["Presence.Read.All"]},
    )
    assert answer.status_code == 204
    assert opened(cloud, (await itself(client))["access_token"])["roles"] == ["Presence.Read.All"]
    assert (await itself(client, "fabrikam.example"))["error_codes"] == [700016]


@pytest.mark.parametrize(
    ("tenant", "changes", "error", "code"),
    [
        ("common", {}, "invalid_request", 9001023),
        ("consumers", {}, "invalid_request", 9001023),
        ("organizations", {}, "invalid_request", 50059),
        ("contoso.example", {"scope": "https://graph.microsoft.com/Presence.Read.All"}, "invalid_scope", 1002012),
        ("contoso.example", {"scope": ""}, "invalid_request", 900144),
        ("contoso.example", {"scope": "https://vault.example/.default"}, "invalid_resource", 500011),
        ("contoso.example", {"client_secret": "wrong"}, "invalid_client", 7000215),
    ],
)
async def test_wrong_requests_for_the_application_itself_are_refused(
    cloud: Cloud, client: httpx.AsyncClient, tenant: str, changes: dict[str, str], error: str, code: int
) -> None:
    cloud.directory.consent_app(contoso(cloud), registered(cloud), ["Presence.Read.All"])

    refused = await itself(client, tenant, **changes)

    assert (refused["error"], refused["error_codes"]) == (error, [code])


@pytest.mark.parametrize(
    ("scope", "error", "code"),
    [
        ("Presence.Read.All https://graph.microsoft.com/.default", "invalid_scope", 70011),
        (f"Presence.Read.All {CLIENT_ID}/.default", "invalid_request", 28000),
        ("https://vault.example/read", "invalid_resource", 500011),
        (f"api://{CLIENT_ID}/invented", "invalid_scope", 70011),
        ("Mood.Read", "invalid_scope", 70011),
    ],
)
async def test_scopes_that_do_not_go_together_are_refused(
    cloud: Cloud, client: httpx.AsyncClient, scope: str, error: str, code: int
) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})

    refused = await refreshed(client, token, scope=scope)

    assert (refused["error"], refused["error_codes"]) == (error, [code])


async def test_default_means_what_was_consented_to_and_nothing_more(cloud: Cloud, client: httpx.AsyncClient) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All", "User.ReadBasic.All"})

    for scope in (DEFAULT, f"{GRAPH_ID}/.default", ""):
        claims = opened(cloud, (await refreshed(client, token, scope=scope))["access_token"])
        assert set(claims["scp"].split()) == {"Presence.Read.All", "User.ReadBasic.All", "openid", "profile"}


@pytest.mark.parametrize("kind", sorted(SURVIVED))
async def test_a_confidential_clients_refresh_token_outlives_the_password(
    cloud: Cloud, client: httpx.AsyncClient, kind: str
) -> None:
    tokens = await redeem(client, (await walk(client, authorize()))["code"])

    cloud.directory.revoke(RELAY, kind)

    assert "access_token" in await refreshed(client, tokens["refresh_token"])
    signed_in = 'id="sign-in"' not in (await client.get(authorize())).text
    assert signed_in is (kind == "password_expired"), (
        "a session by password ends with the password, not with its expiry"
    )


async def test_a_refresh_token_dies_after_90_days_of_disuse(cloud: Cloud, client: httpx.AsyncClient) -> None:
    token = cloud.tokens.read_refresh_token(cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"}))
    assert token is not None
    for age_s, lives in ((UNUSED_S - 60, True), (UNUSED_S + 60, False)):
        aged = msgspec.structs.replace(token, issued=time.time() - age_s)
        answer = await refreshed(client, cloud.tokens.seal_refresh_token(aged))
        assert ("access_token" in answer) is lives
    assert answer["error_codes"] == [700082]
    assert "was inactive for 90.00:00:00" in answer["error_description"]


@pytest.mark.parametrize("ends", [False, True])
async def test_a_replayed_code_is_refused_and_may_end_what_was_given_for_it(
    cloud: Cloud, client: httpx.AsyncClient, ends: bool
) -> None:
    cloud.set_switches(replayed_code_ends_grant=ends)
    code = (await walk(client, authorize()))["code"]
    tokens = await redeem(client, code)
    later = await refreshed(client, tokens["refresh_token"])

    assert (await redeem(client, code))["error_codes"] == [54005]

    for token in (tokens["refresh_token"], later["refresh_token"]):
        assert ("access_token" in await refreshed(client, token)) is not ends


async def test_a_code_lives_as_long_as_the_switch_says(cloud: Cloud, client: httpx.AsyncClient) -> None:
    assert cloud.switches.authorization_code_s == 600
    code = (await walk(client, authorize()))["code"]
    cloud.set_switches(authorization_code_s=0)

    refused = await redeem(client, code)

    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [70008])


async def test_a_tenant_that_is_throttled_says_for_how_long(cloud: Cloud, client: httpx.AsyncClient) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    form = {
        "grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": SECRET, "refresh_token": token,
    }  # fmt: skip
    await client.post("/_emulator/tenants/contoso.example/refuse", json={"kind": "tenant_throttled"})

    throttled = await client.post("/organizations/oauth2/v2.0/token", data=form)
    cloud.directory.refuse_tenant("contoso.example", "directory_unavailable")
    away = await client.post("/organizations/oauth2/v2.0/token", data=form)

    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "5")
    assert (away.status_code, away.json()["error"], away.json()["error_codes"]) == (
        503, "temporarily_unavailable", [90033],
    )  # fmt: skip


async def test_reset_takes_every_refusal_back(cloud: Cloud, client: httpx.AsyncClient) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    cloud.directory.revoke(RELAY, "risk")
    cloud.directory.refuse_application(CLIENT_ID, "secret_expired")
    cloud.directory.refuse_application(CLIENT_ID, "disabled", "contoso.example")
    cloud.directory.refuse_tenant("contoso.example", "national_cloud")

    cloud.reset()

    assert "access_token" in await refreshed(client, token)


def test_what_there_is_no_name_for_is_refused(cloud: Cloud) -> None:
    for call in (
        lambda: cloud.directory.revoke(RELAY, "boredom"),
        lambda: cloud.directory.refuse_application(CLIENT_ID, "boredom"),
        lambda: cloud.directory.refuse_tenant("contoso.example", "boredom"),
        lambda: cloud.directory.set_policies("contoso.example", user_consent="boredom"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(LookupError):
        cloud.directory.refuse_tenant("nowhere.example", "")
