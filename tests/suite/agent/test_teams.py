"""The Teams source against a scripted relay: what goes on the board, how far it is trusted, and what a restart keeps."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite.agent.board import Board
from suite.agent.core.values import Aggregation, SourceName
from suite.agent.settings.groups.teams import TeamsSettings
from suite.agent.sources import teams
from suite.agent.sources.source import Connector, ConnectorState
from suite.agent.sources.teams import TeamsSource
from suite.agent.store.answers import AnswerStore, owner_of
from suite.agent.store.database import Database
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from suite.names import key_of
from suite.values import Status
from tests.suite.scripted_relay import OpenedStream, ScriptedRelay, resolution
from tests.support.waiting import eventually

KEY = "psk_1f2e3d4c_secret"
ADA, BEN = Colleague(login="ada", upn="Ada@x.org"), Colleague(login="ben", upn="ben@x.org")
Response = api.WatchPresenceResponse


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teams, "TICK_S", 0.02)


@pytest.fixture
def board() -> Board:
    made = Board(SourceName.TEAMS)
    made.set_colleagues([ADA, BEN, Colleague(login="phone only", extension="1")])
    return made


@pytest.fixture
def settings(relay: ScriptedRelay, ca_pem: bytes) -> TeamsSettings:
    return TeamsSettings(enabled=True, address=f"localhost:{relay.port}", key=KEY, ca_pem=ca_pem, proxy="")


@contextlib.asynccontextmanager
async def running(
    settings: TeamsSettings, board: Board, store: AnswerStore | None = None
) -> AsyncIterator[TeamsSource]:
    source = TeamsSource(settings, board, store, backoff=Backoff(lambda _low, _high: 0.01))
    board.on_watched = source.watch
    task = asyncio.create_task(source.run())
    try:
        yield source
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def tell(stream: OpenedStream, *, complete: bool = True, token: str = "", **users: tuple[str, str | int]) -> None:
    """login=(user id, console status or the reason why there is none)."""
    stream.send(
        batch=Response.Batch(
            resolved=[resolution(f"{login}@x.org", user_id) for login, (user_id, _) in users.items()],
            answers=[
                pb.UserAnswer(user_id=user_id, unknown_reason=to)
                if isinstance(to, int)
                else pb.UserAnswer(
                    user_id=user_id,
                    presence=pb.UserPresence(console_status=pb.ConsoleStatus.Value(f"CONSOLE_STATUS_{to}")),
                )
                for user_id, to in users.values()
            ],
            snapshot_complete=complete,
        ),
        resume_token=token,
    )


def shown(board: Board, login: str) -> Aggregation:
    return board.entries[key_of(login)].shown


def shows(board: Board, login: str) -> str:
    """The status, `?` behind it when it is uncertain, the reason where there is no status."""
    found = shown(board, login)
    return found.reason or f"{found.status.value}{'?' if found.is_uncertain else ''}"


async def test_answers_and_reasons_go_on_the_board_as_they_come(settings, board, relay):
    async with running(settings, board) as source:
        stream = await relay.stream()
        assert sorted(stream.asked) == ["Ada@x.org", "ben@x.org"]
        assert (shows(board, "ada"), shows(board, "phone only")) == ("pending", "no_source")
        stream.started()
        tell(stream, complete=False, ada=("A", "IN_A_CALL"))
        await eventually(lambda: shows(board, "ada") == "in_a_call?")  # nothing is certain before all is told
        await eventually(lambda: source.connector.state is Connector.UP_AND_RUNNING)
        tell(stream, ben=("B", pb.UNKNOWN_REASON_NOT_REPORTED))
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("in_a_call", "not_reported"))
        stream.batch({"ben@x.org": pb.UNKNOWN_REASON_NOT_FOUND})
        tell(stream, ada=("A", "AWAY"))
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("away", "not_found"))
        stream.send(tenant_status=Response.TenantStatus(unknown_reason=pb.UNKNOWN_REASON_STALE))
        await eventually(lambda: shows(board, "ada") == "away?")
    assert shows(board, "ada") == "no_source"


@pytest.mark.parametrize("status", [status for status in Status if status.value > 0])
async def test_an_organisation_that_the_relay_cannot_read_is_no_connection_that_is_up_and_says_what_to_do(
    settings, board, relay, status
):
    async with running(settings, board) as source:
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "AWAY"))
        stream.send(tenant_status=Response.TenantStatus(unknown_reason=status.value))
        await eventually(lambda: shows(board, "ada") == "away?")
        assert source.connector.state is not Connector.UP_AND_RUNNING
        assert source.connector.detail
        stream.end()
        stream = await relay.stream()  # it says so again
        stream.started(Response.OUTCOME_RESUMED)
        stream.send(tenant_status=Response.TenantStatus())
        await eventually(lambda: source.connector == ConnectorState(Connector.UP_AND_RUNNING))


async def test_others_on_the_board_are_watched_on_the_same_stream(settings, board, relay):
    async with running(settings, board):
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "AWAY"))
        await eventually(lambda: shows(board, "ben") == "away")
        board.set_colleagues([ADA, Colleague(login="eve", upn="eve@x.org"), Colleague(login="twin", upn="ADA@x.org")])
        await stream.until(lambda: len(stream.changes) == 2)
        changed = [(list(one.unsubscribe_users), list(one.subscribe_users)) for one in stream.changes]
        assert sorted(changed) == [([], ["eve@x.org"]), (["ben@x.org"], [])]
        await eventually(lambda: shows(board, "twin") == "away")
        assert relay.nothing_opened()


async def test_a_login_that_becomes_somebody_elses_shows_nothing_of_the_one_before(settings, board, relay):
    async with running(settings, board):
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "BUSY"))
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("away", "busy"))
        board.set_colleagues([Colleague(login="ada", upn="eve@x.org"), Colleague(login="ben", upn="Ada@x.org")])
        assert (shows(board, "ada"), shows(board, "ben")) == ("no_source", "no_source")
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("pending", "away"))
        await stream.until(lambda: any("eve@x.org" in change.subscribe_users for change in stream.changes))
        tell(stream, eve=("E", "IN_A_CALL"))
        await eventually(lambda: shows(board, "ada") == "in_a_call")
        stream.batch({"eve@x.org": "B"})  # the relay resolved the name anew: it is somebody else's now
        tell(stream, ben=("B", "OFFLINE"))
        await eventually(lambda: shows(board, "ada") == "offline")


async def test_without_the_relay_answers_become_unknown_with_the_reason_and_come_back(settings, board, relay, cert):
    settings = TeamsSettings(
        enabled=True, address=settings.address, key=KEY, ca_pem=settings.ca_pem, proxy="",
        unknown_after=timedelta(seconds=0.3),
    )  # fmt: skip
    async with running(settings, board) as source:
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "BUSY"))
        await eventually(lambda: shows(board, "ben") == "busy")
        port = relay.port
        await relay.kill()
        await eventually(lambda: shows(board, "ada") == "connection_error")
        await eventually(lambda: source.connector.state is Connector.CONNECTION_ERROR)
        assert source.connector.detail
        await relay.listen(cert, port)
        stream = await relay.stream()
        stream.started(Response.OUTCOME_RESUMED)
        tell(stream, ada=("A", "AVAILABLE"))
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("available", "busy"))


@pytest.mark.parametrize(
    ("reason", "code", "state"),
    [
        ("ERROR_REASON_SUITE_KEY_UNKNOWN", grpc.StatusCode.UNAUTHENTICATED, Connector.CREDENTIALS_NOT_FOUND),
        ("ERROR_REASON_SUITE_KEY_REVOKED", grpc.StatusCode.UNAUTHENTICATED, Connector.FORBIDDEN),
    ],
)
async def test_a_refusal_shows_nothing_and_is_over_without_a_restart(
    settings, board, relay, reason, code, state, monkeypatch
):
    monkeypatch.setattr(teams, "REFUSED_WAIT_S", 0.05)
    async with running(settings, board) as source:
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"))
        await eventually(lambda: shows(board, "ada") == "away")
        stream.fail(code, reason)
        await eventually(lambda: shows(board, "ada") == state.value)
        again = await relay.stream()
        assert (source.connector.state, shows(board, "ada")) == (state, state.value)
        again.started()
        tell(again, ada=("A", "BUSY"))
        await eventually(lambda: shows(board, "ada") == "busy")
        await eventually(lambda: source.connector.state is Connector.UP_AND_RUNNING)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"enabled": False}, Connector.DISABLED),
        ({"address": ""}, Connector.NOT_CONFIGURED),
        ({"key": ""}, Connector.CREDENTIALS_NOT_FOUND),
    ],
)
async def test_a_source_that_is_off_or_not_set_up_says_so(settings, board, changes, state):
    values = {"enabled": True, "address": settings.address, "key": KEY, **changes}
    async with running(TeamsSettings(**values), board) as source:
        await eventually(lambda: source.connector.state is state)
        assert shows(board, "ada") == "no_source"


async def test_a_restart_shows_what_was_known_and_asks_for_what_changed_only(settings, board, relay, tmp_path: Path):
    database = Database(tmp_path / "agent.db")
    store = AnswerStore(database)
    async with running(settings, board, store):
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "IN_A_CALL"), ben=("B", "AWAY"), token="t1")
        await eventually(lambda: shows(board, "ben") == "away")
        tell(stream, ada=("A", "BUSY"), token="t2")
        await eventually(lambda: shows(board, "ada") == "busy")
    assert shows(board, "ada") == "no_source"

    eve = Colleague(login="eve", upn="eve@x.org")
    board.set_colleagues([ADA, eve])  # Ben left while the agent was away
    async with running(settings, board, store):
        stream = await relay.stream()
        assert shows(board, "ada") == "busy?"
        assert (stream.token, stream.held, stream.asked) == ("t2", {"Ada@x.org": "A"}, ["eve@x.org"])
        stream.started(Response.OUTCOME_RESUMED)
        tell(stream, eve=("E", "AWAY"), token="t3")
        await eventually(lambda: (shows(board, "ada"), shows(board, "eve")) == ("busy", "away"))

    board.set_colleagues([ADA, BEN, eve])  # and is back: his old answer is not covered by the token of now
    async with running(settings, board, store):
        stream = await relay.stream()
        assert (stream.token, sorted(stream.held), stream.asked) == ("t3", ["Ada@x.org", "eve@x.org"], ["ben@x.org"])
    database.close()


class CountingExecutor(ThreadPoolExecutor):
    """One thread, and how often something was given to it."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self.given = 0

    def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
        self.given += 1
        return super().submit(*arguments, **named)


