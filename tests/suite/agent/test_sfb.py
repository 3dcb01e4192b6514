"""Skype for Business by UCWA: the source against the stand-in server, on real sockets with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.settings.groups.sfb import SfbSettings
from suite.agent.sources.sfb import skype
from suite.agent.sources.sfb.session import SessionPace
from suite.agent.sources.sfb.skype import NOTICE, SkypeSource
from suite.agent.sources.sfb.tokens import UcwaTokens
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from suite.names import key_of
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.lync import PASSWORD, USER, Lync, serving_lync
from tests.support.valkey import free_port
from tests.support.waiting import eventually

ADA, BEN = Colleague(login="ada", sip_uri="Ada@contoso.example"), Colleague(login="ben", sip_uri="ben@contoso.example")
QUICK = SessionPace(between_polls=0.01, again=0.01, late=5.0, quiet=0.2)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skype, "TICK_S", 0.02)


@pytest_asyncio.fixture
async def lync(cert: trustme.LeafCert) -> AsyncIterator[Lync]:
    async with serving_lync(cert) as server:
        server.presence = {"ada@contoso.example": ("Online", ""), "ben@contoso.example": ("Busy", "in-a-meeting")}
        yield server


@pytest.fixture
def board() -> Board:
    made = Board(SourceName.SFB)
    made.set_colleagues([ADA, BEN, Colleague(login="phone only", extension="1")])
    return made


@pytest.fixture
def settings(lync: Lync, ca_pem: bytes) -> SfbSettings:
    return SfbSettings(
        enabled=True, address=f"localhost:{lync.port}", user_name=USER, uri=USER, password=PASSWORD, ca_pem=ca_pem
    )


@contextlib.asynccontextmanager
async def running(settings: SfbSettings, board: Board) -> AsyncIterator[SkypeSource]:
    source = SkypeSource(
        settings, board, backoff=Backoff(lambda _low, _high: 0.01), tokens=UcwaTokens(between_s=0.0), pace=QUICK
    )
    board.on_watched = source.watch
    task = asyncio.create_task(source.run())
    try:
        yield source
        assert not task.done(), task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def shows(board: Board, login: str) -> str:
    """The status, `?` behind it when it is uncertain, the reason where there is no status."""
    found = board.entries[key_of(login)].shown
    return found.reason or f"{found.status.value}{'?' if found.is_uncertain else ''}"


async def test_presence_goes_on_the_board_and_follows_what_the_server_says(lync, settings, board, caplog):
    caplog.set_level(logging.INFO)
    async with running(settings, board) as source:
        assert source.connector.state is Connector.CONNECTING
        await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("available", "in_a_meeting"))
        assert shows(board, "phone only") == "no_source"
        assert source.connector.state is Connector.UP_AND_RUNNING
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
