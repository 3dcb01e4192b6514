"""Microsoft's host names: what they lead to, and how the clouds behind them keep apart."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

from emulator import Person, Tenant
from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET, demo
from emulator.generate import PASSWORD, stable_guid
from emulator.hosts import CLOUDS, KNOWN
from tests.emulator.driver import browser, submit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from emulator import Cloud, World
    from emulator.hosts import CloudName

HOME = {"global": "contoso.example", "us_gov": "gov.example", "us_dod": "dod.example", "china": "cn.example"}
"""A tenant's domain in each cloud."""


def world_of_clouds() -> World:
    """The demo world, and a tenant with one person in each national cloud."""
    world = demo()
    for name, domain in HOME.items():
        if name != "global":
            tenant = world.add_tenant(Tenant(tenant_id=stable_guid(domain), domain=domain, name=name, cloud=name))
            tenant.add(Person(tenant, stable_guid(f"x@{domain}"), f"presence-relay@{domain}", "X", password=PASSWORD))
    return world


@pytest.fixture
async def clouds(microsoft: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    """A client that reaches all of Microsoft's clouds under their own names."""
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


everywhere = pytest.mark.parametrize("microsoft", [world_of_clouds], indirect=True)
in_each_cloud = pytest.mark.parametrize("name", list(CLOUDS))


async def token(
    cloud: Cloud, client: httpx.AsyncClient, name: CloudName, *, at: str = "", path: str = "", scope: str = ""
) -> Any:
    """What the token endpoint of a cloud answers to a refresh token of its tenant's account."""
    home = HOME[name]
    refresh = cloud.directory.grant(f"presence-relay@{home}", CLIENT_ID, {"Presence.Read.All", "User.ReadBasic.All"})
    form = {
        "grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": SECRET, "refresh_token": refresh,
        "scope": scope or f"openid https://{CLOUDS[name].graph}/.default",
    }  # fmt: skip
    host = at or f"https://{CLOUDS[name].logins[0]}"
    return (await client.post(f"{host}/{path or home}/oauth2/v2.0/token", data=form)).json()


async def test_links_lead_to_the_loopback_address_that_the_client_asked_through(microsoft: Cloud) -> None:
    through = "https://127.0.0.1:4443"  # a forwarded port
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        for host, base in (("127.0.0.1:4443", through), ("evil.example:4443", microsoft.url)):
            url = f"{microsoft.url}/common/v2.0/.well-known/openid-configuration"
            document = (await client.get(url, headers={"host": host})).json()
            assert document["jwks_uri"].startswith(f"{base}/")


async def test_one_certificate_proves_every_name(microsoft: Cloud) -> None:
    trusting = ssl.create_default_context(cadata=microsoft.ca_pem.decode())
    port = int(microsoft.url.rpartition(":")[2])
    for name in (*KNOWN, "127.0.0.1", "localhost"):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        writer.transport.abort()


@pytest.mark.parametrize(("host", "name"), [(host, name) for host, (name, kind) in KNOWN.items() if kind == "entra"])
async def test_discovery_documents_name_the_host_that_was_asked_and_its_cloud(
    microsoft: Cloud, clouds: httpx.AsyncClient, host: str, name: CloudName
) -> None:
    document = (await clouds.get(f"https://{host}/common/v2.0/.well-known/openid-configuration")).json()

    for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"):
        assert document[endpoint].startswith(f"https://{host}/common/")
    assert document["issuer"] == f"https://{CLOUDS[name].logins[0]}/{{tenantid}}/v2.0"
    assert document["msgraph_host"] == CLOUDS[name].graph
    assert document["cloud_instance_name"] == CLOUDS[name].instance


@everywhere
@in_each_cloud
async def test_a_document_of_a_tenant_names_the_cloud_it_lives_in_wherever_it_is_fetched(
    microsoft: Cloud, clouds: httpx.AsyncClient, name: CloudName
) -> None:
    url = f"https://login.microsoftonline.com/{HOME[name]}/v2.0/.well-known/openid-configuration"
    document = (await clouds.get(url)).json()

    begin = f"https://{CLOUDS[name].logins[0]}/{stable_guid(HOME[name])}"
    assert document["token_endpoint"] == f"{begin}/oauth2/v2.0/token"
    assert document["issuer"] == f"{begin}/v2.0"
    assert document["msgraph_host"] == CLOUDS[name].graph
    assert document["tenant_region_scope"] == CLOUDS[name].region


async def test_instance_discovery_tells_the_names_of_each_cloud(microsoft: Cloud, clouds: httpx.AsyncClient) -> None:
    """As MSAL has them built in."""
    asked = {"api-version": "1.1", "authorization_endpoint": "https://login.windows.net/common/oauth2/v2.0/authorize"}
    url = "https://login.microsoftonline.com/common/discovery/instance"
    metadata = (await clouds.get(url, params=asked)).json()["metadata"]

    found = {each["preferred_network"]: (each["preferred_cache"], set(each["aliases"])) for each in metadata}
    public = {"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}
    china = "login.partner.microsoftonline.cn"
    assert found == {
        "login.microsoftonline.com": ("login.windows.net", public),
        "login.microsoftonline.us": (
            "login.microsoftonline.us",
            {"login.microsoftonline.us", "login.usgovcloudapi.net"},
        ),
        china: (china, {china, "login.chinacloudapi.cn"}),
    }


@everywhere
@in_each_cloud
async def test_tokens_of_a_cloud_read_that_clouds_graph_and_links_stay_on_its_host(
    microsoft: Cloud, clouds: httpx.AsyncClient, name: CloudName
) -> None:
    given = await token(microsoft, clouds, name)

    graph = f"https://{CLOUDS[name].graph}/v1.0"
    page = await clouds.get(f"{graph}/users?$top=1", headers={"authorization": f"Bearer {given['access_token']}"})
    assert page.json()["@odata.context"] == f"{graph}/$metadata#users"
    assert page.json().get("@odata.nextLink", graph).startswith(graph)
    assert _claims(given["access_token"])["aud"] == f"https://{CLOUDS[name].graph}"
    assert _claims(given["id_token"])["iss"] == f"https://{CLOUDS[name].logins[0]}/{stable_guid(HOME[name])}/v2.0"


@everywhere
@in_each_cloud
async def test_graph_of_another_cloud_refuses_the_token(
    microsoft: Cloud, clouds: httpx.AsyncClient, name: CloudName
) -> None:
    given = await token(microsoft, clouds, name)
    foreign = next(cloud.graph for other, cloud in CLOUDS.items() if other != name)

    answer = await clouds.get(
        f"https://{foreign}/v1.0/users", headers={"authorization": f"Bearer {given['access_token']}"}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


@everywhere
@pytest.mark.parametrize("path", [HOME["us_gov"], "organizations"])
async def test_the_token_endpoint_of_another_cloud_refuses_a_confidential_client(
    microsoft: Cloud, clouds: httpx.AsyncClient, path: str
) -> None:
    refused = await token(
        microsoft,
        clouds,
        "us_gov",
        at="https://login.microsoftonline.com",
        path=path,
        scope="openid User.ReadBasic.All",
    )

    assert refused["error_codes"] == [900382]


@everywhere
@pytest.mark.parametrize(
    ("name", "path", "foreign"),
    [
        ("global", HOME["global"], "graph.microsoft.us"),
        ("us_gov", "organizations", "graph.microsoft.com"),
        ("us_dod", HOME["us_dod"], "graph.microsoft.us"),  # has the same Entra, but is the other American cloud's
    ],
)
async def test_the_graph_of_another_cloud_is_no_resource_of_a_tenant(
    microsoft: Cloud, clouds: httpx.AsyncClient, name: CloudName, path: str, foreign: str
) -> None:
    refused = await token(microsoft, clouds, name, path=path, scope=f"openid https://{foreign}/.default")

    assert refused["error_codes"] == [500011]


@everywhere
async def test_nobody_of_another_cloud_signs_in(microsoft: Cloud, clouds: httpx.AsyncClient) -> None:
    query = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "scope": "User.Read", "response_type": "code"}
    begin = "https://login.microsoftonline.com/{}/oauth2/v2.0/authorize"

    by_tenant = await clouds.get(begin.format(HOME["us_gov"]), params=query)
    page = await clouds.get(begin.format("organizations"), params=query)
    by_name = await submit(clouds, page, "sign-in", username="presence-relay@gov.example", password=PASSWORD)

    for answer in (by_tenant, by_name):
        assert "AADSTS90038" in answer.text


@everywhere
@in_each_cloud
async def test_by_its_loopback_address_the_emulator_serves_tenants_of_every_cloud(
    microsoft: Cloud, monkeypatch: pytest.MonkeyPatch, name: CloudName
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    async with browser(microsoft) as client:
        document = (await client.get(f"/{HOME[name]}/v2.0/.well-known/openid-configuration")).json()
        given = await token(microsoft, client, name, at=microsoft.url)
        page = await client.get("/v1.0/users", headers={"authorization": f"Bearer {given['access_token']}"})

    assert document["issuer"] == f"{microsoft.url}/{stable_guid(HOME[name])}/v2.0" == _claims(given["id_token"])["iss"]
    assert document["msgraph_host"] == CLOUDS[name].graph
    assert page.json()["@odata.context"] == f"{microsoft.url}/v1.0/$metadata#users"


async def test_a_host_name_decides_between_entra_and_graph(microsoft: Cloud, clouds: httpx.AsyncClient) -> None:
    at_entra = await clouds.get("https://login.microsoftonline.com/v1.0/users")
    at_graph = await clouds.get("https://graph.microsoft.com/common/v2.0/.well-known/openid-configuration")

    assert at_entra.json()["error_codes"] == [90002]
    assert at_graph.json()["error"]["code"] == "InvalidAuthenticationToken"


def _claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})
