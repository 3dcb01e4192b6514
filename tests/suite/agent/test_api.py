"""The local API over a real socket: what it says, what it refuses, and what a peer may make it keep."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema_rs
import pytest
from openapi_spec_validator import validate

from suite.agent.added import AddedColleagues
from suite.agent.api import serving as serving_module
from suite.agent.api.app import LocalApi
from suite.agent.api.bodies import MOST_BYTES, MOST_STATES
from suite.agent.api.guard import Guard
from suite.agent.api.openapi import openapi
from suite.agent.api.serving import BoundedProtocol, listen, serving
from suite.agent.api.stream import EventStream
from suite.agent.board import Board
from suite.agent.core.values import RichState, RichStatement, SourceName
from suite.agent.notekeeping.clock import NoteClock
from suite.agent.notekeeping.keeper import NoteKeeper
from suite.agent.sources.local import LocalStates
from suite.agent.sources.source import Connector, ConnectorState
from suite.agent.store.colleagues import ColleagueStore
from suite.agent.store.database import Database
from suite.agent.store.notes import NoteStore
from suite.agent.users.reading import Colleague
from suite.names import key_of
from tests.suite.agent.consoles import Console, listening
from tests.support.waiting import eventually

ADA = Colleague(login="Ada", upn="ada@x.org", sip_uri="ada@pbx.org", extension="1001", voicemail="9001")
BEN = Colleague(login="ben", upn="ben@x.org")
A, B = key_of("ada"), key_of("ben")
TEAMS = SourceName.TEAMS


@dataclass
class Scene:
    """A served API, and a client of it."""

    board: Board
    api: LocalApi
    url: str
    port: int
    client: httpx.AsyncClient
    connector: ConnectorState
    notes: NoteKeeper

    def says(self, user: str, state: str) -> None:
        self.board.state_rich(key_of(user), TEAMS, RichStatement(state=RichState(state)))

    async def tells(self, path: str = "telephony", **body: Any) -> httpx.Response:
        return await self.client.post(f"/v1/{path}", json=body)


@contextlib.asynccontextmanager
async def served(consoles: int = 100, send_buffer: int = 0, database: Database | None = None) -> AsyncIterator[Scene]:
    board = Board(TEAMS)
    board.set_colleagues([ADA, BEN])
    notes = NoteKeeper(board, NoteStore(database) if database is not None else None, NoteClock())
    await notes.load()
    added = AddedColleagues(board, ColleagueStore(database) if database is not None else None)
    await added.load()
    bound = listen("127.0.0.1", 0)
    if send_buffer:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    port = bound.getsockname()[1]
    api = LocalApi(
        board=board,
        local=LocalStates(board, asyncio.get_running_loop().time),
        notes=notes,
        added=added,
        connectors=lambda: {TEAMS: scene.connector},
        version="1.2.3",
        consoles=consoles,
    )
    url = f"http://127.0.0.1:{port}"
    async with (
        serving(Guard(api.app(), port, ["https://console.example"]), bound, consoles),
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        scene = Scene(board, api, url, port, client, ConnectorState(Connector.UP_AND_RUNNING), notes)
        try:
            yield scene
        finally:
            api.stopping.set()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with served() as found:
        yield found


# What it says


async def test_a_colleague_is_told_with_the_source_that_won_and_why(scene: Scene):
    scene.says("ada", "busy")
    found = (await scene.client.get("/v1/users/1001")).json()
    assert (found["user"], found["upn"], found["voicemail"]) == ("ada", "ada@x.org", "9001")
    assert (found["status"], found["rule"], found["rich"]) == ("busy", "rich", {"state": "busy", "source": "MSTeams"})
    assert found["sources"]["MSTeams"]["state"] == "busy"
    everybody = (await scene.client.get("/v1/users")).json()["users"]
    assert [one["user"] for one in everybody] == ["ada", "ben"]
    assert everybody[1]["reason"] == "no_source"
    missing = await scene.client.get("/v1/users/nobody")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_user")


async def test_a_source_that_changes_while_another_change_is_written_is_told(scene: Scene):
    states = iter([Connector.CONNECTING, Connector.CONNECTION_ERROR, Connector.UP_AND_RUNNING])
    written: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        written.append(message.get("body", b""))
        if b"event: sources" in written[-1] and (following := next(states, None)):
            scene.connector = ConnectorState(following)
            scene.board.wake_all()

    stream = EventStream(scene.board, scene.api._wire, scene.api._sources_json, [], "", scene.api.stopping)
    streaming = asyncio.create_task(stream({}, asyncio.Event().wait, send))  # type: ignore[arg-type]
    await eventually(lambda: b"up_and_running" in b"".join(written[-2:]) and len(written) > 5, 5)
    streaming.cancel()


async def test_a_console_is_sent_everybody_then_changes_and_resumes_where_it_was(scene: Scene):
    console = Console(scene.url)
    scene.says("ada", "busy")
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
        assert console.seen == ["everything", "sources", "state", "state", "complete"]
        assert (console.status_of(A), console.status_of(B)) == ("busy", "no_source")
        scene.says("ben", "away")
        await eventually(lambda: console.status_of(B) == "away")
        scene.connector = ConnectorState(Connector.CONNECTION_ERROR, "gone")
        scene.board.wake_all()
        await eventually(lambda: console.sources["MSTeams"] == {"state": "connection_error", "detail": "gone"})
    scene.says("ada", "available")
    scene.board.set_colleagues([ADA])
    console.seen.clear()
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
    assert sorted(console.seen) == ["complete", "removed", "sources", "state"]
    assert (console.status_of(A), console.status_of(B)) == ("available", None)


async def test_a_console_of_another_run_or_of_other_colleagues_is_sent_everything(scene: Scene):
    console = Console(scene.url)
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
    for event_id, query in (
        ("other-5", ""),
        ("nonsense", ""),
        (f"{scene.board.epoch}-{'9' * 30}", ""),
        (console.last_event_id, "?user=ben"),
    ):
        again = Console(scene.url)
        again.last_event_id = event_id
        async with listening(again, query):
            await eventually(lambda again=again: "complete" in again.seen)
        assert again.seen[0] == "everything"


async def test_a_console_may_ask_for_some_and_for_people_whom_the_file_has_not(scene: Scene):
    console = Console(scene.url)
    async with listening(console, "?user=1001&user=Eve@x.org"):
        await eventually(lambda: "complete" in console.seen)
        assert sorted(console.users) == ["ada", "eve@x.org"]
        scene.says("ben", "busy")
        scene.says("eve@x.org", "busy")
        await eventually(lambda: console.status_of("eve@x.org") == "busy")
        assert sorted(console.users) == ["ada", "eve@x.org"]
    await eventually(lambda: sorted(scene.board.entries) == ["ada", "ben"])
    assert scene.board.listeners == 0


async def test_states_of_phones_and_rich_presence_are_taken_in_order(scene: Scene):
    busy = {"user": "1001", "state": "busy", "sequence": 5}
    taken = await scene.tells(connector="pbx", states=[busy, {**busy, "sequence": 4}, {**busy, "user": "77"}])
    assert taken.json() == {"accepted": 1, "outdated": ["1001"], "unknown_users": ["77"]}
    assert scene.board.entries[A].shown.status == "on_the_phone"
    await scene.tells("presence", states=[{"user": "ben", "state": "away", "sequence": 1, "expires_s": 5}])
    assert scene.board.entries[B].shown.rich_source is SourceName.LOCAL


async def test_every_answer_is_as_the_description_says_and_the_description_has_every_route(scene: Scene):
    description = (await scene.client.get("/openapi.json")).json()
    assert description == json.loads(json.dumps(openapi("1.2.3")))
    validate(description)
    routes = {
        (route.path.replace(":path", ""), method)
        for route in scene.api.app().routes
        if route.include_in_schema  # the files of the page are no part of the API
        for method in route.methods
        if method != "HEAD"
    }
    assert routes == {(path, method.upper()) for path, methods in description["paths"].items() for method in methods}
    scene.says("ada", "busy")
    for path, schema in (
        ("/v1/users/ada", "User"),
        ("/v1/users", "Users"),
        ("/v1/sources", "Sources"),
        ("/v1/session", "Session"),
        ("/v1/notes", "Notes"),
        ("/v1/users/ada/note", "UserNote"),
        ("/v1/users/ada/notes", "NoteHistory"),
        ("/v1/users/x", "Error"),
    ):
        answer = (await scene.client.get(path)).json()
        whole = {**description, "$ref": f"#/components/schemas/{schema}"}
        jsonschema_rs.Draft202012Validator(whole).validate(answer)
        assert answer.keys() == description["components"]["schemas"][schema]["properties"].keys()


# What it refuses


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),  # DNS rebinding
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://console.example.evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),  # <script src> of another page
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://console.example"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
async def test_only_programs_of_this_machine_and_named_pages_are_answered(scene: Scene, headers: dict, status: int):
    answer = await scene.client.get("/v1/users", headers=headers)
    assert answer.status_code == status
    assert ("ada" in answer.text) == (status == 200)
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (headers.get("Origin") if status == 200 else None)


async def test_links_lead_to_the_page_and_to_nothing_else(scene: Scene):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await scene.client.get("/", headers=followed)).status_code == 200
    assert (await scene.client.get("/v1/users", headers=followed)).status_code == 403
    assert (await scene.client.get("/", headers={**followed, "Sec-Fetch-Dest": "iframe"})).status_code == 403
    assert (await scene.client.get("/", headers={**followed, "Host": "evil.example"})).status_code == 403


async def test_a_page_of_the_agents_own_address_and_a_preflight_of_a_named_page_are_answered(scene: Scene):
    for name in ("localhost", "127.0.0.1"):
        own = f"{name}:{scene.port}"
        answer = await scene.client.get("/v1/sources", headers={"Host": own, "Origin": f"http://{own}"})
        assert answer.status_code == 200
    asked = {"Origin": "https://console.example", "Access-Control-Request-Method": "POST"}
    preflight = await scene.client.options("/v1/telephony", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-private-network"]) == (204, "true")
    refused = await scene.client.options("/v1/telephony", headers={**asked, "Origin": "https://evil.example"})
    assert refused.status_code == 403


STATE = {"user": "ada", "state": "busy", "sequence": 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"states": {}},
        {"states": [1]},
        {"states": [STATE] * (MOST_STATES + 1)},
        {"states": [STATE], "connector": ""},
        {"states": [STATE], "connector": "x" * 65},
        {"states": [STATE], "more": 1},
        *({"states": [{**STATE, field: value}]} for field, value in (
            ("user", ""), ("user", 5), ("user", "x" * 600), ("state", "asleep"), ("state", None), ("state", []), ("sequence", -1),
            ("sequence", 1.5), ("sequence", True), ("sequence", 2**60), ("expires_s", 0), ("expires_s", 10**9), ("more", 1),
        )),
    ],
)  # fmt: skip
async def test_a_body_that_is_wrong_changes_nothing(scene: Scene, body: dict):
    answer = await scene.tells(**body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_valid")
    good = await scene.tells(states=[STATE])
    assert good.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),  # what a form of any web page can send
        (b"nonsense", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b" " * (MOST_BYTES + 1), "application/json", 413),
    ],
)
async def test_a_body_that_is_none_is_refused(scene: Scene, content: bytes, kind: str, status: int):
    answer = await scene.client.post("/v1/telephony", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status


async def test_a_body_of_unsaid_length_is_not_kept_beyond_its_limit(scene: Scene):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10 * MOST_BYTES // 65_536):
            yield b" " * 65_536

    with contextlib.suppress(httpx.WriteError):  # the connection may be closed before all was sent
        answer = await scene.client.post(
            "/v1/telephony", content=pieces(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413


async def test_names_that_cannot_be_anybodys_are_refused(scene: Scene):
    for query in ("user=", "user=%00", "user=" + "x" * 600):
        assert (await scene.client.get(f"/v1/events?{query}")).status_code == 400
    for answer, code in (
        (await scene.client.get("/v1/nothing"), "not_found"),
        (await scene.client.put("/v1/users"), "method_not_allowed"),
    ):
        assert answer.json()["error"]["code"] == code
        assert "GET /openapi.json" in answer.json()["error"]["message"]


# What it keeps


async def test_more_consoles_than_are_allowed_are_told_so():
    async with served(consoles=1) as scene:
        first, second = Console(scene.url), Console(scene.url)
        async with listening(first):
            await eventually(lambda: "complete" in first.seen)
            await second.listen()
            assert second.status == 503
        third = Console(scene.url)
        await eventually(lambda: scene.board.listeners == 0)
        async with listening(third):
            await eventually(lambda: "complete" in third.seen)


async def closed_by_the_agent(scene: Scene, *sent: bytes) -> bytes:
    """What comes until the agent closes the connection; each part is sent once something came after the one before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
    got = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            for part in sent:
                writer.write(part)
                if part is not sent[-1]:
                    got += await reader.read(65_536)
            got += await reader.read()
    writer.close()
    return got


