"""`$batch`: order, refusals of the whole and of parts, and what is noted, charged and broken for each part."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from emulator import Fault
from tests.emulator.driver import RELAY, bearer

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"
GET: dict[str, Any] = {"method": "GET", "url": "/me"}


async def send(
    client: httpx.AsyncClient, cloud: Cloud, parts: list[dict[str, Any]], *scopes: str
) -> dict[str, dict[str, Any]]:
    """The answers by id."""
    answer = await client.post("/v1.0/$batch", json={"requests": parts}, headers=bearer(cloud, RELAY, *scopes))
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json()["responses"]}


async def test_a_part_waits_for_those_that_it_depends_on_wherever_they_stand(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    parts: list[dict[str, Any]] = [
        {"id": "last", "dependsOn": ["MIDDLE"], **GET},
        {"id": "middle", "dependsOn": ["first"], **GET},
        {"id": "first", **GET},
        {"id": "bad", "method": "GET", "url": "/nothing"},
        {"id": "lost", "dependsOn": ["bad"], **GET},
        {"id": "lost too", "dependsOn": ["lost"], **GET},
    ]
    found = await send(client, cloud, parts, "User.Read")

    assert {name: each["status"] for name, each in found.items()} == {
        "first": 200, "middle": 200, "last": 200, "bad": 400, "lost": 424, "lost too": 424,
    }  # fmt: skip


@pytest.mark.parametrize(
    "parts",
    [
        [{"id": "a", **GET}, {"id": "A", **GET}],
        [{"id": "a", "dependsOn": ["b"], **GET}],
        [{"id": "a", "dependsOn": ["a"], **GET}],
        [{"id": "a", "dependsOn": ["b"], **GET}, {"id": "b", "dependsOn": ["a"], **GET}],
        [{"id": "a", "method": "POST", "url": "/x", "body": {}}],
        [{"id": "a", "method": "POST", "url": "/x", "headers": {"Content-Type": "application/json"}}],
    ],
)
async def test_a_batch_that_makes_no_sense_is_refused_as_a_whole(
    cloud: Cloud, client: httpx.AsyncClient, parts: list[dict[str, Any]]
) -> None:
    answer = await client.post("/v1.0/$batch", json={"requests": parts}, headers=bearer(cloud))

    assert answer.status_code == 400
    assert cloud.journal.search(path="$batch")[-1].reason


@pytest.mark.parametrize(
    ("url", "status"),
    [("https://graph.microsoft.com/v1.0/me", 400), ("/v1.0/me", 400), ("me", 200), ("/me", 200), ("/$batch", 400)],
)
async def test_addresses_of_parts_are_relative(cloud: Cloud, client: httpx.AsyncClient, url: str, status: int) -> None:
    found = await send(client, cloud, [{"id": "1", "method": "GET", "url": url}], "User.Read")

    assert found["1"]["status"] == status


async def test_a_batch_is_sent_as_json(cloud: Cloud, client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1.0/$batch", content=b'{"requests":[]}', headers=bearer(cloud) | {"content-type": "text/xml"}
    )

    assert answer.status_code == 415


async def test_a_batch_within_a_batch_is_refused(cloud: Cloud, client: httpx.AsyncClient) -> None:
    inner = {"requests": [{"id": "1", **GET}]}
    part = {
        "id": "1",
        "method": "POST",
        "url": "/$batch",
        "body": inner,
        "headers": {"Content-Type": "application/json"},
    }

    assert (await send(client, cloud, [part]))["1"]["status"] == 400


async def test_bodies_are_objects_or_base64_and_so_are_answers(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ids = b'{"ids":["99999999-0000-4000-8000-000000000009"]}'
    bulk = {"method": "POST", "url": "/communications/getPresencesByUserId"}
    parts: list[dict[str, Any]] = [
        {"id": "text", **bulk, "headers": {"Content-Type": "text/plain"}, "body": base64.b64encode(ids).decode()},
        {"id": "json", **bulk, "headers": {"content-type": "application/json"}, "body": {"ids": []}},
        {"id": "count", "method": "GET", "url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}},
    ]
    found = await send(client, cloud, parts)

    assert (found["text"]["status"], found["json"]["status"]) == (415, 400)
    assert int(base64.b64decode(found["count"]["body"])) == len(cloud.person(ADA).tenant.people)


async def test_each_part_is_charged_and_noted_for_itself(cloud: Cloud, client: httpx.AsyncClient) -> None:
    parts: list[dict[str, Any]] = [
        {"id": "list", "method": "GET", "url": "/users?$top=50"},
        {"id": "one", "method": "GET", "url": f"/users/{ADA}"},
        {"id": "none", "method": "GET", "url": "/users/nobody", "dependsOn": ["list"]},
        {"id": "never", "dependsOn": ["none"], **GET},
    ]
    found = await send(client, cloud, parts)

    assert [found[name]["headers"]["x-ms-resource-unit"] for name in ("list", "one", "none")] == ["2", "1", "1"]
    assert found["list"]["headers"]["OData-Version"] == "4.0"
    noted = [(entry.path, entry.status, bool(entry.reason)) for entry in cloud.journal]
    assert noted == [
        ("/v1.0/users", 200, False), (f"/v1.0/users/{ADA}", 200, False), ("/v1.0/users/nobody", 404, True),
        ("/v1.0/me", 424, True), ("/v1.0/$batch", 200, False),
    ]  # fmt: skip
    assert {entry.tenant for entry in cloud.journal} == {cloud.person(ADA).tenant.tenant_id}


async def test_a_part_that_meets_a_fault_leaves_the_others_whole(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.add_fault(
        Fault(path="/v1.0/me", status=503, body="<html>no JSON", headers={"Retry-After": "7", "X-Mood": "bad"})
    )
    found = await send(client, cloud, [{"id": "bad", **GET}, {"id": "good", "method": "GET", "url": f"/users/{ADA}"}])

    assert (found["bad"]["status"], found["good"]["status"]) == (503, 200)
    assert (found["bad"]["headers"]["Retry-After"], found["bad"]["headers"]["x-mood"]) == ("7", "bad")
