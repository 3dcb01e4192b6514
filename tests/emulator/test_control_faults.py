"""Faults made to order: for whom, how long, and in which way an answer is spoiled."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from emulator import Application, Fault
from emulator.demo import CLIENT_ID, SECRET
from emulator.faults import MOST
from tests.emulator.driver import RELAY, bearer

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"
TOKEN = "/organizations/oauth2/v2.0/token"
OTHER = "00000000-0000-4000-8000-000000000abc"


@pytest.mark.parametrize("sent", ["form", "basic", "bearer"])
async def test_a_fault_can_be_for_one_application(cloud: Cloud, client: httpx.AsyncClient, sent: str) -> None:
    cloud.directory.put_application(Application(client_id=OTHER, name="Other", secrets=["s"]))
    cloud.add_fault(Fault(app=CLIENT_ID.upper(), status=503))

    async def ask(app: str, secret: str) -> int:
        if sent == "bearer":
            headers = bearer(cloud)
            return (await client.get(f"/v1.0/users/{ADA}", headers=headers if app == CLIENT_ID else {})).status_code
        form = {"grant_type": "refresh_token", "refresh_token": cloud.directory.grant(RELAY, app, {"User.Read"})}
        if sent == "basic":
            return (await client.post(TOKEN, data=form, auth=(app, secret))).status_code
        return (await client.post(TOKEN, data={**form, "client_id": app, "client_secret": secret})).status_code

    concerned, not_concerned = await ask(CLIENT_ID, SECRET), await ask(OTHER, "s")

    assert concerned == 503
    assert not_concerned == (401 if sent == "bearer" else 200)


async def test_a_fault_can_be_for_one_method(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.add_fault(Fault(path="/v1.0", method="POST", status=502))

    posted = await client.post("/v1.0/$batch", json={"requests": []}, headers=bearer(cloud))
    got = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))

    assert (posted.status_code, got.status_code) == (502, 200)


async def test_a_fault_ends_when_its_time_is_over(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await client.post("/_emulator/faults", json={"path": "/v1.0", "status": 503, "for_s": 600})
    (fault,) = cloud.faults.all()
    during = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))
    lasts_s = (fault.until or 0) - time.time()
    fault.until = time.time()

    after = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))

    assert (during.status_code, after.status_code) == (503, 200)
    assert 0 < lasts_s <= 600
    assert (await client.get("/_emulator/faults")).json() == {"faults": []}


@pytest.mark.parametrize(
    ("damage", "readable", "kind"),
    [
        ("truncated", False, "application/json"), ("malformed", False, "application/json"), ("not_json", False, "text/html"),
        ("no_value", True, "application/json"), ("wrong_type", True, "text/html"), ("empty", False, "application/json"),
    ],
)  # fmt: skip
async def test_bodies_are_damaged_in_every_way(
    cloud: Cloud, client: httpx.AsyncClient, damage: str, readable: bool, kind: str
) -> None:
    await client.post("/_emulator/faults", json={"path": "/v1.0/users", "damage": damage})

    answer = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    try:
        json.loads(answer.content)
    except ValueError:
        assert not readable
    else:
        assert readable


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_gets_none_of_a_fault(
    cloud: Cloud, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    cloud.add_fault(Fault(path="/v1.0/users", status=status, body="{}"))

    answer = await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))

    assert (answer.status_code, answer.content) == (status, b"")
    assert "content-type" not in answer.headers
    assert caplog.records == []


async def test_chance_is_the_same_for_the_same_seed(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.add_fault(Fault(path="/v1.0/users", status=500, probability=0.5))

    statuses = [(await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))).status_code for _ in range(12)]

    assert statuses == [500, 200, 200, 500, 500, 500, 200, 200, 500, 500, 200, 500]  # seed 1


async def test_one_fault_is_removed_and_the_others_stay(client: httpx.AsyncClient) -> None:
    ids = [(await client.post("/_emulator/faults", json={"status": 500})).json()["id"] for _ in range(3)]

    await client.delete(f"/_emulator/faults/{ids[1]}")

    left = (await client.get("/_emulator/faults")).json()["faults"]
    assert [each["id"] for each in left] == [ids[0], ids[2]]


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"status": 99}, "status"), ({"probability": 1.5}, "probability"), ({"damage": "burnt"}, "damage"),
        ({"latency_ms": 1e9}, "latency_ms"), ({"for_s": 0}, "for_s"), ({"count": 0}, "count"), ({"colour": "red"}, "colour"),
        ({"headers": {"X": "a\r\nSet-Cookie: b"}}, "headers"), ({"headers": {"a b": "c"}}, "headers"),
        ({"path": "x" * 3000}, "path"),
    ],
)  # fmt: skip
async def test_faults_that_cannot_be_are_refused_by_field(
    client: httpx.AsyncClient, fault: dict[str, object], field: str
) -> None:
    answer = await client.post("/_emulator/faults", json=fault)

    assert answer.status_code == 400
    assert field in answer.json()["field"]


def test_there_are_not_too_many_faults(cloud: Cloud) -> None:
    for _ in range(MOST):
        cloud.add_fault(Fault(path="/none"))

    with pytest.raises(ValueError, match="remove some"):
        cloud.add_fault(Fault(path="/none"))
