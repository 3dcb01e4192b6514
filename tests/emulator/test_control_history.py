"""The history: what others saw of people, change by change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from emulator.clock import Clock
from emulator.history import History
from emulator.world import Shown

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


async def told(client: httpx.AsyncClient, **asked: Any) -> Any:
    answer = await client.get("/_emulator/history", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_changes_are_told_in_their_order_with_their_instants(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.act(ADA, "call")  # nobody asked yet
    await client.put("/_emulator/history", json={"enabled": True})
    before = time.time()
    cloud.act(ADA, "hang_up")
    cloud.act(BEN, "lock")
    cloud.act(BEN, "lock")  # looks no different
    cloud.act(ADA, "brb")

    found = await told(client)

    assert found["total"] == 3
    assert [(each["person"], each["availability"]) for each in found["changes"]] == [
        (cloud.person(ADA).oid, "Available"),
        (cloud.person(BEN).oid, "Away"),
        (cloud.person(ADA).oid, "BeRightBack"),
    ]
    instants = [before, *(each["utc"] for each in found["changes"]), time.time()]
    assert instants == sorted(instants)
    assert found["changes"][-1]["sequence_number"] == cloud.person(ADA).sequence
    assert [each["availability"] for each in (await told(client, person=BEN))["changes"]] == ["Away"]
    assert (await told(client, tenant="nobody"))["changes"] == []


async def test_a_change_that_is_not_to_be_seen_is_none(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(idle_values=False)
    await client.put("/_emulator/history", json={"enabled": True})
    cloud.set_presence(ADA, "AvailableIdle", "AvailableIdle")
    assert (await told(client))["changes"] == []
    cloud.set_presence(ADA, "Offline", "Offline")
    assert [each["availability"] for each in (await told(client))["changes"]] == ["Offline"]
    await client.delete("/_emulator/history")
    assert (await told(client))["total"] == 0


async def test_one_goes_on_after_the_last_number_also_when_older_ones_are_forgotten(cloud: Cloud) -> None:
    history = History(Clock(), size=3)
    for name in "abcde":
        history.write(cloud.person(ADA), Shown(name, name))

    def names(after: int, limit: int | None = None) -> str:
        return "".join(change.availability for change in history.search(after=after, limit=limit))

    assert names(0) == "cde"
    assert names(0, 2) == "cd"
    assert names(3) == "de"
    assert names(5) == names(9) == ""
