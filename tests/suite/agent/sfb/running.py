"""A source of Skype for Business that runs in this process, with short times."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from suite.agent.board import Board
from suite.agent.settings.groups.sfb import SfbSettings
from suite.agent.sources.sfb.pace import SessionPace
from suite.agent.sources.sfb.skype import SkypeSource
from suite.agent.sources.sfb.tokens import UcwaTokens
from suite.agent.sources.source import Connector, ConnectorState
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from suite.names import key_of
from tests.support.waiting import eventually

ADA: Final = Colleague(login="ada", sip_uri="Ada@contoso.example")
BEN: Final = Colleague(login="ben", sip_uri="ben@contoso.example")
QUICK: Final = SessionPace(between_polls=0.01, again=0.01, late=10.0, quiet=0.3)


class Recorded(SkypeSource):
    """A source of which each state of the connection is kept: many last for a moment."""

    def __init__(self, settings: SfbSettings, board: Board, pace: SessionPace) -> None:
        self.told: list[ConnectorState] = []
        super().__init__(
            settings,
            board,
            on_connector=lambda: self.told.append(self.connector),
            backoff=Backoff(lambda _low, _high: 0.01),
            tokens=UcwaTokens(between_s=0.0),
            pace=pace,
        )

    async def tells(self, text: str, state: Connector = Connector.CONNECTION_ERROR) -> None:
        """Wait until it told this, at any time."""
        await eventually(
            lambda: any(each.state is state and text in each.detail for each in self.told), explain=lambda: self.told
        )


@contextlib.asynccontextmanager
async def running(settings: SfbSettings, board: Board, pace: SessionPace = QUICK) -> AsyncIterator[Recorded]:
    """A source that runs while the context lasts, and must not end before."""
    source = Recorded(settings, board, pace)
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
