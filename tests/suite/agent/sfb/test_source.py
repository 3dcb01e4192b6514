"""Skype for Business by UCWA: the source against the stand-in server, on real sockets with TLS."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from suite.agent.sources.sfb.skype import NOTICE
from suite.agent.sources.source import Connector
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.sfb.lync import PASSWORD, USER
from tests.suite.agent.sfb.running import running, shows
from tests.support.valkey import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # conftest says why


async def test_presence_goes_on_the_board_and_follows_what_the_server_says(lync, settings, board, caplog):
    caplog.set_level(logging.INFO)
    async with running(settings, board) as source:
        assert source.connector.state is Connector.CONNECTING
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("available", "in_a_meeting"))
        assert shows(board, "phone only") == "no_source"
        await eventually(lambda: source.connector.state is Connector.UP_AND_RUNNING)
        assert source.connector.detail == NOTICE
        lync.becomes("ada@contoso.example", "IdleOnline")
        await eventually(lambda: shows(board, "ada") == "available_idle")
        lync.becomes("ada@contoso.example", "DoNotDisturb", "in-a-conference")
        await eventually(lambda: shows(board, "ada") == "do_not_disturb")
        assert list(lync.app.subscriptions.values()) == [{"Ada@contoso.example", "ben@contoso.example"}]
        assert len(lync.passwords) == 1
    assert shows(board, "ada") == "no_source"
    assert lync.applications == {}  # it signed out
    logged = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("suite."))
    assert NOTICE in logged
    assert PASSWORD not in logged
    assert "contoso" not in logged


@pytest.mark.long
async def test_a_whole_agent_shows_a_console_the_presence_of_skype_for_business(lync, ca_pem, tmp_path: Path):
    premises = Premises(tmp_path, "", free_port(), enable=0, winning="SfB")
    password = tmp_path / "skype.password"
    password.touch(0o600)
    password.write_text(f"{PASSWORD}\n")
    premises.more = f"[SfB]\nEnable = 1\nAddress = localhost:{lync.port}\nCaFile = ca.pem\nUri = {USER}\nPasswordFile = skype.password"
    premises.write("login;sip\nada;sip:ada@contoso.example\nben;ben@contoso.example\n", ca_pem)
    console = Console(premises.url)
    async with premises.agent(), listening(console):
        await eventually(lambda: (console.status_of("ada"), console.status_of("ben")) == ("available", "in_a_meeting"))
        assert console.users["ada"]["rich"]["source"] == "SfB"
        assert console.sources["SfB"] == {"state": "up_and_running", "detail": NOTICE}
        lync.becomes("ben@contoso.example", "Offline")
        await eventually(lambda: console.status_of("ben") == "offline")

        premises.more = "[SfB]\nEnable = 0"
        premises.write_settings()
        await eventually(lambda: console.sources["SfB"]["state"] == "disabled")
        await eventually(lambda: console.status_of("ada") == "no_source")
