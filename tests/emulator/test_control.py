"""The control surface: what it changes, what it tells, and that slips are named."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from emulator import Fault
from emulator.demo import CLIENT_ID, SECRET
from tests.emulator.driver import RELAY, bearer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from emulator import Cloud

BULK = "/v1.0/communications/getPresencesByUserId"
ADA = "ada@contoso.example"


async def test_a_presence_is_set_and_shown(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await client.put(
        f"/_emulator/people/{ADA}/presence", json={"availability": "DoNotDisturb", "activity": "Presenting"}
    )

    shown = (await client.get(f"/_emulator/people/{cloud.person(ADA).oid}/presence")).json()
    read = await client.get(f"/v1.0/users/{cloud.person(ADA).oid}/presence", headers=bearer(cloud))

    assert (shown["availability"], shown["activity"]) == ("DoNotDisturb", "Presenting")
    assert (read.json()["availability"], read.json()["activity"]) == ("DoNotDisturb", "Presenting")


async def test_switching_off_is_seen_step_by_step_when_the_clock_is_stepped(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    await client.put("/_emulator/clock", json={"speed": 0})
    await client.put("/_emulator/switches", json={"linger_s": [10, 10], "idle_s": [20, 20]})
    await client.post(f"/_emulator/people/{ADA}/actions", json={"action": "call"})
    await client.post(f"/_emulator/people/{ADA}/actions", json={"action": "switch_off"})
    seen = []

    for seconds in (9, 2, 18, 2):
        await client.put("/_emulator/clock", json={"advance_s": seconds})
        read = await client.get(f"/v1.0/users/{cloud.person(ADA).oid}/presence", headers=bearer(cloud))
        seen.append(read.json()["availability"])

    assert seen == ["Busy", "BusyIdle", "BusyIdle", "Offline"]


async def test_by_itself_time_passes_at_its_speed(cloud: Cloud) -> None:
    cloud.set_switches(linger_s=(30, 30), idle_s=(30, 30))
    cloud.clock.set_speed(1000)
    cloud.history.enabled = True

    cloud.act(ADA, "switch_off")
    await eventually(lambda: cloud.person(ADA).shown.availability == "Offline")

    changes = cloud.history.search(person=cloud.person(ADA).oid)
    assert [change.availability for change in changes] == ["AvailableIdle", "Offline"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("PUT", "switches", {"spelling": "klingon"}, 400, "klingon"),
        ("PUT", "switches", {"moods": True}, 400, "moods"),
        ("PUT", "people/nobody@contoso.example/presence", {}, 404, "nobody@contoso.example"),
        ("PUT", f"people/{ADA}/presence", {"availabillity": "Busy"}, 400, "availabillity"),
        ("POST", f"people/{ADA}/actions", {"action": "fly"}, 400, "fly"),
        ("POST", "grants/revoke", {"account": RELAY, "kind": "bad_luck"}, 400, "bad_luck"),
        ("POST", "faults", {"status": 99}, 400, "status"),
        ("PUT", "clock", {"speed": -1}, 400, "speed"),
        ("GET", "moon", None, 404, "moon"),
    ],
)
async def test_slips_are_named(
    client: httpx.AsyncClient, method: str, path: str, body: object, status: int, text: str
) -> None:
    answer = await client.request(method, f"/_emulator/{path}", json=body)

    assert answer.status_code == status
    assert text in answer.json()["error"]


async def test_a_fault_happens_as_often_as_asked_and_to_whom(cloud: Cloud, client: httpx.AsyncClient) -> None:
    contoso = cloud.person(RELAY).tenant.tenant_id
    fault = {
        "path": "/v1.0/communications",
        "tenant": contoso,
        "status": 503,
        "count": 2,
        "headers": {"Retry-After": "7"},
    }
    await client.post("/_emulator/faults", json=fault)
    body = {"ids": [cloud.person(ADA).oid]}

    others = await client.post(BULK, json=body, headers=bearer(cloud, "presence-relay@fabrikam.example"))
    answers = [await client.post(BULK, json=body, headers=bearer(cloud)) for _ in range(3)]

    assert others.status_code == 200
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "7"


@pytest.mark.parametrize("damage", ["truncated", "not_json", "no_value"])
async def test_bodies_can_be_damaged(cloud: Cloud, client: httpx.AsyncClient, damage: str) -> None:
    cloud.add_fault(Fault(path=BULK, damage=damage))

    answer = await client.post(BULK, json={"ids": [cloud.person(ADA).oid]}, headers=bearer(cloud))

    assert answer.status_code == 200
    if damage == "no_value":
        assert answer.json() == {}
    else:
        with pytest.raises(ValueError):
            answer.json()


async def test_connections_can_be_torn_down(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.add_fault(Fault(path=BULK, reset=True, count=1))

    with pytest.raises(httpx.TransportError):
        await client.post(BULK, json={"ids": [cloud.person(ADA).oid]}, headers=bearer(cloud))
    assert (await client.post(BULK, json={"ids": [cloud.person(ADA).oid]}, headers=bearer(cloud))).status_code == 200


async def test_a_part_of_a_batch_can_fail_alone(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.add_fault(Fault(path="/v1.0/users", status=504, body='{"error":{"code":"x","message":"y"}}', count=1))
    requests = [{"id": str(n), "method": "GET", "url": f"/users/{ADA}"} for n in range(2)]

    answer = await client.post("/v1.0/$batch", json={"requests": requests}, headers=bearer(cloud))

    assert sorted(each["status"] for each in answer.json()["responses"]) == [200, 504]


@pytest.mark.parametrize("surface", ["token", "graph"])
@pytest.mark.parametrize("for_whom", ["all", "one tenant"])
async def test_answers_can_take_their_time_for_all_or_for_one_tenant(
    cloud: Cloud, client: httpx.AsyncClient, surface: str, for_whom: str
) -> None:
    fabrikam_relay = "presence-relay@fabrikam.example"
    contoso = cloud.person(RELAY).tenant.tenant_id

    async def ask(who: str) -> int:
        if surface == "graph":
            return (await client.get("/v1.0/me", headers=bearer(cloud, who))).status_code
        token = cloud.directory.grant(who, CLIENT_ID, {"Presence.Read.All"})
        form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": SECRET, "refresh_token": token}
        return (await client.post("/organizations/oauth2/v2.0/token", data=form)).status_code

    changes = {f"{surface}_latency_ms_of": {contoso: 60_000}}
    if for_whom == "all":
        changes = {
            f"{surface}_latency_ms": 60_000,
            f"{surface}_latency_ms_of": {cloud.person(fabrikam_relay).tenant.tenant_id: 0},
        }  # type: ignore[dict-item]
    cloud.set_switches(**changes)

    slow = asyncio.create_task(ask(RELAY))
    fast = await asyncio.wait_for(ask(fabrikam_relay), 30)

    assert fast == 200
    assert not slow.done()
    slow.cancel()


async def test_the_journal_tells_what_was_asked_and_why_it_was_refused(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.journal.keep_ids = True
    ada = cloud.person(ADA)
    await client.post(BULK, json={"ids": [ada.oid]}, headers=bearer(cloud))
    await client.post(BULK, json={"ids": []}, headers=bearer(cloud))
    await client.post("/contoso.example/oauth2/v2.0/token", data={
        "grant_type": "refresh_token", "refresh_token": "x", "client_id": CLIENT_ID, "client_secret": "wrong",
    })  # fmt: skip

    bulk = (await client.get("/_emulator/journal", params={"path": "getPresences"})).json()["entries"]
    refused = (await client.get("/_emulator/journal", params={"status": "401"})).json()["entries"]

    assert [(each["status"], each["count"], each["ids"]) for each in bulk] == [(200, 1, [ada.oid]), (400, 0, None)]
    assert (bulk[0]["tenant"], bulk[0]["app"]) == (ada.tenant.tenant_id, CLIENT_ID)
    assert [each["reason"] for each in refused] == ["AADSTS7000215"]
    await client.delete("/_emulator/journal")
    assert (await client.get("/_emulator/journal")).json() == {"total": 0, "entries": []}


async def test_gaps_between_two_reads_of_a_user_are_pooled(cloud: Cloud, client: httpx.AsyncClient) -> None:
    async def is_open_for_longer() -> bool:
        now = (await client.get("/_emulator/gaps")).json()
        return now["open_max_s"] > now["max_s"]

    ids = [person.oid for person in cloud.person(ADA).tenant.people.values() if person.licensed]
    await client.put("/_emulator/gaps", json={"enabled": True})

    for _ in range(3):
        await client.post(BULK, json={"ids": ids}, headers=bearer(cloud))
    report = (await client.get("/_emulator/gaps")).json()

    assert report["count"] == 2 * len(ids)
    assert 0 <= report["p50_s"] <= report["p999_s"] <= report["max_s"]
    assert await eventually(is_open_for_longer), "the gap since the last read grows"
    await client.delete("/_emulator/gaps")
    assert (await client.get("/_emulator/gaps")).json()["count"] == 0


async def test_an_application_is_registered_anew(cloud: Cloud, client: httpx.AsyncClient) -> None:
    (known,) = (await client.get("/_emulator/applications")).json()["applications"]

    await client.put("/_emulator/applications", json={**known, "redirect_uris": ["https://relay.example/cb"]})

    page = await client.get(
        "/common/oauth2/v2.0/authorize",
        params={
            "client_id": CLIENT_ID,
            "redirect_uri": "https://relay.example/cb",
            "scope": "openid",
            "response_type": "code",
        },
    )
    assert (page.status_code, 'id="sign-in"' in page.text) == (200, True)


async def test_people_are_renamed_and_deleted(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.person(ADA)

    await client.put(f"/_emulator/people/{ADA}", json={"upn": "ada.adler@contoso.example"})
    old = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))
    new = await client.get("/v1.0/users/ada.adler@contoso.example", headers=bearer(cloud))
    await client.delete(f"/_emulator/people/{ada.oid}")
    gone = await client.post(BULK, json={"ids": [ada.oid]}, headers=bearer(cloud))

    assert (old.status_code, new.json()["id"]) == (404, ada.oid)
    assert gone.json()["value"] == []


async def test_reset_undoes_everything_but_consent(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    cloud.set_switches(spelling="third", presence_limit=0)
    cloud.add_fault(Fault(status=500))
    cloud.act(ADA, "dnd")
    cloud.directory.revoke(RELAY, "account_disabled")

    await client.post("/_emulator/reset")

    read = await client.get(f"/v1.0/users/{cloud.person(ADA).oid}/presence", headers=bearer(cloud))
    assert read.json()["availability"] == "Available"
    assert cloud.person(RELAY).enabled
    assert [each["upn"] for each in cloud.directory.grants()] == [RELAY]