async def test_an_agent_that_stops_before_a_write_has_begun_keeps_what_it_was_told(
    settings, board, relay, tmp_path: Path
):
    loop, executor, is_free = asyncio.get_running_loop(), CountingExecutor(), threading.Event()
    loop.set_default_executor(executor)
    database = Database(tmp_path / "agent.db")
    store = AnswerStore(database)
    async with running(settings, board, store):
        stream = await relay.stream()
        stream.started()
        executor.submit(is_free.wait)
        given = executor.given
        tell(stream, ada=("A", "AWAY"), token="t1")
        await eventually(lambda: executor.given > given)
        loop.call_later(0.1, is_free.set)
    kept = store.load(owner_of(settings))
    assert (kept.token, list(kept.names)) == ("t1", ["Ada@x.org"])
    database.close()


async def test_a_name_that_left_and_came_back_is_not_covered_by_what_is_kept(settings, board, relay, tmp_path: Path):
    database = Database(tmp_path / "agent.db")
    store = AnswerStore(database)
    async with running(settings, board, store):
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "AWAY"), token="t1")
        await eventually(lambda: shows(board, "ben") == "away")
        board.set_colleagues([ADA])
        await stream.until(lambda: stream.changes)
        board.set_colleagues([ADA, BEN])
        await stream.until(lambda: len(stream.changes) == 2)
        tell(stream, ben=("B", "BUSY"), token="t2")
        await eventually(lambda: shows(board, "ben") == "busy")
    async with running(settings, board, store):
        stream = await relay.stream()
        assert (stream.token, stream.held, sorted(stream.asked)) == ("", {}, ["Ada@x.org", "ben@x.org"])
    database.close()


async def test_a_reset_is_shown_as_uncertain_until_everything_was_told(settings, board, relay):
    async with running(settings, board):
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "AWAY"), token="t1")
        await eventually(lambda: shows(board, "ada") == "away")
        stream.end()
        stream = await relay.stream()
        stream.started(Response.OUTCOME_RESET)
        await eventually(lambda: shows(board, "ada") == "away?")
        tell(stream, ada=("A", "BUSY"), ben=("B", pb.UNKNOWN_REASON_STALE))
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("busy", "stale"))
