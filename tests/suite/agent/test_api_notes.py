"""The local API of notes over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from suite.agent.api.openapi import openapi
from suite.agent.board import Board
from suite.agent.store.database import Database
from suite.agent.users.reading import Colleague
from suite.names import key_of
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.test_api import ADA, BEN, TEAMS, Scene, served
from tests.suite.agent.test_store import fill
from tests.support.waiting import eventually

SCRIPT = "<script>alert('note')</script>\n</textarea>"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with contextlib.closing(Database(tmp_path / "agent.db")) as opened:
        yield opened


@pytest.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    async with served(database=database) as found:
        yield found
        await found.notes.close()


async def put(scene: Scene, user: str, text: str, **more: Any) -> Any:
    answer = await scene.client.put(f"/v1/users/{user}/note", json={"text": text, "author": "Eva", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def valid(schema: str, answer: object) -> None:
    """Hold an answer against the description."""
    jsonschema_rs.Draft202012Validator({**openapi(""), "$ref": f"#/components/schemas/{schema}"}).validate(answer)


async def test_a_note_is_written_read_overwritten_and_cleared_and_all_of_it_is_in_the_history(scene: Scene):
    written = await put(scene, "1001", "  At the dentist\r\nuntil three ", expires_s=7200)
    assert (written["user"], written["note"]["text"]) == ("ada", "At the dentist\nuntil three")
    assert written["note"]["expires_at"] > written["note"]["written_at"]
    assert (await scene.client.get("/v1/users/Ada@X.org/note")).json() == written
    assert (await put(scene, "ada", "Back"))["note"]["expires_at"] is None
    await put(scene, "ben", "Ben's")
    everything = (await scene.client.get("/v1/notes")).json()
    assert {one["user"]: one["note"]["text"] for one in everything["notes"]} == {"ada": "Back", "ben": "Ben's"}
    cleared = await scene.client.delete("/v1/users/ada/note?author=Leo")
    assert cleared.json() == {"user": "ada", "note": None}
    assert (await scene.client.delete("/v1/users/ada/note")).json() == {"user": "ada", "note": None}
    history = (await scene.client.get("/v1/users/ada/notes")).json()
    assert [(one["text"], one["author"], one["cleared"], one["in_force"]) for one in history["notes"]] == [
        ("", "Leo", True, False),
        ("Back", "Eva", False, False),
        ("At the dentist\nuntil three", "Eva", False, False),
    ]
    for schema, answer in (("UserNote", written), ("Notes", everything), ("NoteHistory", history)):
        valid(schema, answer)
    assert (await scene.client.get("/v1/users/ben/notes")).json()["notes"][0]["in_force"]


async def test_consoles_are_sent_notes_live_at_the_beginning_and_when_they_resume(scene: Scene):
    await put(scene, "ada", "before")
    console, only_ben = Console(scene.url), Console(scene.url)
    async with listening(console), listening(only_ben, "?user=ben"):
        await eventually(lambda: "complete" in console.seen and "complete" in only_ben.seen)
        assert console.notes.keys() == {"ada"}
        await put(scene, "ben", SCRIPT)
        await put(scene, "ada", "live")
        await eventually(lambda: (console.note_of("ada"), console.note_of("ben")) == ("live", SCRIPT))
        await eventually(lambda: only_ben.notes.keys() == {"ben"})
    await scene.client.delete("/v1/users/ada/note")
    scene.says("ada", "busy")
    await put(scene, "ben", "missed")
    console.seen.clear()
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
    assert sorted(console.seen) == ["complete", "note", "note", "sources", "state"]
    assert console.notes.keys() == {"ben"}
    assert console.note_of("ben") == "missed"


async def test_a_note_follows_its_colleague_onto_the_board_and_off_it(scene: Scene):
    await put(scene, "ben", "about Ben")
    console = Console(scene.url)
    async with listening(console):
        await eventually(lambda: console.note_of("ben") == "about Ben")
        scene.board.set_colleagues([ADA])
        await eventually(lambda: "ben" not in console.users)
        assert console.notes == {}
        everything = (await scene.client.get("/v1/notes")).json()["notes"]
        assert [(one["user"], one["note"]["text"]) for one in everything] == [("ben@x.org", "about Ben")]
        assert (await scene.client.get("/v1/users/ben@x.org/note")).json()["note"]["text"] == "about Ben"
        scene.board.set_colleagues([ADA, BEN])
        await eventually(lambda: console.note_of("ben") == "about Ben")
        renamed = Colleague(login="ben", upn="benjamin@x.org")
        scene.board.set_colleagues([ADA, renamed])
        await eventually(lambda: console.note_of("ben") is None)
    elsewhere = Console(scene.url)
    async with listening(elsewhere, "?user=ben@x.org"):  # somebody who is not in the file
        await eventually(lambda: elsewhere.note_of("ben@x.org") == "about Ben")


async def test_a_script_stays_text_and_the_answer_is_no_page(scene: Scene):
    await put(scene, "ada", SCRIPT, author="<b>Eva</b>")
    answer = await scene.client.get("/v1/users/ada/note")
    assert (answer.json()["note"]["text"], answer.json()["note"]["author"]) == (SCRIPT, "<b>Eva</b>")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"text": "x"}, {"author": "Eva"}, {"text": "x", "author": ""}, {"text": "x", "author": "\x00"}, {"text": "", "author": "Eva"},
        {"text": "\x00\n", "author": "Eva"}, {"text": "x" * 501, "author": "Eva"}, {"text": "x", "author": "x" * 101}, {"text": 5, "author": "Eva"},
        {"text": "x", "author": None}, {"text": "x", "author": "Eva", "expires_s": 0}, {"text": "x", "author": "Eva", "expires_s": 1.5},
        {"text": "x", "author": "Eva", "expires_s": 10**9}, {"text": "x", "author": "Eva", "colour": "red"},
    ],
)  # fmt: skip
async def test_a_note_that_is_none_is_refused_and_changes_nothing(scene: Scene, body: dict):
    answer = await scene.client.put("/v1/users/ada/note", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_valid")
    assert not scene.notes.knows(key_of("ada@x.org"))


async def test_what_is_asked_of_nobody_or_is_too_large_is_refused(scene: Scene):
    for method, path in (("GET", "note"), ("DELETE", "note"), ("GET", "notes")):
        answer = await scene.client.request(method, f"/v1/users/nobody/{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_user")
    body = {"text": "x", "author": "Eva"}
    assert (await scene.client.put("/v1/users/nobody/note", json=body)).status_code == 404
    assert (await scene.client.put("/v1/users/ada/note", json={**body, "text": "x" * 2_000_000})).status_code == 413
    form = {"Content-Type": "text/plain"}
    assert (await scene.client.put("/v1/users/ada/note", content=b"{}", headers=form)).status_code == 415
    assert (await scene.client.delete(f"/v1/users/ada/note?author={'x' * 101}")).status_code == 400
    foreign = {"Origin": "https://evil.example"}
    assert (await scene.client.put("/v1/users/ada/note", json=body, headers=foreign)).status_code == 403
    named = {"Origin": "https://console.example", "Access-Control-Request-Method": "PUT"}
    allowed = (await scene.client.options("/v1/users/ada/note", headers=named)).headers["access-control-allow-methods"]
    assert {"PUT", "DELETE"} <= set(allowed.split(", "))


async def test_a_full_disk_is_told_to_the_writer_and_to_consoles(scene: Scene, database: Database):
    fill(database)
    console = Console(scene.url)
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
        assert console.notes_state["store"] == {"state": "up_and_running", "detail": ""}
        answers = [
            await scene.client.put(f"/v1/users/{user}/note", json={"text": str(number) * 200, "author": "Eva"})
            for number in range(1, 30)
            for user in ("ada", "ben")
        ]
        refused = next(answer for answer in answers if answer.status_code != 200)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "store_full")
        assert "disk is full" in refused.json()["error"]["message"]
        await eventually(lambda: console.notes_state["store"]["state"] == "connection_error")
        database.rows("PRAGMA max_page_count = 100000")
        await put(scene, "ada", "room again")
        await eventually(lambda: console.notes_state["store"]["state"] == "up_and_running")
        assert console.note_of("ada") == "room again"


async def test_without_a_store_a_note_is_refused_and_told():
    async with served() as scene:
        answer = await scene.client.put("/v1/users/ada/note", json={"text": "x", "author": "Eva"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert (await scene.client.get("/v1/sources")).json()["notes"]["store"]["state"] == "connection_error"


async def test_notes_that_are_written_at_once_all_get_an_answer_and_the_last_one_is_everybodys(scene: Scene):
    console = Console(scene.url)
    async with listening(console):
        await asyncio.gather(*(put(scene, "ada", f"text {number}") for number in range(30)))
        now = (await scene.client.get("/v1/users/ada/note")).json()["note"]["text"]
        await eventually(lambda: console.note_of("ada") == now)
    history = (await scene.client.get("/v1/users/ada/notes")).json()["notes"]
    assert {one["text"] for one in history} == {f"text {number}" for number in range(30)}


def test_colleagues_who_share_a_upn_share_the_note():
    board = Board(TEAMS)
    board.set_colleagues([Colleague(login="a", upn="x@x.org"), Colleague(login="b", upn="X@x.org")])
    assert list(board.about(key_of("x@x.org"))) == ["a", "b"]
    board.set_colleagues([Colleague(login="b", upn="x@x.org")])
    assert list(board.about(key_of("x@x.org"))) == ["b"]
    board.set_colleagues([Colleague(login="b")])
    assert (list(board.about(key_of("x@x.org"))), list(board.about(key_of("b")))) == ([], ["b"])
