"""`/users/delta`: everybody first, then what changed since, page by page; test_microsoft_sdk.py walks it with Microsoft's SDK."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from emulator.graph import delta
from tests.emulator.driver import RELAY, bearer

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

pytestmark = pytest.mark.fault("F5")

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"
KIRA = "kira@contoso.example"


async def walk(client: httpx.AsyncClient, cloud: Cloud, url: str) -> tuple[list[dict[str, Any]], str]:
    """Everything up to the delta link, and that."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        page = (await client.get(url, headers=bearer(cloud))).json()
        found += page["value"]
        if "@odata.deltaLink" in page:
            return found, page["@odata.deltaLink"]
        url = page["@odata.nextLink"]
    raise AssertionError("it never ends")


async def test_a_round_tells_everybody_and_the_next_what_changed(cloud: Cloud, client: httpx.AsyncClient) -> None:
    everybody, link = await walk(client, cloud, "/v1.0/users/delta?$select=displayName,userPrincipalName&$top=3")
    assert {each["id"] for each in everybody} == {each.oid for each in cloud.person(ADA).tenant.people.values()}
    assert (await walk(client, cloud, link))[0] == []

    ada, new = cloud.person(ADA), str(uuid.uuid4())
    cloud.rename_person(BEN, "benno@contoso.example")
    cloud.remove_person(ada)
    cloud.add_person("contoso.example", new, "nora@contoso.example", "Nora New")
    cloud.act(KIRA, "call")  # presence is none of a user's properties
    changed, link = await walk(client, cloud, link)

    told = {each["id"]: each for each in changed}
    assert set(told) == {ada.oid, new, cloud.person("benno@contoso.example").oid}
    assert told[ada.oid] == {"id": ada.oid, "@removed": {"reason": "changed"}}
    assert told[new] == {"id": new, "displayName": "Nora New", "userPrincipalName": "nora@contoso.example"}
    assert (await walk(client, cloud, link))[0] == []


async def test_it_begins_with_the_present_or_keeps_to_some(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.person(ADA)
    latest, link = await walk(client, cloud, "/v1.0/users/delta?$deltatoken=latest")
    some, _ = await walk(client, cloud, f"/v1.0/users/microsoft.graph.delta()?$filter=id eq '{ada.oid}'")
    cloud.rename_person(ada, "adele@contoso.example")

    assert (latest, [each["id"] for each in some]) == ([], [ada.oid])
    assert [each["userPrincipalName"] for each in (await walk(client, cloud, link))[0]] == ["adele@contoso.example"]


async def test_who_is_away_for_too_long_begins_anew(
    cloud: Cloud, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "MOST_ROUNDS", 1)
    _, link = await walk(client, cloud, "/v1.0/users/delta")
    await walk(client, cloud, "/v1.0/users/delta")
    answer = await client.get(link, headers=bearer(cloud))

    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "SyncStateNotFound")
    assert answer.headers["location"].endswith("/v1.0/users/delta?$deltatoken=")
    assert (await client.get(answer.headers["location"], headers=bearer(cloud))).status_code == 200


async def test_a_round_is_its_owners_and_wrong_options_are_a_400(cloud: Cloud, client: httpx.AsyncClient) -> None:
    _, link = await walk(client, cloud, "/v1.0/users/delta")
    others = await client.get(
        link,
        headers=bearer(
            cloud, next(each.upn for each in cloud.world.people() if each.upn.endswith("@fabrikam.example"))
        ),
    )
    assert others.status_code == 410
    for options in ("$orderby=displayName", "$filter=displayName eq 'x'", "$select=mood", "$expand=manager"):
        answer = await client.get(f"/v1.0/users/delta?{options}", headers=bearer(cloud))
        assert answer.status_code == 400
    forbidden = await client.get("/v1.0/users/delta", headers=bearer(cloud, RELAY, "Presence.Read.All"))
    assert forbidden.status_code == 403
