"""Graph's directory over HTTP: users, their lists and options, the organisation, objects by id."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import emulator
from emulator.demo import CLIENT_ID
from emulator.profile import read_file
from tests.emulator.driver import RELAY, bearer

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"
EVENTUAL = {"consistencylevel": "eventual"}


def app_only(cloud: Cloud, *roles: str) -> dict[str, str]:
    """An authorization header of the application by itself in Contoso."""
    application = cloud.world.application(CLIENT_ID)
    tenant = cloud.world.tenant("contoso.example")
    assert application is not None
    assert tenant is not None
    return {"authorization": f"Bearer {cloud.tokens.app_token(tenant, application, set(roles), 3599)}"}


async def names(client: httpx.AsyncClient, cloud: Cloud, options: dict[str, str], *, eventual: bool = False) -> Any:
    """First parts of the UPNs that a list holds, or the error's code."""
    headers = bearer(cloud) | (EVENTUAL if eventual else {})
    answer = await client.get("/v1.0/users", params=options, headers=headers)
    found = answer.json()
    if answer.status_code != 200:
        return found["error"]["code"]
    return [each["userPrincipalName"].partition("@")[0] for each in found["value"]]


async def test_a_user_has_the_documented_default_properties(cloud: Cloud, client: httpx.AsyncClient) -> None:
    found = (await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud, RELAY, "User.Read.All"))).json()

    assert set(found) - {"@odata.context"} == {
        "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
        "preferredLanguage", "surname", "userPrincipalName",
    }  # fmt: skip


async def test_a_property_that_users_do_not_have_cannot_be_selected(cloud: Cloud, client: httpx.AsyncClient) -> None:
    for path in (f"users/{ADA}", "users", "me"):
        headers = bearer(cloud, RELAY, "User.Read.All", "User.Read")
        answer = await client.get(f"/v1.0/{path}?$select=id,mood", headers=headers)
        assert answer.status_code == 400
        assert "mood" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("switch", "expected"), [("null", {"userType": None}), ("absent", {})])
async def test_what_the_basic_permission_does_not_cover_is_not_seen(
    cloud: Cloud, client: httpx.AsyncClient, switch: str, expected: dict[str, None]
) -> None:
    cloud.set_switches(uncovered_properties=switch)

    async def user_type(*scopes: str) -> dict[str, str | None]:
        answer = await client.get(
            f"/v1.0/users/{ADA}?$select=displayName,userType", headers=bearer(cloud, RELAY, *scopes)
        )
        found = answer.json()
        assert found.pop("displayName") == "Ada Adler"
        return {name: value for name, value in found.items() if not name.startswith("@")}

    assert await user_type("User.ReadBasic.All") == expected
    assert await user_type("User.Read.All") == {"userType": "Member"}
    filtered = await client.get(
        "/v1.0/users", params={"$filter": "accountEnabled eq true"}, headers=bearer(cloud, RELAY, "User.ReadBasic.All")
    )
    assert filtered.status_code == 403


async def test_whoever_is_signed_in_reads_all_of_themselves(cloud: Cloud, client: httpx.AsyncClient) -> None:
    for path in ("me", f"users/{ADA}"):
        answer = await client.get(f"/v1.0/{path}?$select=userType", headers=bearer(cloud, ADA, "User.Read"))
        assert answer.json()["userType"] == "Member"


async def test_an_application_by_itself_needs_more_than_the_basic_permission(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    async def listed(*roles: str) -> tuple[int, str]:
        answer = await client.get("/v1.0/users", headers=app_only(cloud, *roles))
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    assert await listed("User.Read.All") == (200, "")
    assert await listed("User.ReadBasic.All") == (403, "Authorization_RequestDenied")
    cloud.set_switches(app_user_read_basic="admit")
    assert await listed("User.ReadBasic.All") == (200, "")


async def test_guests_cannot_list_users(cloud: Cloud, client: httpx.AsyncClient) -> None:
    guest = next(person for person in cloud.world.people() if person.home)

    answer = await client.get("/v1.0/users", headers=bearer(cloud, guest.oid))

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("startswith(displayName,'A') and userPrincipalName eq 'ada@contoso.example'", ["ada"]),
        ("givenName eq 'Ada' and surname eq 'Brandt'", []),
        ("(givenName eq 'Ada' or givenName eq 'Ben') and startswith(mail,'b')", ["ben"]),
        (f"userPrincipalName eq '{'x' * 120}'", []),
        (f"userPrincipalName eq '{'x' * 121}'", "Request_UnsupportedQuery"),
        ("endswith(mail,'contoso.example')", "Request_UnsupportedQuery"),
        ("displayName ne 'Ada Adler'", "Request_UnsupportedQuery"),
        ("not startswith(displayName,'A')", "Request_UnsupportedQuery"),
        ("startswith(id,'0')", "Request_UnsupportedQuery"),
        ("(" * 500 + "id eq 'x'" + ")" * 500, "BadRequest"),
    ],
)
async def test_filters_join_conditions_and_keep_to_the_rules(
    cloud: Cloud, client: httpx.AsyncClient, expression: str, expected: Any
) -> None:
    assert await names(client, cloud, {"$filter": expression}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("endswith(mail,'a@contoso.example')", {"ada", "emma", "kira"}),
        ("not endswith(userPrincipalName,'contoso.example')", set()),
        ("givenName ne 'Ada' and startswith(displayName,'A')", set()),
    ],
)
async def test_advanced_filters_want_the_header_and_the_count(
    cloud: Cloud, client: httpx.AsyncClient, expression: str, expected: set[str]
) -> None:
    options = {"$filter": expression, "$count": "true"}

    assert await names(client, cloud, options) == "Request_UnsupportedQuery"
    found = await names(client, cloud, options, eventual=True)
    assert {name for name in found if name != "mia_fabrikam.example#EXT#"} == expected


