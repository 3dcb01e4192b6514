"""The feed to Asterisk: from a whole agent, and against a manager with faults."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from presence_api.v1 import presence_pb2 as pb
from suite.agent.board import Board
from suite.agent.core.values import RichState, RichStatement, SourceName
from suite.agent.feeds import ami_link
from suite.agent.feeds.ami import AmiClosed, AmiDenied, AmiRefused
from suite.agent.feeds.ami_link import opened
from suite.agent.feeds.asterisk import AsteriskFeed
from suite.agent.settings.groups.asterisk import AsteriskSettings
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from tests.suite.agent.agents import Premises
from tests.suite.agent.feeds.manager import SECRET, USER, StandInManager, running
from tests.suite.agent.test_teams import tell
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

COLLEAGUES = "login;upn;extension\nada;ada@x.org;1001\nben;ben@x.org;1002\neve;eve@x.org;\n"
ADA, BEN = "DEVICE_STATE(Custom:teams-1001)", "DEVICE_STATE(Custom:teams-1002)"
ADA_PRESENCE, BEN_PRESENCE = (f"PRESENCE_STATE(CustomPresence:teams-{extension})" for extension in (1001, 1002))
TEAM = tuple(Colleague(login=name, extension=number) for name, number in (("ada", "1001"), ("ben", "1002")))


def section(port: int, more: str = "") -> str:
    return f"[Asterisk]\nEnable=1\nAddress=127.0.0.1:{port}\nUser={USER}\nSecretFile=ami.secret\n{more}"


@pytest.fixture
def premises(tmp_path: Path, relay: ScriptedRelay, ca_pem: bytes) -> Premises:
    made = Premises(tmp_path, f"localhost:{relay.port}", free_port())
    made.write(COLLEAGUES, ca_pem)
    (tmp_path / "ami.secret").touch(0o600)
    (tmp_path / "ami.secret").write_text(f"{SECRET}\n")
    return made


async def test_a_colleague_in_teams_lights_a_lamp_at_asterisk(premises: Premises, relay: ScriptedRelay):
    async with running(StandInManager()) as asterisk:
        premises.more = section(asterisk.port)
        premises.write_settings()
        async with premises.agent():
            stream = await relay.stream()
            stream.started()
            tell(stream, ada=("A", "IN_A_MEETING"), ben=("B", pb.UNKNOWN_REASON_NOT_FOUND))
            meeting = "dnd,in_a_meeting,In a meeting"
            await eventually(
                lambda: (asterisk.states.get(ADA), asterisk.states.get(ADA_PRESENCE)) == ("INUSE", meeting)
            )
            assert asterisk.states[BEN] == "UNAVAILABLE"
            assert not any("Secret" in action or "secret" in action for action in asterisk.actions)
        assert (asterisk.states[ADA], asterisk.states[ADA_PRESENCE]) == ("UNAVAILABLE", "not_set")


async def test_who_leaves_the_file_or_gets_another_extension_leaves_no_lamp_behind(
    premises: Premises, relay: ScriptedRelay
):
    async with running(StandInManager()) as asterisk:
        premises.more = section(asterisk.port)
        premises.write_settings()
        async with premises.agent():
            stream = await relay.stream()
            stream.started()
            tell(stream, ada=("A", "BUSY"), ben=("B", "BUSY"))
            await eventually(lambda: (asterisk.states.get(ADA), asterisk.states.get(BEN)) == ("INUSE", "INUSE"))
            (premises.folder / "colleagues.csv").write_text("login;upn;extension\nada;ada@x.org;1003\n")
            await eventually(lambda: (asterisk.states[ADA], asterisk.states[BEN]) == ("UNAVAILABLE", "UNAVAILABLE"))
            await eventually(lambda: asterisk.states.get("DEVICE_STATE(Custom:teams-1003)") == "INUSE")
            await eventually(lambda: {asterisk.states[ADA_PRESENCE], asterisk.states[BEN_PRESENCE]} == {"not_set"})


# Against faults: the feed alone, with short times


def state(board: Board, name: str, told: RichState) -> None:
    board.state_rich(name, SourceName.TEAMS, RichStatement(state=told))


@contextlib.asynccontextmanager
async def feeding(asterisk: StandInManager, **changed: object) -> AsyncIterator[tuple[AsteriskFeed, Board]]:
    """Feed a board on which Ada is busy and Ben is available."""
    times = {name: changed.pop(name) for name in ("ping_s", "answer_s", "denied_wait_s", "again_s") if name in changed}
    made = AsteriskSettings(enabled=True, host="127.0.0.1", port=asterisk.port, user=USER, secret=SECRET, per_s=1000)
    board = Board(SourceName.TEAMS)
    board.set_colleagues(TEAM)
    state(board, "ada", RichState.BUSY)
    state(board, "ben", RichState.AVAILABLE)
    backoff = Backoff(lambda low, high: min(high, 0.05))
    feed = AsteriskFeed(replace(made, **changed), board, backoff=backoff, **times)  # type: ignore[arg-type]
    task = asyncio.create_task(feed.run())
    try:
        yield feed, board
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


def is_fed(asterisk: StandInManager) -> bool:
    wanted = {
        ADA: "INUSE",
        BEN: "NOT_INUSE",
        ADA_PRESENCE: "dnd,busy,Busy",
        BEN_PRESENCE: "available,available,Available",
    }
    return {name: asterisk.states.get(name) for name in wanted} == wanted


async def test_only_changes_are_sent_and_the_newest_of_each():
    async with running(StandInManager()) as asterisk, feeding(asterisk) as (_, board):
        await eventually(lambda: is_fed(asterisk))
        asterisk.changes.clear()
        state(board, "ada", RichState.AWAY)
        state(board, "ada", RichState.IN_A_CALL)  # the lamp stays lit
        await eventually(lambda: asterisk.states[ADA_PRESENCE] == "dnd,in_a_call,In a call")
        assert asterisk.changes == [(ADA_PRESENCE, "dnd,in_a_call,In a call")]


async def test_words_of_another_language_arrive_with_their_letters():
    async with running(StandInManager()) as asterisk, feeding(asterisk, language="it") as (_, board):
        state(board, "ada", RichState.AVAILABLE_IDLE)
        coded = "available,YXZhaWxhYmxlX2lkbGU=,RGlzcG9uaWJpbGUsIGluYXR0aXZv,e"
        await eventually(lambda: asterisk.states.get(ADA_PRESENCE) == coded)


async def test_one_kind_of_state_can_be_fed_alone_and_lamps_can_be_for_calls():
    async with running(StandInManager()) as asterisk, feeding(asterisk, presence=None, lamp_for="calls") as (_, board):
        await eventually(lambda: asterisk.states.get(ADA) == "NOT_INUSE")
        state(board, "ada", RichState.IN_A_CALL)
        await eventually(lambda: asterisk.states[ADA] == "INUSE")
        assert ADA_PRESENCE not in asterisk.states


@pytest.mark.long
async def test_after_a_restart_of_asterisk_everything_is_fed_again():
    async with running(StandInManager()) as asterisk, feeding(asterisk) as (feed, board):
        await eventually(lambda: is_fed(asterisk))
        await asterisk.stop()
        await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
        asterisk.states.clear()
        state(board, "ben", RichState.AWAY)
        state(board, "ben", RichState.AVAILABLE)
        await asterisk.start()
        await eventually(lambda: is_fed(asterisk))
        await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)


async def test_while_asterisk_starts_it_is_asked_with_one_state_until_it_takes_it():
    asterisk = StandInManager(refused_variables={"DEVICE_STATE", "PRESENCE_STATE"})
    async with running(asterisk), feeding(asterisk, again_s=(0.01, 0.02)) as (feed, _):
        await eventually(lambda: len(asterisk.named("Setvar")) > 5)
        assert "Variable not set" in feed.link.connector.detail
        assert len(asterisk.logins) == 1
        asterisk.refused_variables.clear()
        await eventually(lambda: is_fed(asterisk))
        await eventually(lambda: feed.link.connector.detail == "")


async def test_while_asterisk_starts_the_others_wait_for_the_one():
    asterisk = StandInManager(refused_variables={"DEVICE_STATE", "PRESENCE_STATE"})
    async with running(asterisk), feeding(asterisk, again_s=(60, 60), ping_s=0.2) as (feed, board):
        board.set_colleagues([*TEAM, *(Colleague(login=f"u{each}", extension=str(2000 + each)) for each in range(200))])
        await eventually(lambda: "Variable not set" in feed.link.connector.detail)
        await eventually(lambda: len(asterisk.named("Ping")) > 1)
        assert len(asterisk.named("Setvar")) == 1


async def test_a_function_that_asterisk_lacks_keeps_nothing_else_away():
    asterisk = StandInManager(refused_variables={"PRESENCE_STATE"})
    async with running(asterisk), feeding(asterisk, again_s=(0.01, 0.02)) as (feed, board):
        await eventually(lambda: asterisk.states.get(ADA) == "INUSE")
        state(board, "ada", RichState.AWAY)
        await eventually(lambda: asterisk.states[ADA] == "NOT_INUSE")
        assert "does not carry out Setvar" in feed.link.connector.detail
        state(board, "ada", RichState.BUSY)
        asterisk.refused_variables.clear()
        await eventually(lambda: is_fed(asterisk))


async def test_a_wrong_secret_is_tried_once_until_a_long_wait_is_over():
    async with running(StandInManager(secret="another")) as asterisk, feeding(asterisk) as (feed, _):
        await eventually(lambda: feed.link.connector.state is Connector.FORBIDDEN)
        assert "does not take the user name and secret" in feed.link.connector.detail
        for _ in range(200):
            await asyncio.sleep(0)
        assert asterisk.logins == [False]
    async with (
        running(StandInManager(secret="another")) as asterisk,
        feeding(asterisk, denied_wait_s=0.05) as (feed, _),
    ):
        await eventually(lambda: len(asterisk.logins) > 1)
        asterisk.secret = SECRET
        await eventually(lambda: is_fed(asterisk))
        await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)


async def test_a_user_without_the_right_is_told_as_that():
    async with running(StandInManager(permitted=False)) as asterisk, feeding(asterisk) as (feed, _):
        await eventually(lambda: feed.link.connector.state is Connector.FORBIDDEN)
        assert "does not let the manager's user do Setvar" in feed.link.connector.detail
        assert len(asterisk.logins) == 1


async def test_a_manager_that_falls_silent_is_noticed_by_a_ping():
    async with running(StandInManager()) as asterisk, feeding(asterisk, ping_s=0.05, answer_s=0.5) as (feed, _):
        await eventually(lambda: is_fed(asterisk))
        asterisk.answers = False
        await eventually(lambda: "does not answer" in feed.link.connector.detail)
        asterisk.states.clear()
        asterisk.answers = True
        await eventually(lambda: is_fed(asterisk))
        assert asterisk.named("Ping")


@pytest.mark.parametrize("ping", [("Pong",), ("Error", "Message: Permission denied"), ("Error", "Message: No")])
async def test_a_manager_that_refuses_a_ping_is_there_and_is_fed(ping: tuple[str, ...]):
    async with running(StandInManager(ping=ping)) as asterisk, feeding(asterisk, ping_s=0.01) as (feed, board):
        await eventually(lambda: len(asterisk.named("Ping")) > 2)
        state(board, "ben", RichState.BUSY)
        await eventually(lambda: asterisk.states.get(BEN) == "INUSE")
        await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)
        assert len(asterisk.logins) == 1


async def test_a_manager_writes_no_line_of_its_own_into_the_log():
    refusal = ("Error", "Message: no\x1b[31m\r2026-01-01 a line of its own" + "!" * 5000)
    async with (
        running(StandInManager(ping=refusal)) as asterisk,
        opened("127.0.0.1", asterisk.port, USER, SECRET) as link,
    ):
        with pytest.raises(AmiRefused) as error:
            await link.action("Ping")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300


async def test_a_list_without_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ami_link, "_MOST_LISTED_CHARS", 1000)
    states = {f"DEVICE_STATE(Custom:{number})": "INUSE" for number in range(100)}
    async with (
        running(StandInManager(states=states)) as asterisk,
        opened("127.0.0.1", asterisk.port, USER, SECRET) as link,
    ):
        with pytest.raises(AmiClosed, match="list of states is too long"):
            await link.listing("DeviceStateList")


EVENT = b"Event: DeviceStateChange\r\nPrivilege: call,all\r\nDevice: Custom:x\r\nState: INUSE\r\n\r\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("pieces", "noise"),
    [
        pytest.param(1, EVENT, id="letter by letter, with events"),
        pytest.param(0, EVENT * 5000, id="a flood of events"),
        pytest.param(0, b"X: " + b"y" * 2_000_000 + b"\r\n\r\n", id="a line of 2 MB"),
        pytest.param(0, b"Response: Success\r\nActionID: 999\r\n\r\n\xff\xfe\r\n\r\n", id="answers to nothing"),
    ],
)
async def test_noise_keeps_no_state_away(pieces: int, noise: bytes):
    async with running(StandInManager(pieces=pieces, noise=noise)) as asterisk, feeding(asterisk):
        await eventually(lambda: is_fed(asterisk))


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"x" * 100_000, b"\xff\r\n"])
async def test_what_is_no_manager_gets_no_login(banner: bytes):
    async with running(StandInManager(banner=banner)) as asterisk, feeding(asterisk) as (feed, _):
        await eventually(lambda: "not an Asterisk manager" in feed.link.connector.detail)
        await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
        assert asterisk.actions == []


async def test_connections_that_break_all_the_time_end_in_everything_being_fed():
    async with running(StandInManager()) as asterisk, feeding(asterisk) as (_, board):
        for state_of_ada in (RichState.AWAY, RichState.BUSY, RichState.OFFLINE, RichState.BUSY):
            state(board, "ada", state_of_ada)
            asterisk.drop()
            asterisk.states.clear()
            await eventually(lambda: ADA in asterisk.states)
        await eventually(lambda: is_fed(asterisk))


async def test_tls_is_used_and_its_certificate_is_checked():
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with running(StandInManager(tls=context)) as asterisk:
        async with feeding(asterisk, tls=True, ca_pem=authority.cert_pem.bytes()):
            await eventually(lambda: is_fed(asterisk))
        asterisk.actions.clear()
        async with feeding(asterisk, tls=True, ca_pem=trustme.CA().cert_pem.bytes()) as (feed, _):
            await eventually(lambda: "certificate is not trusted" in feed.link.connector.detail)
        assert asterisk.actions == []


async def test_without_a_challenge_the_secret_travels_only_where_nobody_reads_along():
    async with running(StandInManager(has_challenge=False)) as asterisk:
        async with feeding(asterisk):
            await eventually(lambda: is_fed(asterisk))
        asterisk.actions.clear()
        async with opened("127.0.0.1", asterisk.port, USER, SECRET) as link:
            with pytest.raises(AmiDenied, match="Use TLS"):
                await link.login(USER, SECRET, may_send_secret=False)
        assert [action["action"] for action in asterisk.actions] == ["Challenge", "Login", "Challenge"]


async def test_at_the_end_every_lamp_goes_out():
    async with running(StandInManager()) as asterisk:
        async with feeding(asterisk):
            await eventually(lambda: is_fed(asterisk))
        ended = {name: asterisk.states[name] for name in (ADA, BEN, ADA_PRESENCE, BEN_PRESENCE)}
        assert ended == {ADA: "UNAVAILABLE", BEN: "UNAVAILABLE", ADA_PRESENCE: "not_set", BEN_PRESENCE: "not_set"}


async def test_without_an_address_or_a_secret_nothing_is_asked():
    async with running(StandInManager()) as asterisk:
        async with feeding(asterisk, host="") as (feed, _):
            assert feed.link.connector.state is Connector.NOT_CONFIGURED
        async with feeding(asterisk, secret="") as (feed, _):
            assert feed.link.connector.state is Connector.CREDENTIALS_NOT_FOUND
        assert asterisk.connections == 0


async def test_lamps_of_colleagues_who_left_while_the_agent_was_away_go_out():
    left, others = "DEVICE_STATE(Custom:teams-1009)", "DEVICE_STATE(Custom:night-1009)"
    left_presence = "PRESENCE_STATE(CustomPresence:teams-1009)"
    before = {left: "INUSE", others: "INUSE", left_presence: "dnd,busy,Busy", "DEVICE_STATE(Custom:teams-x)": "BUSY"}
    async with running(StandInManager(states=dict(before))) as asterisk, feeding(asterisk):
        await eventually(lambda: (asterisk.states[left], asterisk.states[left_presence]) == ("UNAVAILABLE", "not_set"))
        await eventually(lambda: is_fed(asterisk))
        assert {name: asterisk.states[name] for name in before if name not in (left, left_presence)} == {
            others: "INUSE",
            "DEVICE_STATE(Custom:teams-x)": "BUSY",
        }
