"""Access tokens at Graph: whose are taken, and how some end before their time."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from emulator.demo import CLIENT_ID
from tests.emulator.driver import RELAY, bearer

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"


def token(cloud: Cloud, *, continuous: bool = False, version: Any = 1, own: bool = False) -> dict[str, str]:
    """An authorization header of the service account's."""
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    text = cloud.tokens.access_token(
        cloud.person(RELAY), application, {"User.Read", "Presence.Read.All"}, 3599, version=version, own=own,
        authority=cloud.url, capabilities=["cp1"] if continuous else [],
    )  # fmt: skip
    return {"authorization": f"Bearer {text}"}


async def me(client: httpx.AsyncClient, header: dict[str, str]) -> httpx.Response:
    return await client.get("/v1.0/me", headers=header)


@pytest.mark.parametrize("version", [1, 2])
async def test_tokens_of_both_versions_are_taken_and_name_the_application(
    cloud: Cloud, client: httpx.AsyncClient, version: int
) -> None:
    assert (await me(client, token(cloud, version=version))).status_code == 200
    assert cloud.journal.search(path="/v1.0/me")[-1].app == CLIENT_ID


async def test_a_token_for_somebody_else_is_a_401(cloud: Cloud, client: httpx.AsyncClient) -> None:
    answer = await me(client, token(cloud, own=True))

    assert answer.status_code == 401
    assert "audience" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", ["sessions_revoked", "password_reset", "password_changed", "account_disabled", "mfa_required", "conditional_access", "risk"]
)  # fmt: skip
async def test_a_revocation_challenges_applications_that_understand_it_and_no_others(
    cloud: Cloud, client: httpx.AsyncClient, kind: str
) -> None:
    continuous, plain = token(cloud, continuous=True), token(cloud)
    assert (await me(client, continuous)).status_code == 200

    cloud.directory.revoke(RELAY, kind)

    challenged = await me(client, continuous)
    told = challenged.headers["www-authenticate"]
    assert (challenged.status_code, (await me(client, plain)).status_code) == (401, 200)
    assert 'error="insufficient_claims"' in told
    found = re.search(r'claims="([^"]+)"', told)
    assert found is not None
    assert "nbf" in json.loads(base64.b64decode(found[1]))["access_token"]


@pytest.mark.parametrize("kind", ["sessions_revoked", "password_changed"])
async def test_a_token_of_after_the_revocation_is_good(cloud: Cloud, client: httpx.AsyncClient, kind: str) -> None:
    cloud.directory.revoke(RELAY, kind)

    assert (await me(client, token(cloud, continuous=True))).status_code == 200


@pytest.mark.parametrize("continuous", [True, False])
async def test_a_deleted_account_reads_nothing(cloud: Cloud, client: httpx.AsyncClient, continuous: bool) -> None:
    header = token(cloud, continuous=continuous)
    assert (await me(client, header)).status_code == 200

    cloud.remove_person(RELAY)

    assert (await me(client, header)).status_code == 401


async def test_control_can_end_any_access_token(cloud: Cloud, client: httpx.AsyncClient) -> None:
    header = token(cloud)

    cloud.directory.revoke(RELAY, access_tokens=True)

    answer = await me(client, header)
    assert answer.status_code == 401
    assert "claims=" not in answer.headers["www-authenticate"]


async def test_permissions_of_the_other_kind_are_none(cloud: Cloud, client: httpx.AsyncClient) -> None:
    application, tenant = cloud.world.application(CLIENT_ID), cloud.person(ADA).tenant
    assert application is not None
    nothing = cloud.tokens.app_token(tenant, application, set(), 3599)

    for header in ({"authorization": f"Bearer {nothing}"}, bearer(cloud, ADA, "User.Read")):
        answer = await client.get(f"/v1.0/users/{cloud.person(RELAY).oid}/presence", headers=header)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
