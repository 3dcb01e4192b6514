"""The suite against a real Asterisk: `make check-asterisk`.

RECORD=1 writes what Asterisk sends into `tests/asterisk/recorded`, which other tests read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from suite.agent.board import Board
from suite.agent.core.values import RichState, RichStatement, SourceName, TelephonyState
from suite.agent.feeds.ami import AmiDenied, device_variable
from suite.agent.feeds.ami_link import opened
from suite.agent.feeds.asterisk import AsteriskFeed
from suite.agent.settings.groups.asterisk import AsteriskSettings
from suite.agent.settings.groups.sip_server import SipAddress, SipPublishers, SipServerSettings
from suite.agent.settings.groups.sip_simple import SipSimpleSettings
from suite.agent.sipserver.server import PhoneServer
from suite.agent.sources.sip.source import SipSource
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from suite.sip import dialoginfo, pidf
from suite.sip.challenges import DigestClient
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.digest import Login
from suite.sip.errors import SipRefusal
from suite.sip.pidf import PidfDocument, read_pidf
from suite.sip.resource_lists import ListHeld, read_list
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd
from suite.sip.user_agent import UserAgent
from tests.asterisk.asterisk import SECRET, Asterisk, started
from tests.asterisk.wire import listening
from tests.support.waiting import eventually

RECORDED: Final = Path(__file__).parent / "recorded"
TEAM: Final = tuple(Colleague(login=name, extension=number) for name, number in (("ada", "1001"), ("ben", "1002")))


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Asterisk]:
    with started() as made:
        yield made


def record(name: str, datagrams: list[bytes], first_line: bytes) -> None:
    """Keep the newest datagram that begins so."""
    if os.environ.get("RECORD"):
        [*_, newest] = [each for each in datagrams if each.startswith(first_line)]
        RECORDED.mkdir(exist_ok=True)
        (RECORDED / f"{name}.sip").write_bytes(newest)


def settings_for(asterisk: Asterisk) -> AsteriskSettings:
    return AsteriskSettings(
        enabled=True, host="127.0.0.1", port=asterisk.ami_port, user="presence", secret=SECRET, per_s=1000
    )


def state(board: Board, name: str, told: RichState) -> None:
    board.state_rich(name, SourceName.TEAMS, RichStatement(state=told))


@contextlib.asynccontextmanager
async def feeding(settings: AsteriskSettings) -> AsyncIterator[tuple[AsteriskFeed, Board]]:
    board = Board(SourceName.TEAMS)
    board.set_colleagues(TEAM)
    state(board, "ada", RichState.IN_A_MEETING)
    state(board, "ben", RichState.AVAILABLE)
    feed = AsteriskFeed(settings, board, backoff=Backoff(lambda low, high: min(high, 0.1)), again_s=(0.1, 0.5))
    task = asyncio.create_task(feed.run())
    try:
        yield feed, board
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


def server_at(asterisk: Asterisk) -> SipServer:
    login = DigestClient(Login(user="suite", password="pw-suite"))
    return SipServer.at(f"127.0.0.1:{asterisk.port}", "udp", digest=login)


def wish(asterisk: Asterisk, extension: str, event: str = "presence") -> SubscriptionWish:
    host = f"127.0.0.1:{asterisk.port}"
    accept = (pidf.CONTENT_TYPE,) if event == "presence" else (dialoginfo.CONTENT_TYPE,)
    return SubscriptionWish(
        uri=f"sip:{extension}@{host}", own_uri=f"sip:suite@{host}", event=event, accept=accept, expires_s=300
    )


@contextlib.asynccontextmanager
async def watching(asterisk: Asterisk, extension: str, event: str = "presence") -> AsyncIterator[list[Notification]]:
    """Watch a hint, as a phone's lamp does."""
    told: list[Notification] = []

    def take(each: SubscriptionEvent) -> None:
        if isinstance(each, Notification):
            told.append(each)

    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(asterisk), wish(asterisk, extension, event), take)
        yield told
        await subscription.unsubscribe()


def seen(told: list[Notification]) -> PidfDocument:
    return read_pidf(told[-1].body) if told and told[-1].body else PidfDocument()


def lamps(told: list[Notification]) -> list[str]:
    return [each.state for each in read_dialog_info(told[-1].body).dialogs] if told and told[-1].body else []


