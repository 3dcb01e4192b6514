"""Graph's users, presences and batches over HTTP, refusals and throttling included."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from emulator import Config, Emulator, generate_world
from emulator.generate import BENCH_CLIENT_ID
from tests.emulator.driver import RELAY, bearer, browser

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

BULK = "/v1.0/communications/getPresencesByUserId"
ADA = "ada@contoso.example"
BEN = "ben@contoso.example"


async def bulk(client: httpx.AsyncClient, cloud: Cloud, ids: list[str]) -> httpx.Response:
    return await client.post(BULK, json={"ids": ids}, headers=bearer(cloud))


def in_filter(*names: str) -> str:
    return "userPrincipalName in ({})".format(",".join("'{}'".format(name.replace("'", "''")) for name in names))


async def test_a_presence_has_the_documented_shape(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.set_presence(ADA, "Busy", "InACall", status_message="On the phone", out_of_office=True)

    (found,) = (await bulk(client, cloud, [ada.oid])).json()["value"]

    number = found.pop("sequenceNumber")
    assert (len(number), number[0].isalpha(), number[1:].isdecimal()) == (11, True, True)
    assert found == {
        "id": ada.oid,
        "availability": "Busy",
        "activity": "InACall",
        "statusMessage": {"message": {"content": "On the phone", "contentType": "text"}},
        "outOfOfficeSettings": {"message": None, "isOutOfOffice": True},
    }


async def test_every_change_raises_the_sequence_number_and_nothing_else_does(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    numbers = []
    ada = cloud.person(ADA)
    for action in ("call", "hang_up", "lock", "lock"):
        cloud.act(ada, action)
        numbers.append((await bulk(client, cloud, [ada.oid])).json()["value"][0]["sequenceNumber"])

    assert numbers[0] < numbers[1] < numbers[2] == numbers[3]


@pytest.mark.parametrize(
    ("spelling", "call", "idle"),
    [
        ("pascal", ("Busy", "InACall"), ("AvailableIdle", "Inactive")),
        ("lower_camel", ("inACall", "busy"), ("availableIdle", "available")),
        ("third", ("InACall", "Busy"), ("AvailableIdle", "Available")),
    ],
)
async def test_each_published_spelling_can_be_sent(
    cloud: Cloud, client: httpx.AsyncClient, spelling: str, call: tuple[str, str], idle: tuple[str, str]
) -> None:
    cloud.set_presence(ADA, "Busy", "InACall")
    cloud.set_presence(BEN, "AvailableIdle", "Inactive")
    cloud.set_switches(spelling=spelling)

    found = (await bulk(client, cloud, [cloud.person(ADA).oid, cloud.person(BEN).oid])).json()["value"]

    assert [(each["availability"], each["activity"]) for each in found] == [call, idle]


async def test_strings_that_nobody_published_are_sent_as_they_are(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(spelling="lower_camel", extra_fields=True, sequence_numbers=False)
    ada = cloud.set_presence(ADA, "Teleporting", "Busy / InACall + OOF")

    (found,) = (await bulk(client, cloud, [ada.oid])).json()["value"]

    assert (found["availability"], found["activity"]) == ("Teleporting", "Busy / InACall + OOF")
    assert "workLocation" in found
    assert "sequenceNumber" not in found


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, ["ada"]),
        ({"unknown_ids": "presence_unknown"}, ["ada", "unknown"]),
        ({"unlicensed_ids": "presence_unknown"}, ["ada", "relay"]),
        ({"duplicate_ids": "repeat"}, ["ada", "ada"]),
        ({"unknown_ids": "refuse_400"}, 400),
        ({"duplicate_ids": "refuse_400"}, 400),
    ],
)
async def test_what_is_not_documented_of_ids_is_a_switch(
    cloud: Cloud, client: httpx.AsyncClient, switches: dict[str, str], expected: list[str] | int
) -> None:
    ids = {"ada": cloud.person(ADA).oid, "relay": cloud.person(RELAY).oid, "unknown": str(uuid.uuid4())}
    names = {oid: name for name, oid in ids.items()}
    cloud.set_switches(**switches)

    answer = await bulk(client, cloud, [ids["ada"], ids["unknown"], ids["relay"], ids["ada"].upper()])

    if isinstance(expected, int):
        assert (answer.status_code, answer.json()["error"]["code"]) == (expected, "BadRequest")
    else:
        assert [names[each["id"]] for each in answer.json()["value"]] == expected


async def test_people_of_another_tenant_are_nobody(cloud: Cloud, client: httpx.AsyncClient) -> None:
    mia = cloud.person("mia@fabrikam.example")

    assert (await bulk(client, cloud, [mia.oid])).json()["value"] == []
    assert (await client.get(f"/v1.0/users/{mia.upn}", headers=bearer(cloud))).status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"ids":"x"}', b'{"ids":[]}', b'{"ids":["ada@contoso.example"]}', b'{"ids":["1"]}', b"\xff"],
)
async def test_a_bulk_read_that_is_wrong_is_a_400(cloud: Cloud, client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(BULK, content=body, headers=bearer(cloud) | {"content-type": "application/json"})

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["message"]
    assert error["innerError"]["request-id"] == answer.headers["request-id"]


async def test_650_ids_are_read_and_651_are_not(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ids = [str(uuid.uuid4()) for _ in range(651)]

    assert (await bulk(client, cloud, ids[:650])).status_code == 200
    assert (await bulk(client, cloud, ids)).status_code == 400


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({}, "empty"),
        ({"authorization": "Bearer"}, "empty"),
        ({"authorization": "Bearer nonsense"}, "well formed"),
        ({"authorization": "Bearer a.b.c"}, "Signature"),
        ({"authorization": "Basic YTpi"}, "empty"),
    ],
)
async def test_a_bad_access_token_is_a_401(client: httpx.AsyncClient, header: dict[str, str], text: str) -> None:
    answer = await client.get("/v1.0/me", headers=header)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert text in answer.json()["error"]["message"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_expired_and_a_revoked_access_token_are_a_401(cloud: Cloud, client: httpx.AsyncClient) -> None:
    registered = next(iter(cloud.world.applications.values()))
    old = cloud.tokens.access_token(cloud.person(RELAY), registered, {"User.Read"}, -1)
    expired = await client.get("/v1.0/me", headers={"authorization": f"Bearer {old}"})
    good = bearer(cloud, RELAY, "User.Read")
    before = await client.get("/v1.0/me", headers=good)

    cloud.directory.revoke(RELAY, access_tokens=True)

    assert [expired.status_code, before.status_code] == [401, 200]
    assert (await client.get("/v1.0/me", headers=good)).status_code == 401
    assert (await client.get("/v1.0/me", headers=bearer(cloud, RELAY, "User.Read"))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope", "status"),
    [
        ("POST", "/communications/getPresencesByUserId", "Presence.Read", 403),
        ("GET", "/users", "Presence.Read.All", 403),
        ("GET", "/me/presence", "Presence.Read", 200),
        ("GET", "/me/presence", "User.Read", 403),
        ("GET", "/me", "Presence.Read", 403),
    ],
)
async def test_each_call_wants_its_permission(
    cloud: Cloud, client: httpx.AsyncClient, method: str, path: str, scope: str, status: int
) -> None:
    answer = await client.request(
        method, f"/v1.0{path}", headers=bearer(cloud, ADA, scope), json={"ids": [cloud.person(ADA).oid]}
    )

    assert answer.status_code == status


async def test_one_presence_is_read_by_object_id_in_three_ways(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.set_presence(ADA, "Away")
    paths = [f"users/{ada.oid}/presence", f"users('{ada.oid.upper()}')/presence", f"communications/presences/{ada.oid}"]

    for path in paths:
        answer = await client.get(f"/v1.0/{path}", headers=bearer(cloud))
        assert (answer.json()["id"], answer.json()["availability"]) == (ada.oid, "Away")
    assert (await client.get(f"/v1.0/users/{ADA}/presence", headers=bearer(cloud))).status_code == 400
    assert (await client.get(f"/v1.0/users/{uuid.uuid4()}/presence", headers=bearer(cloud))).status_code == 404


async def test_a_user_is_found_by_id_and_by_upn_in_any_case(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.person(ADA)

    for who in (ada.oid, ada.oid.upper(), "ADA@Contoso.Example"):
        answer = await client.get(f"/v1.0/users/{who}?$select=id,userPrincipalName", headers=bearer(cloud))
        found = answer.json()
        found.pop("@odata.context")
        assert found == {"id": ada.oid, "userPrincipalName": ADA}


async def test_special_upns_are_found_when_written_as_documented(cloud: Cloud, client: httpx.AsyncClient) -> None:
    for upn in (
        "$money@contoso.example",
        "o'brien@contoso.example",
        "adele_adatum.com#EXT#@contoso.example",
        "a+b@contoso.example",
    ):
        cloud.add_person("contoso.example", str(uuid.uuid4()), upn, "Special")

    async def get(path: str) -> int:
        return (await client.get(f"/v1.0/{path}", headers=bearer(cloud))).status_code

    assert await get("users/$money@contoso.example") == 400
    assert await get("users('$money@contoso.example')") == 200
    assert await get("users('o''brien@contoso.example')") == 200
    assert await get("users/adele_adatum.com%23EXT%23@contoso.example") == 200
    answer = await client.get(
        "/v1.0/users",
        params={"$filter": in_filter("O'Brien@contoso.example", "a+b@contoso.example")},
        headers=bearer(cloud),
    )
    assert {each["userPrincipalName"] for each in answer.json()["value"]} == {
        "o'brien@contoso.example",
        "a+b@contoso.example",
    }


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (in_filter(ADA, "BEN@contoso.EXAMPLE", "nobody@contoso.example"), {"ada", "ben"}),
        ("userPrincipalName eq 'ada@contoso.example'", {"ada"}),
        ("userPrincipalName eq 'ada@contoso.example' or mail eq 'ben@contoso.example'", {"ada", "ben"}),
        ("startswith(displayName,'ADA')", {"ada"}),
        ("id in ('{ada}')", {"ada"}),
        ("displayName eq 'Ben Brandt'", {"ben"}),
    ],
)
async def test_filters_find_people(cloud: Cloud, client: httpx.AsyncClient, expression: str, names: set[str]) -> None:
    expression = expression.replace("{ada}", cloud.person(ADA).oid)

    answer = await client.get("/v1.0/users", params={"$filter": expression}, headers=bearer(cloud))

    assert {each["userPrincipalName"].partition("@")[0] for each in answer.json()["value"]} == names


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "id in ()",
        "id in (a,b)",
        "id eq 'x",
        "mood eq 'good'",
        "id eq 'x' and",
        "id in ('x') or",
        "(id eq 'x'",
        "id eq x",
        "id gt 'x'",
    ],
)
async def test_a_filter_that_cannot_be_understood_is_a_400(
    cloud: Cloud, client: httpx.AsyncClient, expression: str
) -> None:
    answer = await client.get("/v1.0/users", params={"$filter": expression}, headers=bearer(cloud))

    assert answer.status_code == 400


async def test_fifteen_names_in_a_filter_are_taken_and_sixteen_are_not(cloud: Cloud, client: httpx.AsyncClient) -> None:
    names = [f"p{n}@contoso.example" for n in range(16)]

    for count, status in ((15, 200), (16, 400)):
        answer = await client.get("/v1.0/users", params={"$filter": in_filter(*names[:count])}, headers=bearer(cloud))
        assert answer.status_code == status
    assert "Max allowed: 15" in answer.json()["error"]["message"]


async def test_pages_lead_through_everybody(cloud: Cloud, client: httpx.AsyncClient) -> None:
    seen: list[str] = []
    link = "/v1.0/users?$select=id&$top=5"
    while link:
        page = (await client.get(link, headers=bearer(cloud))).json()
        assert len(page["value"]) <= 5
        seen += [each["id"] for each in page["value"]]
        link = page.get("@odata.nextLink", "")

    assert sorted(seen) == sorted(cloud.person(ADA).tenant.people)


async def batch(client: httpx.AsyncClient, cloud: Cloud, requests: list[dict[str, Any]]) -> httpx.Response:
    return await client.post("/v1.0/$batch", json={"requests": requests}, headers=bearer(cloud))


async def test_a_batch_answers_each_of_its_requests(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.person(ADA)
    requests: list[dict[str, Any]] = [
        {"id": "user", "method": "GET", "url": f"/users/{ADA}?$select=id"},
        {"id": "nobody", "method": "GET", "url": "/users/nobody@contoso.example"},
        {"id": "filter", "method": "GET", "url": f"/users?$filter=userPrincipalName%20in%20('{BEN}')&$select=id"},
        {"id": "bulk", "method": "POST", "url": "/communications/getPresencesByUserId", "body": {"ids": [ada.oid]},
         "headers": {"Content-Type": "application/json"}},
        {"id": "after", "method": "GET", "url": "/me", "dependsOn": ["nobody"]},
    ]  # fmt: skip

    answer = await batch(client, cloud, requests)

    found = {each["id"]: each for each in answer.json()["responses"]}
    assert {key: each["status"] for key, each in found.items()} == {
        "user": 200, "nobody": 404, "filter": 200, "bulk": 200, "after": 424,
    }  # fmt: skip
    assert found["user"]["body"]["id"] == ada.oid
    assert found["nobody"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    assert found["filter"]["body"]["value"] == [{"id": cloud.person(BEN).oid}]
    assert found["bulk"]["body"]["value"][0]["id"] == ada.oid


async def test_the_answers_of_a_batch_come_in_another_order(cloud: Cloud, client: httpx.AsyncClient) -> None:
    requests = [{"id": str(n), "method": "GET", "url": f"/users/{ADA}"} for n in range(20)]

    answer = await batch(client, cloud, requests)

    ids = [each["id"] for each in answer.json()["responses"]]
    assert sorted(ids, key=int) == [each["id"] for each in requests] != ids


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [{"id": str(n), "method": "GET", "url": "/me"} for n in range(21)],
        [{"id": "1", "method": "GET", "url": "/me"}] * 2,
        [{"id": 1, "method": "GET", "url": "/me"}],
        [{"method": "GET", "url": "/me"}],
    ],
)
async def test_a_wrong_batch_is_refused_as_a_whole(
    cloud: Cloud, client: httpx.AsyncClient, requests: list[dict[str, Any]]
) -> None:
    assert (await batch(client, cloud, requests)).status_code == 400


async def test_presence_is_throttled_per_application_and_tenant(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(presence_limit=2, presence_window_s=30)
    ada = cloud.person(ADA)
    fabrikam = bearer(cloud, "presence-relay@fabrikam.example")

    statuses = [(await bulk(client, cloud, [ada.oid])).status_code for _ in range(2)]
    refused = await bulk(client, cloud, [ada.oid])
    other = await client.post(BULK, json={"ids": [ada.oid]}, headers=fabrikam)
    users = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))

    assert statuses == [200, 200]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["error"]["code"] == "TooManyRequests"
    assert refused.json()["error"]["innerError"]["status"] == "429"
    assert (other.status_code, users.status_code) == (200, 200)


async def test_a_bulk_read_can_count_as_its_ids(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(presence_limit=3, count_bulk_as="ids")
    ids = [cloud.person(who).oid for who in (ADA, BEN)]

    assert [(await bulk(client, cloud, ids)).status_code for _ in range(2)] == [200, 429]


async def test_within_a_batch_single_requests_are_throttled(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(presence_limit=1)
    oid = cloud.person(ADA).oid
    requests = [{"id": str(n), "method": "GET", "url": f"/users/{oid}/presence"} for n in range(3)]

    answer = await batch(client, cloud, requests)

    responses = answer.json()["responses"]
    assert answer.status_code == 200
    assert sorted(each["status"] for each in responses) == [200, 429, 429]
    assert all("Retry-After" in each["headers"] for each in responses if each["status"] == 429)


async def test_what_graph_does_not_have_is_refused(cloud: Cloud, client: httpx.AsyncClient) -> None:
    for path in ("", "groups", "users/x/y/z", "communications/calls"):
        answer = await client.get(f"/v1.0/{path}", headers=bearer(cloud))
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "BadRequest"


async def test_a_bulk_read_of_650_gives_everybody() -> None:
    """Its rate is measured by `python -m bench emulator`."""
    async with Emulator.start(Config(world=generate_world(tenants=1, people=650))) as cloud, browser(cloud) as client:
        tenant = next(iter(cloud.world.tenants.values()))
        ids = [person.oid for person in tenant.people.values() if person.upn.startswith("p")]
        relay, application = tenant.upns[f"relay@{tenant.domain}"], cloud.world.application(BENCH_CLIENT_ID)
        assert application is not None
        token = cloud.tokens.access_token(relay, application, {"Presence.Read.All"}, 3599)
        header = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        answer = await client.post(BULK, json={"ids": ids}, headers=header)
    assert len(answer.json()["value"]) == 650