async def test_people_are_counted_with_the_header_only(cloud: Cloud, client: httpx.AsyncClient) -> None:
    everybody = len(cloud.person(ADA).tenant.people)
    counted = await client.get("/v1.0/users?$count=true&$top=1", headers=bearer(cloud) | EVENTUAL)
    plain = await client.get("/v1.0/users?$count=true&$top=1", headers=bearer(cloud))
    number = await client.get("/v1.0/users/$count", headers=bearer(cloud) | EVENTUAL)
    refused = await client.get("/v1.0/users/$count", headers=bearer(cloud))

    assert counted.json()["@odata.count"] == everybody
    assert "@odata.count" not in plain.json()
    assert (number.text, number.headers["content-type"]) == (str(everybody), "text/plain")
    assert refused.status_code == 400


async def test_people_are_sorted_but_not_while_filtered(cloud: Cloud, client: httpx.AsyncClient) -> None:
    both = {"$filter": "startswith(displayName,'A')", "$orderby": "displayName"}

    assert (await names(client, cloud, {"$orderby": "displayName desc"}))[-1] == "ada"
    assert (await names(client, cloud, {"$orderby": "displayName", "$top": "2"})) == ["ada", "ben"]
    assert await names(client, cloud, both) == "Request_UnsupportedQuery"
    assert "ada" in await names(client, cloud, {**both, "$count": "true"}, eventual=True)
    assert await names(client, cloud, {"$orderby": "mood"}) == "Request_UnsupportedQuery"


async def test_people_are_searched_with_the_header_only(cloud: Cloud, client: httpx.AsyncClient) -> None:
    search = {"$search": '"displayName:adl" OR "mail:ben"'}

    assert await names(client, cloud, search) == "Request_UnsupportedQuery"
    assert await names(client, cloud, search, eventual=True) == ["ada", "ben"]
    for wrong in ("ada", '"mood:good"', '"displayName:a" XOR "mail:b"'):
        assert await names(client, cloud, {"$search": wrong}, eventual=True) == "Request_BadRequest"


@pytest.mark.parametrize(
    "options",
    [
        {"$top": "0"}, {"$top": "1000"}, {"$top": "9" * 5000}, {"$top": "²"}, {"$skiptoken": "x"}, {"$skiptoken": "LTE="},
        {"$skiptoken": "é"}, {"$skip": "1"}, {"$mood": "good"}, {"$expand": "manager"}, {"$select": "x" * 5000},
    ],
)  # fmt: skip
async def test_wrong_options_of_a_list_are_a_400(
    cloud: Cloud, client: httpx.AsyncClient, options: dict[str, str]
) -> None:
    answer = await client.get("/v1.0/users", params=options, headers=bearer(cloud))

    assert answer.status_code == 400
    assert len(answer.text) < 2000


async def test_objects_are_found_by_guid_and_named_only_with_more_than_the_basic_permission(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    ada = cloud.person(ADA)
    body = {"ids": [ada.oid.upper(), str(uuid.uuid4())], "types": ["user"]}

    async def ask(scope: str, sent: dict[str, Any]) -> httpx.Response:
        return await client.post("/v1.0/directoryObjects/getByIds", json=sent, headers=bearer(cloud, RELAY, scope))

    basic, whole = await ask("User.ReadBasic.All", body), await ask("Directory.Read.All", body)
    assert basic.json()["value"] == [{"@odata.type": "#microsoft.graph.user", "id": ada.oid}]
    assert whole.json()["value"][0]["displayName"] == "Ada Adler"
    assert (await ask("Directory.Read.All", {"ids": [ada.oid], "types": ["group"]})).json()["value"] == []
    assert (await ask("Presence.Read.All", body)).status_code == 403
    for wrong in ({"ids": [ADA]}, {"ids": [ada.oid] * 1001}, {}):
        assert (await ask("Directory.Read.All", wrong)).status_code == 400


async def test_the_organisation_names_itself(cloud: Cloud, client: httpx.AsyncClient) -> None:
    tenant = cloud.person(ADA).tenant
    headers = bearer(cloud, ADA, "User.Read")
    (found,) = (await client.get("/v1.0/organization", headers=headers)).json()["value"]
    own = await client.get(f"/v1.0/organization/{tenant.tenant_id}", headers=headers)
    other = await client.get(f"/v1.0/organization/{uuid.uuid4()}", headers=headers)

    assert (found["id"], found["verifiedDomains"][0]["name"]) == (tenant.tenant_id, tenant.domain)
    assert (own.json()["id"], other.status_code) == (tenant.tenant_id, 404)


@pytest.mark.fault("F8")
async def test_each_permission_of_microsofts_table_reads_the_organisation(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    async def status(headers: dict[str, str]) -> int:
        return (await client.get("/v1.0/organization", headers=headers)).status_code

    for permission in ("User.Read.All", "Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All"):
        assert await status(app_only(cloud, permission)) == 200
        assert await status(bearer(cloud, ADA, permission)) == 200
    assert await status(app_only(cloud, "Presence.Read.All")) == 403


@pytest.mark.fault("F8")
async def test_who_may_change_themselves_may_read_themselves(cloud: Cloud, client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1.0/me", headers=bearer(cloud, ADA, "User.ReadWrite"))

    assert answer.json()["userPrincipalName"] == ADA


@pytest.mark.fault("F8")
def test_the_documented_profile_admits_applications_with_the_basic_permission():
    """As https://learn.microsoft.com/graph/api/user-list has it; that it is refused is reported."""
    documented = Path(emulator.__file__).parent / "profiles" / "documented.toml"

    assert read_file(documented).switches["app_user_read_basic"] == "admit"