async def test_lamps_follow_the_colleague(asterisk: Asterisk):
    with listening(asterisk.port) as wire:
        async with (
            watching(asterisk, "teams-1001") as presence,
            watching(asterisk, "teams-1001", "dialog") as dialog,
            feeding(settings_for(asterisk)) as (feed, board),
        ):
            await eventually(lambda: lamps(dialog) == ["confirmed"])
            await eventually(lambda: "on-the-phone" in seen(presence).activities)
            assert seen(presence).notes == ("On the phone",)
            record("notify-presence-in-use", [each for each in wire if b"On the phone" in each], b"NOTIFY")
            assert feed.link.connector.state is Connector.UP_AND_RUNNING
            state(board, "ada", RichState.AVAILABLE)
            await eventually(lambda: lamps(dialog) == ["terminated"] and seen(presence).notes == ("Ready",))
            state(board, "ada", RichState.DO_NOT_DISTURB)
            await eventually(lambda: lamps(dialog) == ["confirmed"])
            record("notify-dialog-confirmed", [each for each in wire if b"dialog-info" in each], b"NOTIFY")
            state(board, "ada", RichState.UNKNOWN)
            await eventually(lambda: lamps(dialog) == ["terminated"] and seen(presence).is_open is False)
            record("notify-presence-unavailable", [each for each in wire if b"pidf" in each], b"NOTIFY")
            state(board, "ada", RichState.BUSY)
            await eventually(lambda: lamps(dialog) == ["confirmed"])
        # The agent has ended.
        assert "State:Unavailable" in asterisk.command("core show hints").split("teams-1001@hints")[1].splitlines()[0]


async def test_presence_states_have_texts_in_any_letters(asterisk: Asterisk):
    async with feeding(replace(settings_for(asterisk), language="it")) as (_, board):
        state(board, "ada", RichState.AVAILABLE_IDLE)

        def shown() -> str:
            return asterisk.command("presencestate list").split("CustomPresence:teams-1001")[1].split("---\n---")[0]

        await eventually(lambda: "'available'" in shown())
        assert "YXZhaWxhYmxlX2lkbGU=" in shown()  # kept as Base64, and decoded where it is read
        assert "Base64 Encoded: 'Yes'" in shown()


async def test_a_colleague_who_left_leaves_no_lamp_behind(asterisk: Asterisk):
    async with feeding(settings_for(asterisk)) as (_, board):
        await eventually(lambda: "'Custom:teams-1001'  State: 'INUSE'" in asterisk.command("devstate list"))
        board.set_colleagues(TEAM[1:])
        await eventually(lambda: "'Custom:teams-1001'  State: 'UNAVAILABLE'" in asterisk.command("devstate list"))


async def test_a_lamp_left_behind_goes_out_and_others_stay(asterisk: Asterisk):
    async with opened("127.0.0.1", asterisk.ami_port, "presence", SECRET) as link:
        for name in ("Custom:teams-1009", "Custom:night-1009"):
            await link.action("Setvar", Variable=device_variable(name), Value="INUSE")
    async with feeding(settings_for(asterisk)):
        await eventually(lambda: "'Custom:teams-1009'  State: 'UNAVAILABLE'" in asterisk.command("devstate list"))
        assert "'Custom:night-1009'  State: 'INUSE'" in asterisk.command("devstate list")


async def test_after_asterisk_was_killed_everything_is_fed_again(asterisk: Asterisk):
    async with feeding(settings_for(asterisk)) as (feed, board):
        await eventually(lambda: "State: 'INUSE'" in asterisk.command("devstate list"))
        asterisk.kill()
        await eventually(lambda: feed.link.connector.state is Connector.CONNECTION_ERROR)
        state(board, "ben", RichState.IN_A_CALL)
        asterisk.start()  # not in a thread, with which it would end
        await eventually(lambda: feed.link.connector.state is Connector.UP_AND_RUNNING)
        async with watching(asterisk, "teams-1002", "dialog") as dialog:
            await eventually(lambda: lamps(dialog) == ["confirmed"])
        await eventually(lambda: feed.link.connector.detail == "")


async def test_a_wrong_secret_and_a_user_without_the_right_are_told_as_that(asterisk: Asterisk):
    async with feeding(replace(settings_for(asterisk), secret="wrong")) as (feed, _):
        await eventually(lambda: feed.link.connector.state is Connector.FORBIDDEN)
        assert "Authentication failed" in feed.link.connector.detail
    async with feeding(replace(settings_for(asterisk), user="onlooker")) as (feed, _):
        await eventually(lambda: "does not let the manager's user do Setvar" in feed.link.connector.detail)


