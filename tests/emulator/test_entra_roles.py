"""The app roles and groups of an application, as id tokens tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulator.demo import CLIENT_ID
from emulator.records import from_record, to_record
from emulator.world import Application
from tests.emulator.driver import RELAY, walk
from tests.emulator.test_authorize import authorize
from tests.emulator.test_entra_freshness import claims_of

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

OTHER = "0d0d0d0d-0000-4000-8000-000000000001"
GROUPS = [f"99999999-0000-4000-8000-{number:012}" for number in range(201)]


async def test_the_id_token_tells_the_app_roles_of_this_application_alone(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    cloud.directory.put_application(Application(client_id=OTHER, name="Another"))
    cloud.directory.give_roles(RELAY, OTHER, ["Elsewhere"])
    assert "roles" not in await claims_of(client, await walk(client, authorize()))
    given = {"client_id": CLIENT_ID, "roles": ["Reader", "Operator"]}
    assert (await client.put(f"/_emulator/people/{RELAY}/app_roles", json=given)).is_success
    assert (await claims_of(client, await walk(client, authorize(prompt="login"))))["roles"] == ["Operator", "Reader"]
    cloud.directory.give_roles(RELAY, CLIENT_ID, [])
    assert "roles" not in await claims_of(client, await walk(client, authorize(prompt="login")))


@pytest.mark.parametrize("is_asked", [False, True])
async def test_the_id_token_tells_groups_where_the_registration_asks_for_them(
    cloud: Cloud, client: httpx.AsyncClient, is_asked: bool
) -> None:
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    application.groups_claim = is_asked
    assert (await client.put(f"/_emulator/people/{RELAY}/groups", json={"groups": GROUPS[:200]})).is_success
    claims = await claims_of(client, await walk(client, authorize()))
    assert claims.get("groups") == (GROUPS[:200] if is_asked else None)


async def test_more_than_200_groups_are_left_out_and_pointed_to(cloud: Cloud, client: httpx.AsyncClient) -> None:
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    application.groups_claim = True
    person = cloud.directory.put_in_groups(RELAY, GROUPS)
    claims = await claims_of(client, await walk(client, authorize()))
    assert "groups" not in claims
    assert claims["_claim_names"] == {"groups": "src1"}
    assert claims["_claim_sources"]["src1"]["endpoint"].endswith(f"/users/{person.oid}/getMemberObjects")


async def test_roles_and_groups_outlive_the_process(cloud: Cloud) -> None:
    cloud.directory.give_roles(RELAY, CLIENT_ID, ["Operator"])
    cloud.directory.put_in_groups(RELAY, GROUPS[:2])
    world = from_record(to_record(cloud.world))
    person = world.person(RELAY)
    assert person.groups == GROUPS[:2]
    assert person.tenant.given_roles == {CLIENT_ID: {person.oid.lower(): {"Operator"}}}
