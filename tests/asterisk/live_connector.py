"""The connector against a living Asterisk: hints as dialogs and as presence, an unknown extension, a wrong password.

Its endpoint sends notifications by UDP only. `make check-asterisk` runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.settings.groups.sip_simple import SipSimpleSettings
from suite.agent.sources.sip.source import SipSource, SipTiming
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from tests.asterisk.asterisk import Asterisk, started
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Asterisk]:
    with started() as running:
        yield running


@dataclass
class Running:
    """A source that runs on a board."""

    source: SipSource
    board: Board

    def statuses(self) -> dict[str, str]:
        shown = {str(key): entry.shown for key, entry in self.board.entries.items()}
        return {key: one.reason or f"{one.status.value}{'?' * one.is_uncertain}" for key, one in shown.items()}

    async def shows(self, **users: str) -> None:
        await eventually(
            lambda: {user: self.statuses()[user] for user in users} == users,
            15,
            explain=lambda: (self.statuses(), self.source.connector),
        )

    async def sees(self, state: str) -> None:
        await eventually(lambda: self.source.connector.state == state, 15, explain=lambda: self.source.connector)


@asynccontextmanager
async def running(asterisk: Asterisk, **settings: object) -> AsyncIterator[Running]:
    board = Board(SourceName.SIP)
    board.set_colleagues(
        [
            Colleague(login="ada", extension="2001", sip_uri="teams-1001@pbx.example"),
            Colleague(login="nobody", extension="2999", sip_uri="nobody@pbx.example"),
        ]
    )
    given: dict[str, object] = {
        "enabled": True, "servers": (f"127.0.0.1:{asterisk.port}",), "protocol": "udp", "uri": "sip:suite@pbx.example",
        "user": "suite", "password": "pw-suite", "domain": "pbx.example", "per_s": 100, "is_by_uri": False,
        "phone_event": "dialog",
    }  # fmt: skip
    source = SipSource(
        SipSimpleSettings(**{**given, **settings}),  # type: ignore[arg-type]
        board,
        backoff=Backoff(lambda low, high: min(high, 0.2)),
        timing=SipTiming(check_every=5),
    )
    board.on_watched = source.watch
    task = asyncio.create_task(source.run())
    try:
        yield Running(source, board)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def device(asterisk: Asterisk, name: str, state: str) -> None:
    asterisk.command(f"devstate change Custom:{name} {state}")


@pytest.mark.parametrize("event", ["dialog", "presence"])
async def test_a_hint_is_the_state_of_the_phone(asterisk: Asterisk, event: str):
    device(asterisk, "phone-2001", "NOT_INUSE")
    async with running(asterisk, phone_event=event) as at:
        await at.sees("up_and_running")  # Asterisk has no extension `suite`, and took the password
        await at.shows(ada="phone_free", nobody="not_found")
        for state, shown in (("RINGING", "phone_ringing"), ("INUSE", "on_the_phone"), ("ONHOLD", "on_the_phone")):
            device(asterisk, "phone-2001", state)
            await at.shows(ada=shown)
        device(asterisk, "phone-2001", "NOT_INUSE")
        await at.shows(ada="phone_free")


async def test_a_wrong_password_is_forbidden(asterisk: Asterisk):
    async with running(asterisk, password="wrong") as at:
        await at.sees("forbidden")
        await at.shows(ada="forbidden")
