"""Paths that lead nowhere name what is wrong with them, and clients get what they accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.driver import RELAY, bearer
from tests.emulator.test_microsoft_sdk import by_sdk, delegated

if TYPE_CHECKING:
    import httpx
    from msgraph import GraphServiceClient

    from emulator import Cloud

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("method", "path", "named", "exists"),
    [
        ("GET", "users/{id}/manager", "manager", True),
        ("GET", "users/{id}/photo/$value", "photo", True),
        ("GET", "users/{id}/memberOf", "memberOf", True),
        ("GET", "users/{id}/displayName", "displayName", True),
        ("POST", "users/{id}/microsoft.graph.getMemberGroups", "getMemberGroups", True),
        ("POST", "users/{id}/presence/setPresence", "setPresence", True),
        ("POST", "communications/presences/{id}/setUserPreferredPresence", "setUserPreferredPresence", True),
        ("POST", "me/presence/setStatusMessage", "setStatusMessage", True),
        ("GET", "me/calendar", "calendar", True),
        ("GET", "groups", "groups", True),
        ("POST", "communications/calls", "calls", True),
        ("GET", "users/{id}/mood", "mood", False),
        ("GET", "users/{id}/presence/mood", "mood", False),
        ("GET", "mood/{id}", "mood", False),
        ("GET", "communications/mood", "mood", False),
    ],
)
async def test_the_segment_that_is_wrong_is_named(
    cloud: Cloud, client: httpx.AsyncClient, method: str, path: str, named: str, exists: bool
) -> None:
    answer = await client.request(
        method, f"/v1.0/{path.format(id=cloud.person(ADA).oid)}", headers=bearer(cloud), json={}
    )

    text = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert f"'{named}'" in text
    assert ("not modelled here" in text) is exists


@pytest.mark.fault("F5")
async def test_the_beta_version_is_called_not_modelled(cloud: Cloud, client: httpx.AsyncClient) -> None:
    beta = await client.get("/beta/me", headers=bearer(cloud))

    assert beta.status_code == 400
    assert "'/beta', but it is not modelled here" in beta.json()["error"]["message"]


@pytest.mark.long
@pytest.mark.fault("F5")
async def test_microsofts_sdk_reads_what_is_not_modelled(microsoft: Cloud) -> None:
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError

    oid = microsoft.person(ADA).oid

    async def work(client: GraphServiceClient) -> Any:
        return await client.users.by_user_id(oid).manager.get()

    with pytest.raises(ODataError) as refused:
        await by_sdk(work, await delegated())
    assert refused.value.error is not None
    assert "'manager' exists in Microsoft Graph" in (refused.value.error.message or "")


@pytest.mark.fault("F12")
async def test_presences_are_a_collection(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada, ben = cloud.person(ADA), cloud.person(BEN)

    async def ids(condition: str | None) -> Any:
        options = {} if condition is None else {"$filter": condition}
        answer = await client.get("/v1.0/communications/presences", params=options, headers=bearer(cloud))
        found = answer.json()
        return [each["id"] for each in found["value"]] if answer.status_code == 200 else answer.status_code

    assert await ids(f"id in ('{ben.oid}', '{ada.oid}')") == [ben.oid, ada.oid]
    assert await ids(f"id eq '{ada.oid}'") == [ada.oid]
    assert ada.oid in await ids(None)
    assert await ids("availability eq 'Busy'") == 400
    answer = await client.get("/v1.0/communications/presences", headers=bearer(cloud, RELAY, "Presence.Read"))
    assert answer.status_code == 403


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/xml", 406), ("text/html, application/atom+xml", 406), ("application/json", 200), ("*/*;q=0.1", 200),
        ("application/xml, application/json;odata.metadata=minimal", 200),
    ],
)  # fmt: skip
async def test_who_does_not_take_json_is_told_so(
    cloud: Cloud, client: httpx.AsyncClient, accept: str, status: int
) -> None:
    answer = await client.get("/v1.0/me", headers=bearer(cloud) | {"accept": accept})

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.fault("F12")
async def test_metadata_can_be_left_out(cloud: Cloud, client: httpx.AsyncClient) -> None:
    headers = bearer(cloud) | {"accept": "application/json;odata.metadata=none"}
    page = await client.get("/v1.0/users?$select=displayName&$top=1", headers=headers)

    assert set(page.json()) == {"@odata.nextLink", "value"}
    assert set(page.json()["value"][0]) == {"displayName"}
    assert "odata.metadata=none" in page.headers["content-type"]
