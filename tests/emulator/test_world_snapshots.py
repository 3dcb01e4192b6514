"""Snapshots: after restoring one, the cloud answers exactly as it did, now and later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulator import Config, Emulator, Fault
from emulator.demo import CLIENT_ID, SECRET
from emulator.snapshots import MOST
from tests.emulator.driver import RELAY, bearer, browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from emulator import Cloud

BULK = "/v1.0/communications/getPresencesByUserId"
ADA, BEN, MIA = "ada@contoso.example", "ben@contoso.example", "mia@fabrikam.example"


@pytest.fixture
async def lively() -> AsyncIterator[Cloud]:
    """A cloud whose people live their days, and whose time moves when told to."""
    async with Emulator.start(Config(day=True, speed=0)) as cloud:
        yield cloud


async def answers(cloud: Cloud, client: httpx.AsyncClient, ids: list[str]) -> list[object]:
    """What Graph says of everybody now and over the next hours, and what control says."""
    told: list[object] = []
    for _ in range(4):
        bulk = await client.post(BULK, json={"ids": ids}, headers=bearer(cloud))
        told.append((bulk.status_code, bulk.content))
        cloud.clock.advance(3600)
    return told + [
        (await client.get(f"/_emulator/{path}")).json() for path in ("switches", "grants", "clock", "profile")
    ]


async def test_a_restored_cloud_answers_as_before_now_and_later(lively: Cloud) -> None:
    cloud = lively
    ids = [person.oid for person in cloud.person(ADA).tenant.people.values()]
    cloud.act(BEN, "status_message", text="back at four", for_s=7200)
    cloud.act(BEN, "switch_off")
    cloud.set_switches(idle_values=False)
    cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    async with browser(cloud) as client:
        assert (await client.put("/_emulator/snapshots/morning")).status_code == 204
        before = await answers(cloud, client, ids)
        cloud.set_switches(spelling="third")
        cloud.set_presence(ADA, "Busy", sequence_number="B0000000001")
        cloud.rename_person(BEN, "benjamin@contoso.example")
        cloud.directory.revoke(RELAY, "consent_removed")
        cloud.add_person("contoso.example", "99999999-0000-4000-8000-000000000000", "zoe@contoso.example", "Zoe")
        cloud.clock.set_speed(0.001)
        cloud.reset()
        await answers(cloud, client, ids)

        assert (await client.post("/_emulator/snapshots/morning/restore")).status_code == 204
        after = await answers(cloud, client, ids)

    assert after == before
    with pytest.raises(LookupError):
        cloud.person("zoe@contoso.example")


async def test_a_snapshot_can_be_restored_again_and_again(lively: Cloud) -> None:
    cloud = lively
    cloud.snapshots.take("start")
    seen = []

    for _ in range(3):
        cloud.snapshots.restore("start")
        cloud.clock.advance(20_000)
        seen.append([(person.shown, person.sequence) for person in cloud.world.people()])

    assert seen[0] == seen[1] == seen[2]


async def test_faults_are_restored_with_what_is_left_of_them(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.add_fault(Fault(path=BULK, status=503, count=2))
    cloud.snapshots.take("two-left")
    body = {"ids": [cloud.person(ADA).oid]}

    async def statuses() -> list[int]:
        return [(await client.post(BULK, json=body, headers=bearer(cloud))).status_code for _ in range(3)]

    seen = [await statuses()]
    for _ in range(2):
        cloud.snapshots.restore("two-left")
        seen.append(await statuses())

    assert seen == [[503, 503, 200]] * 3


async def test_a_grant_that_died_lives_again_and_a_deleted_person_is_back(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    cloud.snapshots.take("alive")
    cloud.directory.revoke(RELAY, "password_reset")
    cloud.remove_person(MIA)

    cloud.snapshots.restore("alive")

    form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": SECRET, "refresh_token": token}
    answer = await client.post("/organizations/oauth2/v2.0/token", data=form)
    assert "access_token" in answer.json()
    assert cloud.person(MIA).upn == MIA


async def test_signing_keys_and_the_calendar_are_restored(cloud: Cloud) -> None:
    cloud.clock.ahead_s = 60.0
    cloud.snapshots.take("before")
    kids = cloud.tokens.key.kids
    cloud.directory.rotate_keys()
    cloud.clock.ahead_s = 0.0

    cloud.snapshots.restore("before")

    assert cloud.tokens.key.kids == kids
    assert cloud.clock.ahead_s == 60.0


async def test_snapshots_are_listed_deleted_and_bounded(cloud: Cloud, client: httpx.AsyncClient) -> None:
    for number in range(MOST):
        await client.put(f"/_emulator/snapshots/s{number}")

    full = await client.put("/_emulator/snapshots/more")
    await client.delete("/_emulator/snapshots/s0")
    names = (await client.get("/_emulator/snapshots")).json()["snapshots"]

    assert (full.status_code, "delete one" in full.json()["error"]) == (400, True)
    assert names == [f"s{number}" for number in range(1, MOST)]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("PUT", "snapshots/a b", 400, "1 to 64 letters"),
        ("POST", "snapshots/none/restore", 404, "there is no snapshot none"),
        ("DELETE", "snapshots/none", 404, "there is no snapshot none"),
    ],
)
async def test_snapshots_that_cannot_be_are_refused(
    client: httpx.AsyncClient, method: str, path: str, status: int, text: str
) -> None:
    answer = await client.request(method, f"/_emulator/{path}")

    assert answer.status_code == status
    assert text in answer.json()["error"]
