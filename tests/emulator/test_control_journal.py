"""The journal: what was asked, found again by all that it notes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from emulator import journal
from emulator.demo import CLIENT_ID
from emulator.exchange import Answer, Request
from tests.emulator.driver import bearer

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"


async def found(client: httpx.AsyncClient, **asked: Any) -> list[str]:
    answer = await client.get("/_emulator/journal", params=asked)
    assert answer.status_code == 200, answer.text
    return [each["path"] for each in answer.json()["entries"]]


async def test_requests_are_found_by_everything_that_is_noted(cloud: Cloud, client: httpx.AsyncClient) -> None:
    tenant = cloud.person(ADA).tenant.tenant_id
    await client.get("/v1.0/me", headers=bearer(cloud))
    await client.get("/v1.0/me")
    await client.post("/v1.0/moon", headers=bearer(cloud))

    assert await found(client, method="POST") == ["/v1.0/moon"]
    assert await found(client, tenant=tenant) == ["/v1.0/me", "/v1.0/moon"]
    assert await found(client, app=CLIENT_ID, path="/me") == ["/v1.0/me"]
    assert await found(client, status=401) == ["/v1.0/me"]
    assert len(await found(client, reason="TOKEN")) == 1
    assert await found(client, limit=1) == ["/v1.0/moon"]


async def test_one_goes_on_from_the_newest_number_or_from_a_time(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await client.get("/v1.0/me", headers=bearer(cloud))
    first = (await client.get("/_emulator/journal")).json()
    between = time.time()
    await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))

    assert await found(client, after=first["entries"][-1]["number"]) == [f"/v1.0/users/{ADA}"]
    assert await found(client, since=between) == [f"/v1.0/users/{ADA}"]
    assert await found(client, since=time.time() + 60) == []


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 20_001}, {"status": "abc"}, {"colour": "red"}, {"since": -1}, {"path": "x" * 400}]
)
async def test_searches_that_cannot_be_are_refused_by_field(client: httpx.AsyncClient, asked: dict[str, Any]) -> None:
    answer = await client.get("/_emulator/journal", params=asked)

    assert answer.status_code == 400
    assert answer.json()["field"] == next(iter(asked))


def test_ids_of_bulk_reads_are_kept_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_IDS", 10)
    kept = journal.Journal(size=4)
    kept.keep_ids = True

    for number in range(7):
        request = Request(method="POST", path=f"/{number}", ids=["x"] * 4)
        kept.write(request, Answer(), time.monotonic())

    assert [entry.ids is not None for entry in kept.search()] == [False, False, True, True]
    assert [entry.count for entry in kept.search()] == [4, 4, 4, 4]
    assert len(kept._with_ids) == 2
