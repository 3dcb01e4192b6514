"""The feed to a presence server: against a real Kamailio, and against one that answers as a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from suite.agent.board import Board
from suite.agent.core.values import RichState, RichStatement, SourceName
from suite.agent.feeds.publishing import PublishTimes
from suite.agent.feeds.sip_publish import SipPublishFeed
from suite.agent.settings.groups.sip_publish import SipPublishSettings
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from suite.sip import dialoginfo
from suite.sip.challenges import DigestClient
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.digest import Login
from suite.sip.flows import SipProtocol
from suite.sip.message import SipMessage, SipRequest
from suite.sip.pidf import PidfDocument, read_pidf
from suite.sip.publisher import PublishedDocument
from suite.sip.replies import reply
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent, SubscriptionWish
from suite.sip.subscriptions import Notification
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import PASSWORDS, Kamailio, started
from tests.sip.peers import peer
from tests.support.waiting import eventually

QUICK = PublishTimes(probe_s=0.2, again_s=(0.05, 0.1), refused_s=(0.05, 0.1), sweep_s=0.1)
TEAM = tuple(Colleague(login=name, sip_uri=f"{name}@pbx.example", extension=f"10{name[0]}") for name in ("ada", "ben"))


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    with started(tmp_path_factory.mktemp("kamailio")) as server:
        yield server


def state(board: Board, name: str, told: RichState) -> None:
    board.state_rich(name, SourceName.TEAMS, RichStatement(state=told))


def settings_for(kamailio: Kamailio, protocol: SipProtocol = "tcp") -> SipPublishSettings:
    return SipPublishSettings(
        enabled=True,
        host="127.0.0.1",
        port=kamailio.tls_port if protocol == "tls" else kamailio.port,
        protocol=protocol,
        ca_pem=kamailio.authority.cert_pem.bytes(),
        user="suite",
        password=PASSWORDS["suite"],
        per_s=1000,
    )


@contextlib.asynccontextmanager
async def feeding(
    settings: SipPublishSettings,
    team: Iterable[Colleague] = TEAM,
    denied_wait_s: float = 600.0,
    times: PublishTimes = QUICK,
) -> AsyncIterator[tuple[SipPublishFeed, Board]]:
    """Feed a board on which Ada is in a meeting and Ben is available."""
    board = Board(SourceName.TEAMS)
    board.set_colleagues(team)
    state(board, "ada", RichState.IN_A_MEETING)
    state(board, "ben", RichState.AVAILABLE)
    feed = SipPublishFeed(settings, board, times=times, denied_wait_s=denied_wait_s)
    task = asyncio.create_task(feed.run())
    try:
        yield feed, board
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


@contextlib.asynccontextmanager
async def watching(kamailio: Kamailio, user: str, event: str = "presence") -> AsyncIterator[list[SubscriptionEvent]]:
    """Watch a user as a phone at Kamailio does."""
    events: list[SubscriptionEvent] = []
    server = SipServer.at(
        f"127.0.0.1:{kamailio.port}", "tcp", digest=DigestClient(Login(user="eve", password=PASSWORDS["eve"]))
    )
    wish = SubscriptionWish(uri=f"sip:{user}@pbx.example", own_uri="sip:eve@pbx.example", event=event)
    if event == "dialog":
        wish = replace(wish, accept=(dialoginfo.CONTENT_TYPE,))
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server, wish, events.append)
        yield events
        await subscription.unsubscribe()


def seen(events: list[SubscriptionEvent]) -> PidfDocument:
    """Return what was notified last; empty before, and when the server knows nothing."""
    told = [each for each in events if isinstance(each, Notification)]
    return read_pidf(told[-1].body) if told and told[-1].body else PidfDocument()


def is_gone(events: list[SubscriptionEvent]) -> bool:
    """Return whether nothing is published any more. Kamailio tells those who watch already that the user is closed, and newcomers nothing."""
    return not seen(events).is_open and not seen(events).activities


MEETING = (True, frozenset({"busy", "meeting"}))


def is_in_a_meeting(events: list[SubscriptionEvent]) -> bool:
    return (seen(events).is_open, seen(events).activities) == MEETING


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
async def test_watchers_of_a_presence_server_see_a_colleague_and_nothing_once_nothing_is_known(
    kamailio: Kamailio, protocol: SipProtocol
):
    async with watching(kamailio, "ada") as events:
        async with feeding(settings_for(kamailio, protocol)) as (feed, board):
            await eventually(lambda: is_in_a_meeting(events))
            assert seen(events).notes == ("In a meeting",)
            await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)
            state(board, "ada", RichState.AVAILABLE_IDLE)
            await eventually(lambda: seen(events).is_idle and not seen(events).activities)
            state(board, "ada", RichState.UNKNOWN)
            await eventually(lambda: is_gone(events))
            async with watching(kamailio, "ada") as anew:
                await eventually(lambda: anew and seen(anew) == PidfDocument())
            state(board, "ada", RichState.BUSY)
            await eventually(lambda: seen(events).activities == {"busy"})
        await eventually(lambda: is_gone(events))


async def test_a_colleague_who_leaves_the_board_is_taken_back(kamailio: Kamailio):
    async with watching(kamailio, "ben") as events, feeding(settings_for(kamailio)) as (_, board):
        await eventually(lambda: seen(events).is_open)
        board.set_colleagues(TEAM[:1])
        await eventually(lambda: is_gone(events))


async def test_a_lamp_is_published_as_a_dialog(kamailio: Kamailio):
    settings = replace(settings_for(kamailio), events=("dialog",))
    async with watching(kamailio, "ada", "dialog") as events, feeding(settings) as (_, board):

        def dialogs() -> list[str]:
            told = [each.body for each in events if isinstance(each, Notification) and each.body]
            return [each.state for each in read_dialog_info(told[-1]).dialogs] if told else []

        await eventually(lambda: dialogs() == ["confirmed"])
        state(board, "ada", RichState.AWAY)
        await eventually(lambda: "confirmed" not in dialogs())


async def test_a_colleague_without_a_sip_address_is_published_by_another_name(kamailio: Kamailio):
    settings = replace(settings_for(kamailio), user_template="{login}@pbx.example")
    async with watching(kamailio, "ada") as events, feeding(settings, [Colleague(login="ada")]):
        await eventually(lambda: is_in_a_meeting(events))


async def test_a_wrong_password_is_tried_once(kamailio: Kamailio):
    settings = replace(settings_for(kamailio), password="wrong")
    team = [Colleague(login=f"u{number}", sip_uri=f"u{number}@pbx.example") for number in range(50)]
    async with feeding(settings, team) as (feed, board):
        for colleague in team:
            state(board, colleague.login, RichState.BUSY)
        await eventually(lambda: feed.link.connector.state is Connector.FORBIDDEN)
        assert "does not take the user name and password" in feed.link.connector.detail


async def test_sha_256_and_a_server_that_is_killed_and_comes_back(tmp_path: Path):
    with started(tmp_path, "WITH_SHA256") as kamailio:
        async with feeding(settings_for(kamailio)) as (feed, _):
            await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)
            kamailio.kill()
            await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
            # It has forgotten all that was published to it.
            table = tmp_path / "dbtext/presentity"
            table.write_text(table.read_text().partition("\n")[0] + "\n")
            await asyncio.to_thread(kamailio.start)
            async with watching(kamailio, "ada") as ada, watching(kamailio, "ben") as ben:
                await eventually(lambda: is_in_a_meeting(ada) and seen(ben).is_open)
            await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)


async def test_the_end_of_a_connection_is_the_end_of_the_server_until_it_answers(tmp_path: Path):
    never = replace(QUICK, probe_s=3600.0)
    with started(tmp_path) as kamailio:
        async with feeding(settings_for(kamailio), times=never) as (feed, _):
            await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)
            kamailio.kill()
            await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
            await asyncio.to_thread(kamailio.start)
            await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)


async def test_a_server_that_keeps_states_over_its_restart_has_each_once(tmp_path: Path):
    with started(tmp_path) as kamailio:
        async with feeding(settings_for(kamailio)) as (feed, board):
            async with watching(kamailio, "ada") as ada:
                await eventually(lambda: is_in_a_meeting(ada))
            await asyncio.to_thread(kamailio.stop)
            await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
            state(board, "ada", RichState.AWAY)
            await asyncio.to_thread(kamailio.start)
            async with watching(kamailio, "ada") as ada:
                await eventually(lambda: seen(ada).activities == {"away"})
                await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)


# A server that answers as a test says


@dataclass(slots=True)
class ScriptedServer:
    """Takes publications as RFC 3903 says, with faults.

    Attributes:
        states: entity tag -> the URI and what was published.
        answer: returns a status and further headers for a request, or None to take it.
        granted: the time that it says it keeps states; empty for as long as it was asked to.
    """

    states: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    answer: Callable[[SipRequest], tuple[int, list[tuple[str, str]]] | None] = lambda _: None
    granted: str = ""
    count: int = 0

    def script(self, request: SipRequest) -> Iterable[SipMessage | bytes]:
        wrong = self.answer(request)
        tag = request.headers.first("sip-if-match")
        if wrong is None and tag is not None and tag not in self.states:
            wrong = (412, [])
        if wrong is not None:
            status, fields = wrong
            return [reply(request, status, "As the test says", *fields)]
        expires = request.headers.first("expires") or "0"
        _, body = self.states.pop(tag, ("", b"")) if tag is not None else ("", b"")
        self.count += 1
        made = f"tag-{self.count}"
        if expires != "0":
            self.states[made] = (request.uri, request.body or body)
        return [reply(request, 200, "OK", ("SIP-ETag", made), ("Expires", self.granted or expires))]

    def published(self) -> list[str]:
        return sorted(uri for uri, _ in self.states.values())


BOTH = ["sip:ada@pbx.example", "sip:ben@pbx.example"]


def settings_at(port: int) -> SipPublishSettings:
    return SipPublishSettings(
        enabled=True, host="127.0.0.1", port=port, per_s=1000, expires=timedelta(minutes=10), user="suite", password="x"
    )


async def test_a_server_that_forgot_everything_gets_everything_again():
    server = ScriptedServer()
    # One state is looked at every half second: one by one, it would take minutes.
    team = [*TEAM, *(Colleague(login=f"u{number}", sip_uri=f"u{number}@pbx.example") for number in range(200))]
    times = replace(QUICK, probe_s=0.5)
    async with peer(server.script) as made, feeding(settings_at(made.port), team, times=times) as (_, board):
        for colleague in team:
            state(board, colleague.login, RichState.BUSY)
        await eventually(lambda: len(server.states) == len(team))
        server.states.clear()
        await eventually(lambda: len(server.states) == len(team))


async def test_a_server_that_asks_for_a_wait_of_years_is_asked_again_all_the_same():
    server = ScriptedServer()
    server.answer = lambda request: (403, [("Retry-After", "2000000000")]) if "ada" in request.uri else None
    async with peer(server.script) as made, feeding(settings_at(made.port)) as (feed, board):
        await eventually(lambda: "403" in feed.link.connector.detail)
        assert board.listeners == 0, "a feed takes the place of no console"
        server.answer = lambda _: None
        await eventually(lambda: server.published() == BOTH)


async def test_a_server_that_grants_years_is_not_believed():
    server = ScriptedServer(granted="2147483648")
    async with peer(server.script) as made, UserAgent() as agent:
        document = PublishedDocument(agent, SipServer.at(f"127.0.0.1:{made.port}", "udp"), BOTH[0], expires_s=600)
        document.wanted = b"<presence/>"
        assert (await document.publish()).lasts_s == 600


async def test_a_time_that_is_too_short_for_the_server_is_lengthened():
    server = ScriptedServer()
    server.answer = lambda request: (
        (423, [("Min-Expires", "1800")]) if int(request.headers.first("expires") or 0) in range(1, 1800) else None
    )
    async with peer(server.script) as made, feeding(settings_at(made.port)):
        await eventually(lambda: server.published() == BOTH)


async def test_one_whom_the_server_refuses_keeps_no_other_away():
    server = ScriptedServer()
    server.answer = lambda request: (403, []) if "ada" in request.uri else None
    async with peer(server.script) as made, feeding(settings_at(made.port)) as (feed, _):
        await eventually(lambda: server.published() == BOTH[1:])
        await eventually(
            lambda: "403" in feed.link.connector.detail and "1 state out of 2" in feed.link.connector.detail
        )
        await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)
        server.answer = lambda _: None
        await eventually(lambda: server.published() == BOTH)
        await eventually(lambda: feed.link.connector.detail == "")


async def test_a_server_that_refuses_everything_is_forbidden():
    server = ScriptedServer(answer=lambda _: (403, []))
    async with peer(server.script) as made, feeding(settings_at(made.port)) as (feed, _):
        await eventually(lambda: feed.link.connector.state is Connector.FORBIDDEN)


async def test_a_server_in_trouble_is_asked_with_one_state_at_a_time():
    server = ScriptedServer(answer=lambda _: (503, []))
    team = [*TEAM, *(Colleague(login=f"u{number}", sip_uri=f"u{number}@pbx.example") for number in range(100))]
    settings = replace(settings_at(0), per_s=100_000)
    slow = replace(QUICK, again_s=(60, 60))
    async with (
        peer(server.script) as made,
        feeding(replace(settings, port=made.port), team, times=slow) as (feed, board),
    ):
        for colleague in team:
            state(board, colleague.login, RichState.BUSY)
        await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(made.requests) <= 17  # those that were under way
    async with peer(server.script) as made, feeding(replace(settings, port=made.port), team) as (feed, board):
        for colleague in team:
            state(board, colleague.login, RichState.BUSY)
        await eventually(lambda: len(made.requests) >= 25)
        server.answer = lambda _: None
        await eventually(lambda: len(server.states) == len(team))
        await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)


async def test_a_login_that_is_refused_is_tried_again_only_after_a_long_time():
    challenge = [("WWW-Authenticate", 'Digest realm="x", nonce="n", algorithm=MD5, qop="auth"')]
    server = ScriptedServer(answer=lambda _: (401, challenge))
    async with peer(server.script) as made, feeding(settings_at(made.port), TEAM[:1]) as (feed, _):
        await eventually(lambda: feed.link.connector.state is Connector.FORBIDDEN)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(made.requests) == 2  # the request, and the answer to its challenge
    server = ScriptedServer(answer=lambda _: (401, challenge))
    async with peer(server.script) as made, feeding(settings_at(made.port), TEAM, denied_wait_s=0.05):
        await eventually(lambda: len(made.requests) >= 4)
        server.answer = lambda _: None
        await eventually(lambda: server.published() == BOTH)


async def test_the_newest_state_counts_and_those_between_are_not_sent():
    server = ScriptedServer()
    async with peer(server.script) as made, feeding(replace(settings_at(made.port), per_s=20)) as (_, board):
        await eventually(lambda: server.published() == BOTH)
        before = len(made.requests)
        for told in (RichState.AWAY, RichState.BUSY, RichState.OFFLINE) * 20:
            state(board, "ada", told)
        await eventually(lambda: any(b"<basic>closed" in body for _, body in server.states.values()))
        assert len([each for each in made.requests[before:] if each.body]) <= 2


async def test_at_the_end_everything_is_taken_back():
    server = ScriptedServer()
    async with peer(server.script) as made:
        async with feeding(settings_at(made.port)):
            await eventually(lambda: server.published() == BOTH)
        assert server.published() == []