async def test_the_user_with_least_rights_can_set_states_and_no_more(asterisk: Asterisk):
    async with opened("127.0.0.1", asterisk.ami_port, "presence", SECRET) as link:
        assert (await link.action("Setvar", Variable=device_variable("Custom:teams-1001"), Value="INUSE")).is_success
        for action, fields in (
            ("Command", {"Command": "core show version"}),
            ("DBDelTree", {"Family": "CustomDevstate"}),
        ):
            with pytest.raises(AmiDenied):
                await link.action(action, **fields)
        with pytest.raises(AmiDenied):
            await link.action("Originate", Channel="Local/1001@hints", Application="Wait", Data="1")


async def test_an_extension_that_does_not_exist_is_not_found(asterisk: Asterisk):
    ends: list[SubscriptionEnd] = []
    async with UserAgent() as agent:
        Subscriber(agent).subscribe(
            server_at(asterisk),
            wish(asterisk, "nobody"),
            lambda each: ends.append(each) if isinstance(each, SubscriptionEnd) else None,
        )
        await eventually(lambda: [end.status for end in ends] == [404])


async def test_asterisk_refuses_to_tell_a_state_once(asterisk: Asterisk):
    async with UserAgent() as agent:
        with pytest.raises(SipRefusal, match="400"):
            await Subscriber(agent).fetch(server_at(asterisk), wish(asterisk, "teams-1001"))


async def test_a_resource_list_has_all_states(asterisk: Asterisk):
    held = ListHeld()

    def take(each: SubscriptionEvent) -> None:
        if isinstance(each, Notification) and each.body:
            held.take(read_list(each.content_type_line, each.body))

    def states() -> dict[str, bool | None]:
        return {
            uri.partition("@")[0]: read_pidf(each.body).is_open for uri, each in held.resources.items() if each.body
        }

    with listening(asterisk.port) as wire:
        async with UserAgent() as agent, feeding(settings_for(asterisk)):
            await eventually(lambda: "'Custom:teams-1001'  State: 'INUSE'" in asterisk.command("devstate list"))
            await eventually(lambda: "'Custom:teams-1002'  State: 'NOT_INUSE'" in asterisk.command("devstate list"))
            listed = replace(wish(asterisk, "everyone"), resource_list=True)
            subscription = Subscriber(agent).subscribe(server_at(asterisk), listed, take)
            await eventually(lambda: list(states().values()) == [True, True])
            record("notify-list", [each for each in wire if each.count(b"pidf+xml") == 2], b"NOTIFY")
            await subscription.unsubscribe()


async def test_the_state_of_a_phone_is_published_to_the_agent(asterisk: Asterisk):
    board = Board(SourceName.TEAMS)
    board.set_colleagues([Colleague(login="ada", extension="2001")])
    loopback = (ipaddress.ip_network("127.0.0.1/32"),)
    server = PhoneServer(
        SipServerSettings(
            enabled=True,
            addresses=(SipAddress(protocol="udp", host="127.0.0.1", port=asterisk.published_port),),
            publishers=SipPublishers(networks=loopback),
        ),
        board,
    )
    task = asyncio.create_task(server.run())
    try:
        await eventually(lambda: server.is_listening)
        with listening(asterisk.port) as wire:
            async with opened("127.0.0.1", asterisk.ami_port, "presence", SECRET) as link:
                for value, told in (
                    ("INUSE", TelephonyState.BUSY),
                    ("RINGING", TelephonyState.RINGING),
                    ("NOT_INUSE", TelephonyState.IDLE),
                ):
                    await link.action("Setvar", Variable="DEVICE_STATE(Custom:phone-2001)", Value=value)
                    await eventually(lambda told=told: board.entries["ada"].shown.telephony is told)
                    record(f"publish-{value.lower().replace('_', '-')}", wire, b"PUBLISH")
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_connector_takes_the_state_of_a_phone_from_its_hint(asterisk: Asterisk):
    board = Board(SourceName.TEAMS)
    board.set_colleagues([Colleague(login="ada", extension="2001")])
    host = f"127.0.0.1:{asterisk.port}"
    settings = SipSimpleSettings(
        enabled=True, servers=(host,), uri=f"sip:suite@{host}", user="suite", password="pw-suite",
        domain="127.0.0.1", is_by_uri=False, phone_event="dialog",
    )  # fmt: skip
    source = SipSource(settings, board)
    task = asyncio.create_task(source.run())
    try:
        async with opened("127.0.0.1", asterisk.ami_port, "presence", SECRET) as link:
            for value, told in (("INUSE", TelephonyState.BUSY), ("NOT_INUSE", TelephonyState.IDLE)):
                await link.action("Setvar", Variable="DEVICE_STATE(Custom:phone-2001)", Value=value)
                await eventually(lambda told=told: board.entries["ada"].shown.telephony is told)
    finally:
        task.cancel()
        await asyncio.wait({task})
