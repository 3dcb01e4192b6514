"""What a console that comes new is sent: pieces that were made for another one before it, and what changed since."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from suite.agent.api.shapes import user_of
from suite.agent.api.wire import EVENTS_A_PIECE, Wire
from suite.agent.board import Board
from suite.agent.core.values import (
    PhoneSource,
    RichState,
    RichStatement,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)
from suite.agent.notekeeping.clock import NoteClock
from suite.agent.notekeeping.keeper import NoteKeeper
from suite.agent.users.reading import Colleague
from suite.names import key_of

STATES = list(RichState)


def colleagues(*numbers: int) -> list[Colleague]:
    return [Colleague(login=f"u{number}", upn=f"u{number}@x.org", extension=str(1000 + number)) for number in numbers]


def change(board: Board, chance: random.Random) -> None:
    """Something happens to somebody."""
    key = key_of(f"u{chance.randrange(250)}")
    match chance.randrange(20):
        case 0:
            board.set_colleagues(colleagues(*chance.sample(range(250), 230)))
        case 1 | 2:
            board.state_telephony(key, PhoneSource.LOCAL, TelephonyStatement(state=chance.choice(list(TelephonyState))))
        case _:
            board.state_rich(key, SourceName.TEAMS, RichStatement(state=chance.choice(STATES)))


async def arrival(board: Board, wire: Wire) -> tuple[dict[str, Any], int]:
    """What a console shows that has just come, and the identity of the pieces that it was sent."""
    revision, pieces = await wire.everybody()
    missed = board.missed((board.epoch, revision))
    assert missed is not None
    shown = {}
    for event in b"".join(pieces).decode().split("\n\n")[:-1]:
        name, data = event.split("\n")  # no id: nobody resumes in the middle
        assert name == "event: state"
        state = json.loads(data.removeprefix("data: "))
        shown[state["user"]] = state
    for key in missed:
        shown.pop(key, None)
        if (entry := board.entries.get(key)) is not None:
            shown[key] = json.loads(wire.json(key, entry))
    return shown, id(pieces)


async def test_whoever_comes_new_is_shown_what_the_board_shows_however_old_the_pieces_are():
    chance, board = random.Random(16), Board(SourceName.TEAMS)
    board.set_colleagues(colleagues(*range(250)))
    wire, kinds, arrivals = Wire(board, NoteKeeper(board, None, NoteClock())), set(), 0

    async def meanwhile() -> None:
        for _ in range(chance.randrange(8)):
            change(board, chance)
            await asyncio.sleep(0)

    for _ in range(60):
        for _ in range(chance.randrange(12)):
            change(board, chance)
        busy = asyncio.create_task(meanwhile())
        shown, kind = await arrival(board, wire)
        assert shown == {key: json.loads(json.dumps(user_of(key, entry))) for key, entry in board.entries.items()}
        await busy
        kinds.add(kind)
        arrivals += 1
    assert 1 < len(kinds) < arrivals


async def test_consoles_that_come_together_share_the_pieces():
    board = Board(SourceName.TEAMS)
    board.set_colleagues(colleagues(*range(3 * EVENTS_A_PIECE)))
    wire = Wire(board, NoteKeeper(board, None, NoteClock()))
    found = await asyncio.gather(*(wire.everybody() for _ in range(20)))
    assert len({id(pieces) for _, pieces in found}) == 1
    assert len(found[0][1]) == 3
