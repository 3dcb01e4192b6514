"""All properties of `user`: which there are by Microsoft's schema, what is shown of them, and how they are filtered by."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulator.graph.properties import HELD, RELATED
from tests.emulator.driver import RELAY, bearer
from tests.emulator.test_microsoft_sdk import by_sdk, delegated

if TYPE_CHECKING:
    import httpx
    from msgraph import GraphServiceClient

    from emulator import Cloud

pytestmark = [pytest.mark.fault("F4"), pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")]

ADA = "ada@contoso.example"
ALL = ("User.Read.All",)
EVENTUAL = {"consistencylevel": "eventual"}
_FIELD = re.compile(r'"(\w+)": lambda n : setattr\(self, \'\w+\', n\.get_(collection_of_)?(\w+?)_values?\((\w*)\)\)')
_KINDS = {"str": "text", "bool": "boolean", "int": "number", "datetime": "date", "primitive": "text"}


def models() -> Path:
    return Path(next(iter(import_module("msgraph.generated.models").__path__)))


def by_the_sdk() -> dict[str, tuple[str, bool]]:
    """The properties of `user` in the SDK's model: the kind of each, and whether it is a collection."""
    found: dict[str, tuple[str, bool]] = {}
    modules = {file.stem.replace("_", ""): file.stem for file in models().glob("*.py")}
    entity = import_module("msgraph.generated.models.entity").Entity
    for model in ("user", "directory_object", "entity"):
        for name, many, kind, of in _FIELD.findall((models() / f"{model}.py").read_text()):
            if kind == "object":
                held = getattr(import_module(f"msgraph.generated.models.{modules[of.lower()]}"), of)
                found[name] = "relation" if issubclass(held, entity) else "complex", bool(many)
            else:
                found[name] = _KINDS[kind], bool(many)
    return found


def test_the_properties_of_a_user_are_those_of_microsofts_schema():
    own = {each.name: (each.kind, each.many) for each in (*HELD.values(), *RELATED.values())}

    assert own == by_the_sdk()
    assert len(HELD) == 81  # as many as v1.0-Prod.csdl has


async def test_every_property_can_be_selected_of_one_user(cloud: Cloud, client: httpx.AsyncClient) -> None:
    select = ",".join(each.name for each in HELD.values())
    answer = await client.get(f"/v1.0/users/{ADA}", params={"$select": select}, headers=bearer(cloud, RELAY, *ALL))

    found = answer.json()
    assert answer.status_code == 200
    assert set(found) - {"@odata.context"} == {each.name for each in HELD.values()}
    assert (found["postalCode"], found["otherMails"], found["mailNickname"]) == (None, [], "ada")
    assert found["proxyAddresses"] == [f"SMTP:{ADA}"]
    assert found["identities"][0]["issuerAssignedId"] == ADA


@pytest.mark.long
async def test_microsofts_sdk_reads_all_properties_of_a_user(microsoft: Cloud) -> None:
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder

    async def work(client: GraphServiceClient) -> Any:
        query = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(
            select=[each.name for each in HELD.values()]
        )
        return await client.me.get(RequestConfiguration(query_parameters=query))

    me = await by_sdk(work, await delegated())

    assert (me.user_principal_name, me.created_date_time, me.skills) == (RELAY, None, [])
    assert me.identities[0].issuer_assigned_id == RELAY


async def test_some_properties_are_of_one_user_only(cloud: Cloud, client: httpx.AsyncClient) -> None:
    async def status(path: str) -> int:
        return (await client.get(f"/v1.0/{path}?$select=aboutMe", headers=bearer(cloud, RELAY, *ALL))).status_code

    assert (await status(f"users/{ADA}"), await status("users")) == (200, 501)


