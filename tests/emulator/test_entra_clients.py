"""Clients without a browser or a secret, driven by MSAL and azure-identity: public clients, devices, on behalf of, passwords."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import msal
import pytest
from azure.identity import DeviceCodeCredential, OnBehalfOfCredential, UsernamePasswordCredential

from emulator.demo import CLIENT_ID, SECRET
from emulator.generate import PASSWORD
from tests.emulator.driver import RELAY, browser, submit, walk
from tests.emulator.test_authorize import redeem
from tests.emulator.test_entra_scopes import ADA
from tests.emulator.test_microsoft_clients import GRAPH, claims_of, confidential

if TYPE_CHECKING:
    from emulator import Cloud
    from emulator.world import Application

AUTHORITY = "https://login.microsoftonline.com/organizations"
PUBLIC = "11111111-2222-4333-8444-555555555555"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LOCALHOST = "http://localhost"


def public(cloud: Cloud) -> Application:
    """Register a public client."""
    from emulator.world import Application

    application = Application(client_id=PUBLIC, name="A console", redirect_uris=[LOCALHOST], public=True)
    cloud.directory.put_application(application)
    return application


async def program(**options: Any) -> msal.PublicClientApplication:
    return await asyncio.to_thread(msal.PublicClientApplication, PUBLIC, authority=AUTHORITY, **options)


async def type_in(client: httpx.AsyncClient, page: str, code: str, *, decision: str = "accept") -> httpx.Response:
    """What somebody does at a browser with the code that a device shows."""
    found = await submit(client, await client.get(page), "device", user_code=code.lower())
    if 'id="sign-in"' in found.text:
        found = await submit(client, found, "sign-in", username=ADA, password=PASSWORD)
    return await submit(client, found, "consent", decision=decision) if 'id="consent"' in found.text else found


async def test_a_public_client_signs_in_with_pkce_and_without_a_secret(microsoft: Cloud) -> None:
    public(microsoft)
    app = await program()
    flow = app.initiate_auth_code_flow(["User.Read"], redirect_uri=f"{LOCALHOST}:8400", response_mode="form_post")
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await walk(client, flow["auth_uri"], username=ADA)

    signed_in = await asyncio.to_thread(app.acquire_token_by_auth_code_flow, flow, answer)
    (account,) = app.get_accounts()
    again = await asyncio.to_thread(app.acquire_token_silent_with_error, ["User.Read"], account, force_refresh=True)

    assert claims_of(signed_in["access_token"])["appidacr"] == "0"
    assert again["access_token"] != signed_in["access_token"]


async def test_only_public_clients_do_without_a_secret_and_they_have_none(cloud: Cloud) -> None:
    public(cloud)
    async with browser(cloud) as client:
        token = {
            "grant_type": "refresh_token",
            "refresh_token": cloud.directory.grant(ADA, PUBLIC, {"User.Read"}),
            "scope": "",
        }
        fits = await redeem(client, "", client_id=PUBLIC, client_secret="", **token)
        secret = await redeem(client, "", client_id=PUBLIC, client_secret="x", **token)
        itself = await redeem(client, "", client_id=PUBLIC, client_secret="", grant_type="client_credentials")
        without = await redeem(client, "", client_secret="", **token)

    assert "access_token" in fits
    assert [each["error_codes"] for each in (secret, itself, without)] == [[700025], [7000218], [7000218]]


async def test_msal_signs_in_on_another_device(microsoft: Cloud) -> None:
    public(microsoft)
    microsoft.set_switches(device_code_interval_s=1)
    app = await program()
    flow = await asyncio.to_thread(app.initiate_device_flow, ["User.Read"])
    waiting = asyncio.create_task(asyncio.to_thread(app.acquire_token_by_device_flow, flow))
    async with httpx.AsyncClient(timeout=20) as client:
        done = await type_in(client, flow["verification_uri"], flow["user_code"])

    signed_in = await waiting

    assert "You have signed in" in done.text
    assert signed_in["id_token_claims"]["preferred_username"] == ADA
    assert {"User.Read", "openid", "profile"} <= set(claims_of(signed_in["access_token"])["scp"].split())


async def test_azure_identity_signs_in_on_another_device(microsoft: Cloud) -> None:
    public(microsoft)
    microsoft.set_switches(device_code_interval_s=1)
    loop, shown = asyncio.get_running_loop(), asyncio.Queue[tuple[str, str]]()

    def token() -> str:
        def prompt(page: str, code: str, _: Any) -> None:
            loop.call_soon_threadsafe(shown.put_nowait, (page, code))

        with DeviceCodeCredential(PUBLIC, tenant_id="contoso.example", prompt_callback=prompt) as credential:
            return credential.get_token("https://graph.microsoft.com/User.Read").token

    waiting = asyncio.create_task(asyncio.to_thread(token))
    async with httpx.AsyncClient(timeout=20) as client:
        await type_in(client, *await asyncio.wait_for(shown.get(), 30))

    assert claims_of(await waiting)["upn"] == ADA


async def test_a_device_is_told_what_became_of_its_code(cloud: Cloud) -> None:
    public(cloud)

    async with browser(cloud) as client:

        async def begun() -> dict[str, Any]:
            form = {"client_id": PUBLIC, "scope": "openid User.Read"}
            return (await client.post("/organizations/oauth2/v2.0/devicecode", data=form)).json()

        async def asked(device: dict[str, Any], **changes: str) -> dict[str, Any]:
            form = {"grant_type": DEVICE_GRANT, "client_id": PUBLIC, "device_code": device["device_code"], **changes}
            return (await client.post("/organizations/oauth2/v2.0/token", data=form)).json()

        first = await begun()
        assert (first["interval"], first["expires_in"]) == (5, 900)
        assert [(await asked(first))["error"] for _ in range(2)] == ["authorization_pending", "slow_down"]
        assert (await asked(first, client_id=CLIENT_ID, client_secret=SECRET))["error_codes"] == [700003]
        assert (await asked(first, device_code="made-up"))["error"] == "bad_verification_code"
        assert "Check the code" in (await type_in(client, first["verification_uri"], "NO-SUCH")).text

        await type_in(client, first["verification_uri"], first["user_code"], decision="decline")
        assert (await asked(first))["error"] == "authorization_declined"
        assert "expired" in (await type_in(client, first["verification_uri"], first["user_code"])).text

        second = await begun()
        await type_in(client, second["verification_uri"], second["user_code"])
        assert "access_token" in await asked(second)
        assert (await asked(second))["error_codes"] == [54005], "a code gives tokens once"

        third = await begun()
        cloud.set_switches(device_code_s=0)
        assert (await asked(third))["error"] == "expired_token"
        assert "expired" in (await type_in(client, third["verification_uri"], third["user_code"])).text


async def test_a_token_for_the_application_is_exchanged_for_one_for_graph(microsoft: Cloud) -> None:
    own = microsoft.directory.grant(ADA, CLIENT_ID, {"User.Read"})
    app = await confidential("contoso.example")
    called = await asyncio.to_thread(app.acquire_token_by_refresh_token, own, [f"api://{CLIENT_ID}/.default"])
    token = called["access_token"]

    given = await asyncio.to_thread(app.acquire_token_on_behalf_of, token, ["User.Read"])
    missing = await asyncio.to_thread(app.acquire_token_on_behalf_of, token, ["Mail.Read"])
    graphs = await asyncio.to_thread(app.acquire_token_on_behalf_of, given["access_token"], ["User.Read"])
    made_up = await asyncio.to_thread(app.acquire_token_on_behalf_of, "made.up.token", ["User.Read"])

    claims = claims_of(given["access_token"])
    assert (claims["upn"], claims["aud"]) == (ADA, "https://graph.microsoft.com")
    assert (missing["error_codes"], missing["suberror"]) == ([65001], "consent_required")
    assert (graphs["error_codes"], made_up["error_codes"]) == ([500131], [50013])

    def by_azure_identity() -> str:
        with OnBehalfOfCredential("contoso.example", CLIENT_ID, client_secret=SECRET, user_assertion=token) as who:
            return who.get_token(GRAPH).token

    assert claims_of(await asyncio.to_thread(by_azure_identity))["upn"] == ADA


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_password_alone_gives_tokens_where_nothing_more_is_asked_for(microsoft: Cloud) -> None:
    microsoft.directory.consent(ADA, public(microsoft), {"User.Read"})

    async def by_password(who: str, password: str = PASSWORD) -> dict[str, Any]:
        app = await program()  # another one each time: MSAL replays refusals for a minute
        found: dict[str, Any] = await asyncio.to_thread(
            app.acquire_token_by_username_password, who, password, ["User.Read"]
        )
        return found

    given = await by_password(ADA)
    refused = [await by_password(ADA, "wrong"), await by_password("nobody@contoso.example"), await by_password(RELAY)]
    microsoft.directory.set_second_factor(ADA)
    refused.append(await by_password(ADA))
    microsoft.directory.set_second_factor(ADA, registered=False)
    microsoft.set_switches(password_grant=False)
    refused.append(await by_password(ADA))

    assert claims_of(given["access_token"])["upn"] == ADA
    assert [each["error_codes"] for each in refused] == [[50126], [50034], [65001], [50076], [70003]]
    microsoft.set_switches(password_grant=True)

    def by_azure_identity() -> str:
        with UsernamePasswordCredential(PUBLIC, ADA, PASSWORD, tenant_id="contoso.example") as who:
            return who.get_token("https://graph.microsoft.com/User.Read").token

    assert claims_of(await asyncio.to_thread(by_azure_identity))["upn"] == ADA