async def test_half_a_request_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.1)
    assert await closed_by_the_agent(scene, b"") == b""
    assert await closed_by_the_agent(scene, b"GET /v1/users HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
    whole = f"GET /v1/sources HTTP/1.1\r\nHost: localhost:{scene.port}\r\n\r\n".encode()
    assert b" 200 " in await closed_by_the_agent(scene, whole, b"GET /v1/users HTTP/1.1\r\n")
    endless = await closed_by_the_agent(scene, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
    assert endless.startswith(b"HTTP/1.1 4") or endless == b""


async def test_connections_without_end_are_closed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serving_module, "MORE_CONNECTIONS", 3)
    async with served(consoles=1) as scene:
        opened = [socket.create_connection(("127.0.0.1", scene.port)) for _ in range(8)]
        for one in opened:
            one.setblocking(False)

        def is_closed(one: socket.socket) -> bool:
            try:
                return one.recv(1) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        await eventually(lambda: sum(map(is_closed, opened)) == 4)
        for one in opened:
            one.close()


async def test_a_console_that_reads_nothing_is_closed_and_costs_nobody_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(BoundedProtocol, "read_s", 0.3)
    async with served(send_buffer=4096) as scene:
        scene.board.set_colleagues(Colleague(login=f"u{number}", upn=f"u{number}@x.org") for number in range(2000))
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", scene.port))
            stuck.sendall(f"GET /v1/events HTTP/1.1\r\nHost: localhost:{scene.port}\r\n\r\n".encode())
            await eventually(lambda: scene.board.listeners == 1)
            console = Console(scene.url)
            async with listening(console, "?user=u1"):
                await eventually(lambda: "complete" in console.seen)
                scene.says("u1", "busy")
                await eventually(lambda: console.status_of("u1") == "busy")
                await eventually(lambda: scene.board.listeners == 1)
                assert not console.is_over


async def test_an_agent_on_another_address_of_loopback_is_reached_by_that_address():
    served: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def sent(message: Any) -> None:
        served.append(message.get("status", 0))

    guard = Guard(app, 8790, [], host="127.0.0.2")
    for given in ("127.0.0.2", "localhost", "127.0.0.3", "evil.example"):
        head = [(b"host", f"{given}:8790".encode()), (b"origin", f"http://{given}:8790".encode())]
        await guard({"type": "http", "method": "GET", "path": "/", "headers": head}, None, sent)  # type: ignore[arg-type]
    assert [status for status in served if status] == [200, 200, 403, 403]
