"""The agent publishes to a presence server and reads from it: its own echo is no second opinion."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from suite.agent.board import Board
from suite.agent.core.values import RichState, RichStatement, SourceName, TelephonyState
from suite.agent.feeds.documents import PublishedEvent, published_document
from suite.agent.feeds.sip_publish import SipPublishFeed
from suite.agent.settings.groups.sip_publish import SipPublishSettings
from suite.agent.settings.groups.sip_simple import SipSimpleSettings
from suite.agent.settings.load import load
from suite.agent.sources.sip.resources import CONTENT_TYPES, ResourceId, made
from suite.agent.sources.sip.source import SipSource
from suite.agent.users.reading import Colleague
from suite.sip.challenges import DigestClient
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.digest import Login
from suite.sip.pidf import OWN_ID, PidfDocument, read_pidf, write_pidf
from suite.sip.servers import SipServer
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import PASSWORDS, Kamailio, started
from tests.sip.publication import Publication
from tests.support.waiting import eventually

ADA = "sip:ada@pbx.example"
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    with started(tmp_path_factory.mktemp("kamailio")) as server:
        yield server


def published(event: PublishedEvent = "presence", state: RichState = RichState.IN_A_MEETING) -> bytes:
    return published_document(event, ADA, state, "busy", "en")


def read(event: PublishedEvent, body: bytes, *, ignores: bool) -> tuple[RichState, TelephonyState]:
    """Return what the SIP source reads of a document."""
    settings = SipSimpleSettings(enabled=True, phone_event=event, ignores_agents=ignores)
    resource = made(ResourceId(ADA, event), ADA, settings)
    assert resource.apply(CONTENT_TYPES[event], body, NOW)
    return resource._rich.state, resource._phone.state


def test_an_agent_that_publishes_takes_its_own_documents_for_nothing():
    assert read("presence", published(), ignores=False)[0] is RichState.IN_A_MEETING
    assert read("presence", published(), ignores=True) == (RichState.UNKNOWN, TelephonyState.UNKNOWN)
    assert read("dialog", published("dialog"), ignores=False)[1] is TelephonyState.BUSY
    for state in (RichState.IN_A_MEETING, RichState.AVAILABLE):
        assert read("dialog", published("dialog", state), ignores=True)[1] is TelephonyState.UNKNOWN


def test_beside_its_own_documents_those_of_others_count():
    others = write_pidf(PidfDocument(entity=ADA, is_open=True, activities=frozenset({"away"})), ADA)
    inside = others.partition(b"<dm:person")[0].partition(b"<tuple")[1:]
    person = b"<dm:person" + others.partition(b"<dm:person")[2].partition(b"</presence>")[0]
    merged = published().replace(b"</presence>", b"".join(inside) + person + b"</presence>")
    assert read_pidf(merged).activities == {"away", "busy", "meeting"}
    assert read("presence", merged, ignores=True)[0] is RichState.AWAY
    phone = PhoneDialog(id="call-1", state="confirmed")
    for own in ("terminated", "confirmed"):
        dialogs = (PhoneDialog(id=OWN_ID, state=own), phone)
        both = write_dialog_info(DialogInfo(entity=ADA, version=1, is_full=True, dialogs=dialogs))
        assert read("dialog", both, ignores=True)[1] is TelephonyState.BUSY


@contextlib.asynccontextmanager
async def both_ways(kamailio: Kamailio, *, ignores: bool) -> AsyncIterator[Board]:
    """Publish to a server and read from it. Ada is in a meeting, by Teams; SIP wins when it knows."""
    board = Board(SourceName.SIP)
    board.set_colleagues([Colleague(login="ada", sip_uri="ada@pbx.example")])
    board.state_rich("ada", SourceName.TEAMS, RichStatement(state=RichState.IN_A_MEETING))
    publish = SipPublishSettings(
        enabled=True, host="127.0.0.1", port=kamailio.port, protocol="tcp", user="suite", password=PASSWORDS["suite"]
    )
    connector = SipSimpleSettings(
        enabled=True,
        servers=(f"127.0.0.1:{kamailio.port}",),
        protocol="tcp",
        uri="sip:suite@pbx.example",
        user="suite",
        password=PASSWORDS["suite"],
        domain="pbx.example",
        ignores_agents=ignores,
    )
    parts = [SipPublishFeed(publish, board), SipSource(connector, board)]
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield board
    finally:
        for task in reversed(tasks):
            task.cancel()
        await asyncio.wait(tasks)


def by_sip(board: Board) -> RichState:
    said = board.entries["ada"].rich.get(SourceName.SIP)
    return said.state if said is not None else RichState.UNKNOWN


def reason_by_sip(board: Board) -> str:
    said = board.entries["ada"].rich.get(SourceName.SIP)
    return said.reason if said is not None else ""


async def test_at_a_presence_server_others_count_and_the_echo_does_not(kamailio: Kamailio):
    async with both_ways(kamailio, ignores=True) as board, UserAgent() as phone:
        # The echo comes first: the server says something, and for the agent it is nothing.
        await eventually(lambda: reason_by_sip(board) == "presence_unknown")
        assert board.entries["ada"].shown.rich_source is SourceName.TEAMS
        digest = DigestClient(Login(user="ada", password=PASSWORDS["ada"]))
        server = SipServer.at(f"127.0.0.1:{kamailio.port}", "tcp", digest=digest)
        publication = Publication(phone, server, ADA)
        publication.update(write_pidf(PidfDocument(entity=ADA, is_open=True, activities=frozenset({"away"})), ADA))
        # In the server's one document, a meeting would be busier than away.
        await eventually(lambda: by_sip(board) is RichState.AWAY)
        await publication.withdraw()


async def test_an_agent_that_does_not_publish_reads_what_others_agents_published(kamailio: Kamailio):
    async with both_ways(kamailio, ignores=False) as board:
        await eventually(lambda: by_sip(board) is RichState.IN_A_MEETING)
        board.state_rich("ada", SourceName.TEAMS, None)
        # What came by SIP is not published: so it ends, and nothing keeps itself alive. Kamailio tells that as closed.
        await eventually(lambda: by_sip(board) in (RichState.UNKNOWN, RichState.OFFLINE))


def test_publishing_and_reading_together_ignores_the_echo_by_itself(tmp_path: Path):
    file = tmp_path / "Presence.ini"
    for publishes in (0, 1):
        file.write_text(
            f"[SipSimple]\nEnable=1\nAddress=pbx.example\nUri=sip:a@pbx.example\n[SipPublish]\nEnable={publishes}\nAddress=pbx.example\n"
        )
        settings = load(file).settings
        assert settings is not None
        assert settings.sip.ignores_agents == bool(publishes)