async def test_the_basic_permission_covers_the_security_identifier(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(uncovered_properties="absent")
    answer = await client.get(
        f"/v1.0/users/{ADA}?$select=securityIdentifier,postalCode", headers=bearer(cloud, RELAY, "User.ReadBasic.All")
    )
    assert set(answer.json()) - {"@odata.context"} == {"securityIdentifier"}


async def test_microsofts_own_example_of_a_list_works(cloud: Cloud, client: httpx.AsyncClient) -> None:
    """https://learn.microsoft.com/graph/api/user-list has `$select` of these three."""
    answer = await client.get(
        "/v1.0/users?$select=displayName,givenName,postalCode", headers=bearer(cloud, RELAY, *ALL)
    )

    assert answer.status_code == 200
    assert {each["postalCode"] for each in answer.json()["value"]} == {None}


@pytest.mark.parametrize(
    ("expression", "somebody"),
    [
        ("startsWith(mobilePhone,'25478')", False),
        ("city eq null", True),
        ("companyName ne null and NOT(companyName eq 'Microsoft')", False),
        ("NOT(companyName eq 'Microsoft')", True),
        ("identities/any(c:c/issuerAssignedId eq 'ada@contoso.example' and c/issuer eq 'contoso.example')", True),
        ("identities/any(c:c/issuerAssignedId eq 'j.smith@yahoo.com' and c/issuer eq 'My B2C tenant')", False),
        ("proxyAddresses/any(p:startswith(p,'SMTP:ada@'))", True),
        ("proxyAddresses/any()", True),
        ("not(proxyAddresses/any(p:startswith(p,'smtp:')))", False),
        ("otherMails/any(x:endswith(x,'@hotmail.com'))", False),
        ("assignedLicenses/any(s:s/skuId eq 184efa21-98c3-4e5d-95ab-d07053a96e67)", False),
        ("createdDateTime ge 2019-04-01T00:00:00Z and createdDateTime le 2030-01-01T00:00:00Z", False),
        ("displayName ge 'Ada' and displayName le 'Adb'", True),
        ("accountEnabled eq true and userType in ('Member','Guest')", True),
    ],
)
async def test_filters_of_microsofts_own_examples_work(
    cloud: Cloud, client: httpx.AsyncClient, expression: str, somebody: bool
) -> None:
    options = {"$filter": expression, "$count": "true"}
    answer = await client.get("/v1.0/users", params=options, headers=bearer(cloud, RELAY, *ALL) | EVENTUAL)

    assert answer.status_code == 200, answer.text
    assert bool(answer.json()["value"]) is somebody


@pytest.mark.parametrize(
    "options",
    [
        {"$filter": "manager/id eq 'x'"}, {"$filter": "assignedLicenses/$count eq 0"}, {"$select": "manager"},
        {"$filter": "onPremisesExtensionAttributes/extensionAttribute1 eq 'x'"}, {"$expand": "memberOf($select=id)"},
        {"$filter": "memberOf/any(m:m/id eq 'x')"},
    ],
)  # fmt: skip
async def test_what_exists_and_is_not_modelled_is_called_so(
    cloud: Cloud, client: httpx.AsyncClient, options: dict[str, str]
) -> None:
    answer = await client.get("/v1.0/users", params=options, headers=bearer(cloud, RELAY, *ALL) | EVENTUAL)

    text = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert "is not modelled here" in text
    assert "Could not find" not in text


@pytest.mark.parametrize(
    "expression",
    [
        "mood eq 'x'", "proxyAddresses eq 'x'", "identities/any(c)", "identities/any(c:d/issuer eq 'x')",
        "identities/any(c:c/a/b/c eq 'x'", "accountEnabled ge true", "displayName gt", "otherMails/all(x:x eq 'y')",
        "identities/any(c:identities/any(d:d eq 'x'))", "displayName ge null",
    ],
)  # fmt: skip
async def test_filters_that_are_wrong_are_a_400(cloud: Cloud, client: httpx.AsyncClient, expression: str) -> None:
    answer = await client.get(
        "/v1.0/users", params={"$filter": expression}, headers=bearer(cloud, RELAY, *ALL) | EVENTUAL
    )

    assert answer.status_code == 400
