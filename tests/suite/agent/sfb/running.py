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
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from suite.names import key_of

ADA: Final = Colleague(login="ada", sip_uri="Ada@contoso.example")
BEN: Final = Colleague(login="ben", sip_uri="ben@contoso.example")
QUICK: Final = SessionPace(between_polls=0.01, again=0.01, late=10.0, quiet=0.3)


@contextlib.asynccontextmanager
async def running(settings: SfbSettings, board: Board, pace: SessionPace = QUICK) -> AsyncIterator[SkypeSource]:
    """A source that runs while the context lasts, and must not end before."""
    source = SkypeSource(
        settings, board, backoff=Backoff(lambda _low, _high: 0.01), tokens=UcwaTokens(between_s=0.0), pace=pace
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
