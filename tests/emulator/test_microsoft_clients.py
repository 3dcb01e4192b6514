"""MSAL and azure-identity under Microsoft's host names: nothing about them is changed but `HTTPS_PROXY` and the CA."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AuthorizationCodeCredential, CertificateCredential, ClientSecretCredential

from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from tests.emulator.driver import RELAY, SCOPES, sign_in, walk
from tests.emulator.test_hosts import HOME, everywhere
from tests.emulator.test_msal import make_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from emulator import Cloud

GRAPH = "https://graph.microsoft.com/.default"
ROLES = {"Presence.Read.All", "User.ReadBasic.All"}


def let_in(cloud: Cloud, tenant: str = "contoso.example") -> None:
    """Have an administrator consent to the application's own permissions."""
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    cloud.directory.consent_app(tenant, application, ROLES)


def certify(cloud: Cloud) -> tuple[str, str]:
    """Register a certificate for the application; its key and itself, as PEM."""
    key, certificate = make_certificate()
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    application.certificates.append(certificate)
    return key, certificate


async def code_for(scopes: str = GRAPH, *, tenant: str = "contoso.example") -> str:
    """A code that somebody who signed in was given."""
    query = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "scope": scopes, "response_type": "code"}
    url = httpx.URL(f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize", params=query)
    async with httpx.AsyncClient(timeout=20) as browser:
        return (await walk(browser, str(url)))["code"]


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def confidential(tenant: str = "organizations", **options: Any) -> msal.ConfidentialClientApplication:
    authority = options.pop("authority", f"https://login.microsoftonline.com/{tenant}")
    options = {"client_credential": SECRET, **options}
    return await asyncio.to_thread(msal.ConfidentialClientApplication, CLIENT_ID, authority=authority, **options)


async def test_msal_signs_in_and_refreshes(microsoft: Cloud) -> None:
    app = await confidential()
    async with httpx.AsyncClient(timeout=20) as browser:
        signed_in = await sign_in(app, browser)
    (account,) = await asyncio.to_thread(app.get_accounts)
    refreshed = await asyncio.to_thread(app.acquire_token_silent_with_error, SCOPES, account, force_refresh=True)

    tid = microsoft.person(RELAY).tenant.tenant_id
    assert signed_in["id_token_claims"]["iss"] == f"https://login.microsoftonline.com/{tid}/v2.0"
    assert claims_of(refreshed["access_token"])["iss"] == f"https://sts.windows.net/{tid}/"
    assert claims_of(refreshed["access_token"])["scp"].split() == [*sorted(SCOPES), "openid", "profile"]
    assert refreshed["access_token"] != signed_in["access_token"]


async def test_msal_learns_which_host_names_are_one_cloud(microsoft: Cloud) -> None:
    """Who signed in at one name of it is found at another, by instance discovery."""
    cache = msal.TokenCache()
    first = await confidential(authority="https://login.windows.net/contoso.example", token_cache=cache)
    async with httpx.AsyncClient(timeout=20) as browser:
        await sign_in(first, browser)

    second = await confidential("contoso.example", token_cache=cache)
    (account,) = await asyncio.to_thread(second.get_accounts)
    refreshed = await asyncio.to_thread(second.acquire_token_silent_with_error, SCOPES, account, force_refresh=True)

    assert "access_token" in refreshed
    asked = microsoft.journal.search(path="/common/discovery/instance")
    assert {entry.status for entry in asked} == {200}


async def test_msal_refuses_an_authority_that_instance_discovery_does_not_know(
    microsoft: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`login.microsoftonline.com` answers for all hosts that MSAL does not know, the emulator's own address among them."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(ValueError, match="invalid_instance"):
        await confidential(authority=f"{microsoft.url}/contoso.example")


@pytest.mark.parametrize("proof", ["secret", "certificate"])
async def test_msal_gets_a_token_for_the_application_itself(microsoft: Cloud, proof: str) -> None:
    let_in(microsoft)
    key, certificate = certify(microsoft)
    credential = SECRET if proof == "secret" else {"private_key": key, "public_certificate": certificate}
    app = await confidential("contoso.example", client_credential=credential)

    given = await asyncio.to_thread(app.acquire_token_for_client, [GRAPH])
    again = await asyncio.to_thread(app.acquire_token_for_client, [GRAPH])

    claims = claims_of(given["access_token"])
    assert (claims["aud"], claims["appid"], claims["idtyp"]) == ("https://graph.microsoft.com", CLIENT_ID, "app")
    assert set(claims["roles"]) == ROLES
    assert "scp" not in claims
    assert again["token_source"] == "cache"


@everywhere
async def test_msal_is_told_that_a_tenant_lives_in_another_cloud(microsoft: Cloud) -> None:
    let_in(microsoft, HOME["us_gov"])
    wrong = await confidential(authority=f"https://login.windows.net/{HOME['us_gov']}")
    right = await confidential(authority=f"https://login.microsoftonline.us/{HOME['us_gov']}")

    given = await asyncio.to_thread(right.acquire_token_for_client, ["https://graph.microsoft.us/.default"])

    # the document names the right cloud, and MSAL follows it
    assert wrong.authority.token_endpoint == right.authority.token_endpoint
    assert claims_of(given["access_token"])["aud"] == "https://graph.microsoft.us"


@pytest.mark.parametrize("proof", ["secret", "certificate"])
async def test_azure_identity_gets_a_token_for_the_application_itself(
    microsoft: Cloud, tmp_path: Path, proof: str
) -> None:
    let_in(microsoft)
    bundle = tmp_path / "relay.pem"
    bundle.write_text("".join(certify(microsoft)))
    tenant = microsoft.person(RELAY).tenant.tenant_id

    def token() -> str:
        credential: Any = (
            ClientSecretCredential(tenant, CLIENT_ID, SECRET)
            if proof == "secret"
            else CertificateCredential(tenant, CLIENT_ID, str(bundle))
        )
        with credential:
            return credential.get_token(GRAPH).token

    claims = claims_of(await asyncio.to_thread(token))

    assert set(claims["roles"]) == ROLES
    assert claims["tid"] == tenant


async def test_azure_identity_redeems_a_code_and_refreshes(microsoft: Cloud) -> None:
    microsoft.set_switches(access_token_s=1)
    code = await code_for(f"offline_access {GRAPH}")

    def tokens() -> list[str]:
        with AuthorizationCodeCredential("contoso.example", CLIENT_ID, code, REDIRECT_URI, client_secret=SECRET) as who:
            found, until = [who.get_token(GRAPH).token], time.monotonic() + 20
            while len(set(found)) < 2 and time.monotonic() < until:
                time.sleep(0.05)
                found.append(who.get_token(GRAPH).token)
            return found

    first, *_, refreshed = await asyncio.to_thread(tokens)

    assert claims_of(first)["upn"] == claims_of(refreshed)["upn"] == RELAY
    assert first != refreshed


async def test_azure_identity_says_what_entra_refused(microsoft: Cloud) -> None:
    def token() -> None:
        with ClientSecretCredential("contoso.example", CLIENT_ID, "wrong") as credential:
            credential.get_token(GRAPH)

    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        await asyncio.to_thread(token)


_PROGRAM = """
import asyncio, json, sys
from azure.identity.aio import AuthorizationCodeCredential, CertificateCredential, ClientSecretCredential

async def main(client, secret, bundle, code, redirect, scope):
    tenant = "contoso.example"
    found = []
    for credential in (
        ClientSecretCredential(tenant, client, secret), CertificateCredential(tenant, client, bundle),
        AuthorizationCodeCredential(tenant, client, code, redirect, client_secret=secret),
    ):
        async with credential:
            found.append((await credential.get_token(scope)).token)
    print(json.dumps(found))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_azure_identity_works_the_same_without_threads(microsoft: Cloud, tmp_path: Path) -> None:
    """By aiohttp, in a process of its own: aiohttp reads `SSL_CERT_FILE` when it is imported."""
    let_in(microsoft)
    bundle = tmp_path / "relay.pem"
    bundle.write_text("".join(certify(microsoft)))
    arguments = (CLIENT_ID, SECRET, str(bundle), await code_for(f"offline_access {GRAPH}"), REDIRECT_URI, GRAPH)

    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await program.communicate()

    by_secret, by_certificate, by_code = (claims_of(token) for token in json.loads(said))
    assert set(by_secret["roles"]) == set(by_certificate["roles"]) == ROLES
    assert by_code["upn"] == RELAY


@pytest.mark.parametrize("library", ["requests", "httpx", "aiohttp"])
async def test_http_libraries_find_the_emulator_by_their_environment_alone(microsoft: Cloud, library: str) -> None:
    url = "https://login.microsoftonline.com/common/discovery/v2.0/keys"
    programs = {
        "requests": f"import requests; print(requests.get('{url}').text)",
        "httpx": f"import httpx; print(httpx.get('{url}').text)",
        "aiohttp": f"""
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.get('{url}') as answer:
        print(await answer.text())
asyncio.run(main())""",
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", programs[library], stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await program.communicate()

    assert microsoft.tokens.key.kid in said.decode()
