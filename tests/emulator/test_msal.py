"""Microsoft's own library signs in and refreshes; nothing of it is changed or replaced."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import KeySet

from emulator.demo import CLIENT_ID
from emulator.entra.refusals import BY_TIME, DEATHS
from tests.emulator.driver import RELAY, SCOPES, application, sign_in

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from emulator import Cloud


async def build(cloud: Cloud, folder: Path, *args: str, **options: Any) -> msal.ConfidentialClientApplication:
    return await asyncio.to_thread(application, cloud, folder, *args, **options)


async def refresh(cloud: Cloud, folder: Path, signed_in: dict[str, Any]) -> dict[str, Any]:
    """Redeem the refresh token in a new MSAL application, whose caches are empty: MSAL replays refusals for a minute."""
    app = await build(cloud, folder)
    return await asyncio.to_thread(app.acquire_token_by_refresh_token, signed_in["refresh_token"], SCOPES)


@pytest.mark.parametrize("path", ["organizations", "common", "contoso.example", "tid"])
async def test_the_code_flow_with_pkce_and_nonce_gives_tokens_that_read_presence(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path, path: str
) -> None:
    tid = cloud.person(RELAY).tenant.tenant_id
    app = await build(cloud, tmp_path, tid if path == "tid" else path)

    signed_in = await sign_in(app, client)

    assert "error" not in signed_in
    claims = signed_in["id_token_claims"]
    assert (claims["tid"], claims["preferred_username"], claims["aud"]) == (tid, RELAY, CLIENT_ID)
    assert claims["iss"] == f"{cloud.url}/{tid}/v2.0"
    assert set(SCOPES) < set(signed_in["scope"].split())
    assert 3500 < signed_in["expires_in"] <= 3599
    ada = cloud.person("ada@contoso.example")
    read = await client.post(
        "/v1.0/communications/getPresencesByUserId",
        json={"ids": [ada.oid]},
        headers={"authorization": f"Bearer {signed_in['access_token']}"},
    )
    assert [each["id"] for each in read.json()["value"]] == [ada.oid]


async def test_the_id_token_is_signed_by_a_published_key(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    app = await build(cloud, tmp_path)

    signed_in = await sign_in(app, client)

    for path in ("organizations/discovery/v2.0/keys", "common/discovery/v2.0/keys", "common/discovery/keys"):
        published = (await client.get(f"/{path}")).json()
        token = jwt.decode(signed_in["id_token"], KeySet.import_key_set(published), algorithms=["RS256"])
        assert token.claims["oid"] == cloud.person(RELAY).oid


async def test_silent_acquisition_serves_from_the_cache_and_refreshes_when_forced(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    app = await build(cloud, tmp_path)
    signed_in = await sign_in(app, client)
    (account,) = app.get_accounts()
    asked = len(cloud.journal.search(path="/oauth2/v2.0/token"))

    silent = await asyncio.to_thread(app.acquire_token_silent_with_error, SCOPES, account)
    cached = len(cloud.journal.search(path="/oauth2/v2.0/token"))
    forced = await asyncio.to_thread(app.acquire_token_silent_with_error, SCOPES, account, force_refresh=True)

    assert silent["access_token"] == signed_in["access_token"]
    assert cached == asked
    assert forced["access_token"] != signed_in["access_token"]
    assert account["home_account_id"] == f"{cloud.person(RELAY).oid}.{cloud.person(RELAY).tenant.tenant_id}"


async def test_an_older_refresh_token_stays_valid_after_rotation(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    signed_in = await sign_in(await build(cloud, tmp_path), client)

    rotated = await refresh(cloud, tmp_path, signed_in)
    again = await refresh(cloud, tmp_path, signed_in)

    assert rotated["refresh_token"] != signed_in["refresh_token"]
    assert "access_token" in again


@pytest.mark.parametrize("with_thumbprint", [True, False])
async def test_a_certificate_proves_the_application(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path, with_thumbprint: bool
) -> None:
    """MSAL signs with RS256 when given a thumbprint, and with PS256 when given the certificate alone."""
    key, certificate = make_certificate()
    registered = cloud.world.application(CLIENT_ID)
    assert registered is not None
    registered.certificates.append(certificate)
    credential = {"private_key": key, "public_certificate": certificate}
    if with_thumbprint:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        credential = {"private_key": key, "thumbprint": loaded.fingerprint(hashes.SHA1()).hex()}

    signed_in = await sign_in(await build(cloud, tmp_path, client_credential=credential), client)

    assert "access_token" in signed_in


async def test_a_certificate_that_is_not_registered_is_refused(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    key, certificate = make_certificate()
    credential = {"private_key": key, "public_certificate": certificate}

    refused = await sign_in(await build(cloud, tmp_path, client_credential=credential), client)

    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [700027])


async def test_a_wrong_secret_is_refused_as_the_applications_fault(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    refused = await sign_in(await build(cloud, tmp_path, client_credential="wrong"), client)

    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])


async def test_declining_consent_is_access_denied_with_65004(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    refused = await sign_in(await build(cloud, tmp_path), client, decision="decline")

    assert refused["error"] == "access_denied"
    assert refused["error_description"].startswith("AADSTS65004")


@pytest.mark.parametrize("kind", sorted(BY_TIME | {"consent_removed"}))
async def test_signing_in_again_cures_what_it_cures(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path, kind: str
) -> None:
    before = await sign_in(await build(cloud, tmp_path), client)
    cloud.directory.revoke(RELAY, kind)

    after = await sign_in(await build(cloud, tmp_path), client)

    assert "access_token" in await refresh(cloud, tmp_path, after)
    if kind in BY_TIME:
        assert (await refresh(cloud, tmp_path, before))["error_codes"] == [DEATHS[kind].code]


async def test_conditional_access_heals_when_restored(cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path) -> None:
    signed_in = await sign_in(await build(cloud, tmp_path), client)
    cloud.directory.revoke(RELAY, "conditional_access")
    refused = await refresh(cloud, tmp_path, signed_in)

    cloud.directory.restore(RELAY)

    assert refused["error_codes"] == [53003]
    assert "access_token" in await refresh(cloud, tmp_path, signed_in)


async def test_refused_credentials_concern_everybody_until_they_are_accepted_again(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    signed_in = await sign_in(await build(cloud, tmp_path), client)

    cloud.directory.refuse_application(CLIENT_ID, "secret_wrong")
    refused = await refresh(cloud, tmp_path, signed_in)
    cloud.directory.refuse_application(CLIENT_ID, "")

    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])
    assert "access_token" in await refresh(cloud, tmp_path, signed_in)


def make_certificate() -> tuple[str, str]:
    """A private key and a certificate for it, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = dt.datetime.now(dt.UTC)
    until = now + dt.timedelta(days=1)
    built = x509.CertificateBuilder(name, name, key.public_key(), 7, now, until).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), built.public_bytes(serialization.Encoding.PEM).decode()
