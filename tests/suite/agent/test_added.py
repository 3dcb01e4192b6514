"""Colleagues that programs add by the local API: over a real socket, and over a restart."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from suite.agent import added
from suite.agent.api.colleagues import MOST_AT_ONCE
from suite.agent.api.openapi import openapi
from suite.agent.store.database import Database
from suite.agent.users.reading import Colleague
from suite.names import key_of
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.test_api import ADA, BEN, Scene, served
from tests.suite.agent.test_store import fill
from tests.support.waiting import eventually

EVE = {"login": "Eve", "upn": "eve@x.org", "sip_uri": "sip:eve@pbx.org", "extension": "10 03"}
GUEST = {"upn": "guest@x.org"}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with contextlib.closing(Database(tmp_path / "agent.db")) as opened:
        yield opened


@pytest.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    async with served(database=database) as found:
        yield found


async def add(scene: Scene, *users: dict[str, Any]) -> httpx.Response:
    return await scene.client.post("/v1/users", json={"users": users})


def valid(schema: str, value: object) -> None:
    """Hold a value against the description."""
    jsonschema_rs.Draft202012Validator({**openapi(""), "$ref": f"#/components/schemas/{schema}"}).validate(value)


async def test_added_colleagues_are_on_the_board_live_and_are_removed_again(scene: Scene):
    asked: list[set[str]] = []
    scene.board.on_watched = lambda: asked.append({entry.colleague.upn for entry in scene.board.entries.values()})
    console = Console(scene.url)
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
        answer = await add(scene, EVE, GUEST)
        assert answer.json() == {"added": 2}
        assert asked == [{"ada@x.org", "ben@x.org", "eve@x.org", "guest@x.org"}]
        await eventually(lambda: console.users.keys() == {"ada", "ben", "eve", "guest@x.org"})
        for name in ("eve", "EVE@x.org", "eve@pbx.org", "1003"):
            assert (await scene.client.get(f"/v1/users/{name}")).json()["login"] == "Eve"
        scene.says("eve", "busy")
        await add(scene, {**EVE, "extension": "1004"})  # changed, and what is known of her stays
        await eventually(lambda: (console.users["eve"]["extension"], console.status_of("eve")) == ("1004", "busy"))
        removed = await scene.client.delete("/v1/users/Eve")
        assert (removed.status_code, removed.json()) == (200, {"user": "eve"})
        await eventually(lambda: "eve" not in console.users)
    for schema, value in (("NewUsers", {"users": [EVE, GUEST]}), ("Added", answer.json()), ("Removed", removed.json())):
        valid(schema, value)


async def test_added_colleagues_are_there_after_a_restart_and_the_file_goes_before_them(tmp_path: Path):
    for _ in range(2):
        with contextlib.closing(Database(tmp_path / "agent.db")) as database:
            async with served(database=database) as scene:
                await add(scene, EVE, {"login": "ben", "upn": "other@x.org"})
                assert (await scene.client.delete("/v1/users/eve")).status_code == 200
                await add(scene, EVE)
    with contextlib.closing(Database(tmp_path / "agent.db")) as database:
        async with served(database=database) as scene:
            assert scene.board.entries.keys() == {key_of(name) for name in ("ada", "ben", "eve")}
            assert scene.board.entries[key_of("ben")].colleague == BEN
            scene.board.set_colleagues([ADA])
            assert scene.board.entries[key_of("ben")].colleague == Colleague(login="ben", upn="other@x.org")


async def test_only_who_was_added_is_removed(scene: Scene):
    answer = await scene.client.delete("/v1/users/ada")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_added")
    answer = await scene.client.delete("/v1/users/nobody")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_user")
    assert key_of("ada") in scene.board.entries


@pytest.mark.parametrize(
    ("users", "says"),
    [
        ([EVE, {"extension": "1"}], "users[1] cannot be used. It has neither a login nor a UPN."),
        ([{"upn": "eve"}], "users[0] cannot be used. The UPN must be name@domain, or an object id."),
        ([{"login": "e" * 1000}], "users[0] cannot be used. A name has"),
        ([{"login": "e\nve"}], "users[0] cannot be used. A name has"),
        ([{"login": "eve", "extension": "4.9E+11"}], "users[0] cannot be used. The extension must have digits only"),
        ([{"login": 7}], "users[0] must have texts only."),
        (["eve"], "users[0] must be an object."),
        ([{"login": "eve", "phone": "1"}], "users[0] has 'phone', which is not known."),
        ([], "users must be a list of 1 to 1,000."),
        ({"login": "eve"}, "users must be a list of 1 to 1,000."),
        ([EVE] * (MOST_AT_ONCE + 1), "users must be a list of 1 to 1,000."),
    ],
)
async def test_of_a_body_with_a_fault_nothing_counts(scene: Scene, users: Any, says: str):
    answer = await scene.client.post("/v1/users", json={"users": users})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(says)
    assert len(scene.board) == 2


async def test_more_than_there_is_room_for_are_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(added, "MOST_ADDED", 1)
    answer = await add(scene, EVE, GUEST)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "too_many_users")
    monkeypatch.setattr(added, "MOST_ADDED", 2)
    monkeypatch.setattr(added, "MOST_COLLEAGUES", 3)
    assert (await add(scene, EVE, GUEST)).status_code == 507
    assert (await add(scene, EVE)).status_code == 200
    assert (await add(scene, EVE)).status_code == 200  # again: she needs no more room


async def test_who_could_not_be_kept_is_not_added(scene: Scene, database: Database):
    fill(database)
    answer = await add(scene, *({"login": f"{number}{'x' * 400}"} for number in range(500)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "store_full")
    assert len(scene.board) == 2


async def test_without_a_store_nobody_is_added():
    async with served() as scene:
        answer = await add(scene, EVE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert len(scene.board) == 2
