"""A whole agent: from its files and a scripted relay to a console, and through changes of its files."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from presence_api.v1 import presence_pb2 as pb
from suite.agent.run import Agent
from suite.agent.settings.load import load
from suite.cli import app
from suite.errors import ConfigError
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.test_teams import tell
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

COLLEAGUES = "login;upn;extension\nada;ada@x.org;1001\nben;ben@x.org;1002\n"


@pytest.fixture
def premises(tmp_path: Path, relay: ScriptedRelay, ca_pem: bytes) -> Premises:
    made = Premises(tmp_path, f"localhost:{relay.port}", free_port())
    made.write(COLLEAGUES, ca_pem)
    return made


async def test_a_console_sees_teams_phones_and_changes_of_the_files(
    premises: Premises, relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    console = Console(premises.url)
    async with premises.agent() as agent:
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "IN_A_MEETING"), ben=("B", pb.UNKNOWN_REASON_NOT_FOUND))
        async with listening(console):
            await eventually(
                lambda: (console.status_of("ada"), console.status_of("ben")) == ("in_a_meeting", "not_found")
            )
            assert console.sources["MSTeams"]["state"] == "up_and_running"

            ringing = {"user": "1002", "state": "ringing", "sequence": 1, "expires_s": 1}
            async with httpx.AsyncClient(trust_env=False) as pbx:
                await pbx.post(f"{premises.url}/v1/telephony", json={"states": [ringing]})
                away = {"user": "ada", "state": "away", "sequence": 1}
                await pbx.post(f"{premises.url}/v1/presence", json={"states": [away]})
            await eventually(lambda: console.status_of("ben") == "phone_ringing")
            await eventually(lambda: console.status_of("ben") == "not_found")  # nobody told it again
            assert console.status_of("ada") == "in_a_meeting"

            premises.winning = "Local"
            premises.write_settings()
            await eventually(lambda: console.status_of("ada") == "away")

            premises.winning = "Skype"
            premises.write_settings()
            await eventually(lambda: "line 2: RichPresence.WinningTechnology" in caplog.text)
            assert console.status_of("ada") == "away"

            (premises.folder / "colleagues.csv").write_text(
                "login;upn\nada;ada@x.org\neve;eve@x.org\nnobody;nonsense\n"
            )
            await eventually(lambda: sorted(console.users) == ["ada", "eve"])
            await stream.until(lambda: any("eve@x.org" in change.subscribe_users for change in stream.changes))
            assert "colleagues.csv: line 4" in caplog.text

            premises.winning, premises.enable = "MSTeams", 0
            premises.write_settings()
            await eventually(lambda: console.sources["MSTeams"]["state"] == "disabled")
            await asyncio.wait_for(stream.closed.wait(), 30)
            assert (console.status_of("ada"), console.status_of("eve")) == ("away", "no_source")
            premises.enable = 1
            premises.write_settings()
            again = await relay.stream()
            assert sorted(again.asked + list(again.held)) == ["ada@x.org", "eve@x.org"]
        assert len(agent.board) == 2
    assert "secret" not in caplog.text
    assert "in_a_meeting" not in caplog.text


async def test_a_stopped_agent_ends_its_streams_and_a_new_one_shows_what_was_known(
    premises: Premises, relay: ScriptedRelay
):
    console = Console(premises.url)
    async with premises.agent():
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "BUSY"), ben=("B", "AWAY"), token="t1")
        listened = asyncio.create_task(console.listen())
        await eventually(lambda: console.status_of("ada") == "busy")
    await asyncio.wait_for(listened, 30)
    async with premises.agent():
        stream = await relay.stream()
        assert stream.token == "t1"
        async with listening(console):
            await eventually(lambda: console.seen.count("complete") == 2)
            assert console.status_of("ada") == "busy?"


async def test_a_second_agent_on_the_same_port_or_the_same_store_is_told_why_it_ends(
    premises: Premises, relay: ScriptedRelay
):
    async with premises.agent():
        await relay.stream()
        with pytest.raises(ConfigError, match="another agent"):
            await asyncio.wait_for(Agent(premises.file, load(premises.file)).run(), 30)
        premises.more = "Store = other.db"
        premises.write_settings()
        with pytest.raises(ConfigError, match=str(premises.port)):
            await asyncio.wait_for(Agent(premises.file, load(premises.file)).run(), 30)


def test_the_command_refuses_settings_that_cannot_be_used(tmp_path: Path):
    file = tmp_path / "Presence.ini"
    file.write_text("[Relay]\nForm=bidi\n")
    ended = CliRunner().invoke(app, ["agent", "--settings", str(file)])
    assert (ended.exit_code, f"{file}:2: error:" in ended.output) == (2, True)
    assert CliRunner().invoke(app, ["agent", "--settings", str(tmp_path / "missing")]).exit_code == 2
    assert load(file).settings is None


def test_the_help_names_the_extra():
    assert "presence-suite[agent]" in CliRunner().invoke(app, ["agent", "--help"]).output


def test_the_command_says_what_is_missing_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith(("starlette", "suite.agent.run", "suite.agent.api"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    ended = CliRunner().invoke(app, ["agent", "--settings", str(tmp_path / "Presence.ini")])
    assert (ended.exit_code, "presence-suite[agent]" in ended.output) == (2, True)
