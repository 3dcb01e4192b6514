"""Discovery documents, keys and their rotation, instance discovery."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from emulator import Cloud, Config, Emulator
from emulator.world import PERSONAL

if TYPE_CHECKING:
    from pathlib import Path

    import httpx


@pytest.mark.parametrize(
    ("segment", "tid"),
    [
        ("contoso.example", "contoso"), ("tid", "contoso"), ("TID", "contoso"), ("organizations", "{tenantid}"),
        ("common", "{tenantid}"), ("consumers", PERSONAL),
    ],
)  # fmt: skip
async def test_every_tenant_segment_has_documents_of_both_versions(
    cloud: Cloud, client: httpx.AsyncClient, segment: str, tid: str
) -> None:
    contoso = cloud.person("ada@contoso.example").tenant.tenant_id
    tid = contoso if tid == "contoso" else tid
    segment = {"tid": contoso, "TID": contoso.upper()}.get(segment, segment)

    second = (await client.get(f"/{segment}/v2.0/.well-known/openid-configuration")).json()
    first = (await client.get(f"/{segment}/.well-known/openid-configuration")).json()

    assert second["issuer"] == f"{cloud.url}/{tid}/v2.0"
    assert first["issuer"] == f"https://sts.windows.net/{tid}/"
    named = segment if tid == "{tenantid}" else tid
    assert second["token_endpoint"] == f"{cloud.url}/{named}/oauth2/v2.0/token"
    assert first["token_endpoint"] == f"{cloud.url}/{named}/oauth2/token"
    for document in (first, second):
        published = (await client.get(document["jwks_uri"])).json()["keys"]
        personal = document["issuer"].replace("{tenantid}", PERSONAL)
        assert {key["issuer"] for key in published} == {
            document["issuer"],
            *([personal] if tid == "{tenantid}" else []),
        }


async def test_several_keys_are_published_each_with_its_certificate(client: httpx.AsyncClient) -> None:
    published: list[dict[str, Any]] = (await client.get("/common/discovery/v2.0/keys")).json()["keys"]

    assert len({key["kid"] for key in published}) == len(published) == 3
    for key in published:
        der = base64.b64decode(key["x5c"][0])
        print_ = base64.urlsafe_b64encode(hashlib.sha1(der).digest()).rstrip(b"=").decode()
        assert key["x5t"] == key["kid"] == print_
        public = x509.load_der_x509_certificate(der).public_key()
        assert isinstance(public, RSAPublicKey)
        modulus = base64.urlsafe_b64decode(key["n"] + "==")
        assert int.from_bytes(modulus, "big") == public.public_numbers().n


async def test_a_key_of_its_own_signs_for_personal_accounts(cloud: Cloud, client: httpx.AsyncClient) -> None:
    everybodys: list[dict[str, Any]] = (await client.get("/common/discovery/v2.0/keys")).json()["keys"]
    consumers: list[dict[str, Any]] = (await client.get("/consumers/discovery/v2.0/keys")).json()["keys"]
    organisations = (await client.get("/contoso.example/discovery/v2.0/keys")).json()["keys"]

    (own,) = consumers
    assert own in everybodys
    assert own["kid"] not in {key["kid"] for key in organisations}
    token = cloud.tokens.key.sign({"tid": PERSONAL})
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"] == own["kid"]
    assert cloud.tokens.key.verify(token) == {"tid": PERSONAL}


async def kids(client: httpx.AsyncClient) -> list[str]:
    """Of organisations."""
    published = (await client.get("/common/discovery/keys")).json()["keys"]
    return [key["kid"] for key in published if "{tenantid}" in key["issuer"]]


async def test_after_a_rotation_the_former_key_is_published_for_a_while_and_then_goes(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    former, announced = await kids(client)
    out = cloud.tokens.key.sign({"sub": "x"})

    rotated = (await client.post("/_emulator/keys/rotate", json={"overlap_s": 3600})).json()["kids"]

    assert rotated[0] == announced, "the key that was published beforehand signs now"
    assert set(await kids(client)) == set(rotated) > {former, announced}
    assert cloud.tokens.key.verify(out) == {"sub": "x"}
    cloud.clock.advance(3601)
    assert former not in await kids(client)
    assert cloud.tokens.key.verify(out) is None


async def test_rotated_keys_outlive_the_process(tmp_path: Path) -> None:
    config = Config(state=tmp_path / "state.json")
    async with Emulator.start(config) as cloud:
        before = cloud.directory.rotate_keys()
    async with Emulator.start(config) as cloud:
        assert cloud.tokens.key.kids == before


async def test_instance_discovery_knows_microsofts_hosts_and_this_one(cloud: Cloud, client: httpx.AsyncClient) -> None:
    asked = {
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize": "https://login.microsoftonline.com/common/v2.0",
        "https://login.windows.net/contoso.example/oauth2/authorize": "https://login.windows.net/contoso.example",
        f"{cloud.url}/organizations/oauth2/v2.0/authorize": f"{cloud.url}/organizations/v2.0",
    }
    for endpoint, found in asked.items():
        answer = await client.get(
            "/common/discovery/instance", params={"api-version": "1.1", "authorization_endpoint": endpoint}
        )
        assert answer.json()["tenant_discovery_endpoint"] == f"{found}/.well-known/openid-configuration"
        aliases = [alias for each in answer.json()["metadata"] for alias in each["aliases"]]
        assert {"login.microsoftonline.com", "login.windows.net", "login.microsoftonline.us"} < set(aliases)


@pytest.mark.parametrize(
    ("endpoint", "error", "code"),
    [
        ("https://evil.example/common/oauth2/authorize", "invalid_instance", 50049),
        ("http://login.microsoftonline.com/common/oauth2/authorize", "invalid_instance", 50049),
        ("", "invalid_request", 50050),
        ("https://[", "invalid_request", 50050),
    ],
)
async def test_instance_discovery_refuses_other_hosts(
    client: httpx.AsyncClient, endpoint: str, error: str, code: int
) -> None:
    answer = await client.get("/common/discovery/instance", params={"authorization_endpoint": endpoint})

    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (400, error, [code])
