"""Notes of a running agent: on the disk before they are acknowledged, on the board at once, and gone when their time is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.notekeeping import keeper as keeper_module
from suite.agent.notekeeping.clock import NoteClock
from suite.agent.notekeeping.keeper import NoteKeeper, NotesBusy, TooManyNotes
from suite.agent.notes import notebook as notebook_module
from suite.agent.notes.values import HISTORY_S, Kept, Version
from suite.agent.store.database import Database
from suite.agent.store.not_kept import NotKept
from suite.agent.store.notes import NoteStore
from suite.agent.users.reading import Colleague
from suite.names import key_of
from tests.suite.agent.test_store import HELD, fill, keep
from tests.suite.agent.test_store import kept as kept_answers

ADA, BEN = key_of("ada@x.org"), key_of("ben@x.org")


@dataclass
class Clocks:
    """The machine's clocks, which the test sets."""

    steady_s: float = 5_000.0
    wall_s: float = 1_800_000_000.0

    def passes(self, seconds: float) -> None:
        self.steady_s += seconds
        self.wall_s += seconds

    @property
    def clock(self) -> NoteClock:
        return NoteClock(lambda: self.steady_s, lambda: self.wall_s)


@dataclass
class Room:
    """A keeper over a file that is opened anew by `keeper`."""

    file: Path
    clocks: Clocks = field(default_factory=Clocks)
    database: Database | None = None

    @contextlib.asynccontextmanager
    async def keeper(self) -> AsyncIterator[NoteKeeper]:
        board = Board(SourceName.TEAMS)
        board.set_colleagues([Colleague(login="ada", upn="Ada@x.org"), Colleague(login="ben", upn="ben@x.org")])
        with contextlib.closing(Database(self.file)) as self.database:
            made = NoteKeeper(board, NoteStore(self.database), self.clocks.clock)
            await made.load()
            try:
                yield made
            finally:
                await made.close()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "agent.db")


def text_of(keeper: NoteKeeper, subject: str = ADA) -> str | None:
    found = keeper.shown(key_of(subject))
    return found.version.text if found is not None else None


def texts_of(keeper: NoteKeeper, subject: str = ADA) -> list[str]:
    return [kept.version.text for kept in keeper.history(key_of(subject))]


async def test_notes_and_their_history_are_there_after_a_restart(room: Room):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
        await keeper.write(ADA, "two", "Leo", 3600)
        await keeper.write(BEN, "gone", "Eva", None)
        await keeper.write(BEN, "", "Leo", None)
        written = [keeper.history(ADA), keeper.history(BEN)]
    room.clocks.passes(60)
    async with room.keeper() as keeper:
        assert [keeper.history(ADA), keeper.history(BEN)] == written
        assert (text_of(keeper), text_of(keeper, BEN)) == ("two", None)
    assert room.file.stat().st_mode & 0o077 == 0


async def test_a_note_is_gone_when_its_time_is_over_and_nothing_of_it_is_left_a_day_later(room: Room):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "back at three", "Eva", 60)
        await keeper.write(BEN, "secret of yesterday", "Eva", None)
        await keeper.write(BEN, "today", "Eva", None)
    room.clocks.passes(61)
    async with room.keeper() as keeper:
        assert (text_of(keeper), texts_of(keeper)) == (None, ["back at three"])
        room.clocks.passes(HISTORY_S)
        await keeper.look()
        assert (texts_of(keeper), texts_of(keeper, BEN)) == ([], ["today"])
    held = room.file.read_bytes()
    assert (b"back at three" in held, b"secret of yesterday" in held, b"today" in held) == (False, False, True)


async def test_the_board_is_told_when_a_note_comes_and_when_its_time_is_over(room: Room):
    async with room.keeper() as keeper:
        with keeper._board.listening(None, None) as listener:
            listener.take(), listener.take_notes()
            await keeper.write(ADA, "one", "Eva", 60)
            assert listener.take_notes() == ["ada"]
            room.clocks.passes(59)
            await keeper.look()
            assert listener.take_notes() == []
            room.clocks.passes(1)
            await keeper.look()
            assert (listener.take_notes(), text_of(keeper)) == (["ada"], None)


async def test_a_clock_that_is_set_while_the_agent_runs_ends_no_note(room: Room):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", 3600)
        for jump_s in (10**8, -(2 * 10**8)):
            room.clocks.wall_s += jump_s
            await keeper.look()
            assert text_of(keeper) == "one"
        await keeper.write(ADA, "two", "Leo", None)  # by a clock that is years behind
        assert texts_of(keeper) == ["two", "one"]
    async with room.keeper() as keeper:
        assert text_of(keeper) == "two"


async def test_the_file_of_an_older_agent_is_completed_and_loses_nothing(room: Room):
    keep(room.file, HELD)
    older = sqlite3.connect(room.file)
    older.execute("DROP TABLE notes")
    older.commit()
    older.close()
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
    async with room.keeper() as keeper:
        assert text_of(keeper) == "one"
    assert kept_answers(room.file) == HELD


async def test_a_full_disk_refuses_a_note_and_leaves_what_was_there(room: Room, caplog: pytest.LogCaptureFixture):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
        assert room.database is not None
        fill(room.database)

        async def write_much() -> None:
            for number in range(1, 40):
                await keeper.write(BEN, str(number) * 200, "Leo", None)

        with pytest.raises(NotKept) as refused:
            await write_much()
        assert refused.value.is_full
        assert "the disk is full" in keeper.trouble
        last = text_of(keeper, BEN)
        with pytest.raises(NotKept):
            await write_much()
        room.database.rows("PRAGMA max_page_count = 100000")
        await keeper.write(ADA, "two", "Eva", None)
        assert (keeper.trouble, text_of(keeper)) == ("", "two")
        shown = text_of(keeper, BEN)
    async with room.keeper() as keeper:
        assert (text_of(keeper), text_of(keeper, BEN)) == ("two", shown)
        assert last is None or shown is not None
    assert len([one for one in caplog.records if "cannot be stored" in one.getMessage()]) == 1
    assert "Leo" not in caplog.text


async def test_what_the_hub_sent_while_the_disk_was_full_is_on_it_when_there_is_room(room: Room):
    def of_the_hub(stamp: int, text: str) -> Kept:
        there = Version(subject=ADA, stamp=stamp, agent="hub", text=text, author="Leo", written_ms=1)
        return Kept(there, None)

    async with room.keeper() as keeper:
        await keeper.take([of_the_hub(1, "old")], must_keep=False)
        assert room.database is not None
        fill(room.database)
        for number in range(2, 80):
            await keeper.take([of_the_hub(number, f"{number} " * 100)], must_keep=False)
        assert "the disk is full" in keeper.trouble
        await keeper.take([of_the_hub(99, "new")], must_keep=False)
        room.database.rows("PRAGMA max_page_count = 100000")
        await keeper.look()
        assert keeper.trouble != ""  # not at each look
        room.clocks.passes(61)
        await keeper.look()
        assert keeper.trouble == ""
        history = len(keeper.history(ADA))
    async with room.keeper() as keeper:
        assert (text_of(keeper), len(keeper.history(ADA))) == ("new", history)


async def test_what_the_hub_sends_waits_however_many_writers_there_are(room: Room, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keeper_module, "MOST_WAITING", 3)
    there = Version(subject=BEN, stamp=1, agent="hub", text="from the hub", author="Leo", written_ms=1)
    async with room.keeper() as keeper:
        writers = [asyncio.create_task(keeper.write(ADA, f"text {number}", "Eva", None)) for number in range(3)]
        await asyncio.sleep(0)
        assert await keeper.take([Kept(there, None)], must_keep=False) == []
        await asyncio.gather(*writers)
        assert text_of(keeper, BEN) == "from the hub"


async def test_a_damaged_file_is_told_and_the_agent_begins_without_its_notes(room: Room):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
    room.file.write_bytes(b"nonsense" * 1000)
    async with room.keeper() as keeper:
        assert text_of(keeper) is None
        assert "agent.db.damaged-" in keeper.told
        await keeper.write(ADA, "two", "Eva", None)


async def test_rows_that_are_no_notes_are_left_out(room: Room, caplog: pytest.LogCaptureFixture):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
        assert room.database is not None
        with room.database.transaction() as run:
            run.execute("INSERT INTO notes VALUES (?, 'x', 'a', 'text', 'Eva', 1, NULL, NULL)", (BEN,))
    async with room.keeper() as keeper:
        assert (text_of(keeper), text_of(keeper, BEN)) == ("one", None)
    assert "1 rows of notes are damaged" in caplog.text


async def test_without_a_store_notes_of_others_are_shown_and_writing_is_refused():
    keeper = NoteKeeper(Board(SourceName.TEAMS), None, NoteClock())
    await keeper.load()
    with pytest.raises(NotKept, match="without its store"):
        await keeper.write(ADA, "one", "Eva", None)
    there = Version(subject=ADA, stamp=1, agent="hub", text="from the hub", author="Leo", written_ms=1)
    with pytest.raises(NotKept):
        await keeper.take([Kept(there, None)], must_keep=True)
    assert await keeper.take([Kept(there, None)], must_keep=False) == []
    assert text_of(keeper) == "from the hub"


async def test_more_notes_than_there_is_room_for_and_more_writers_than_the_disk_serves_are_refused(
    room: Room, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(notebook_module, "MOST_SUBJECTS", 1)
    monkeypatch.setattr(keeper_module, "MOST_WAITING", 3)
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
        with pytest.raises(TooManyNotes):
            await keeper.write(BEN, "one", "Eva", None)
        outcomes = await asyncio.gather(
            *(keeper.write(ADA, f"text {number}", "Eva", None) for number in range(5)), return_exceptions=True
        )
        assert [type(one) for one in outcomes] == [type(None)] * 3 + [NotesBusy] * 2
        assert text_of(keeper) == "text 2"


async def test_a_writer_that_leaves_changes_the_disk_and_the_board_alike_or_neither(room: Room):
    async with room.keeper() as keeper:
        task = asyncio.create_task(keeper.write(ADA, "one", "Eva", None))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await keeper.close()
        seen = text_of(keeper)
    async with room.keeper() as keeper:
        assert text_of(keeper) == seen


async def test_what_has_been_here_is_taken_again_without_a_change(room: Room):
    async with room.keeper() as keeper:
        await keeper.write(ADA, "one", "Eva", None)
        position = keeper.feed.position
        again = list(keeper.versions())
        assert await keeper.take(again, must_keep=True) == []
        assert (keeper.feed.position, len(keeper.feed.since(0))) == (position, 1)


_WRITES: str = """
import asyncio, sys
from pathlib import Path
from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.notekeeping.clock import NoteClock
from suite.agent.notekeeping.keeper import NoteKeeper
from suite.agent.store.database import Database
from suite.agent.store.notes import NoteStore
from suite.names import key_of

async def run():
    keeper = NoteKeeper(Board(SourceName.TEAMS), NoteStore(Database(Path(sys.argv[1]))), NoteClock())
    await keeper.load()
    async def write(who):
        for number in range(1_000_000):
            await keeper.write(key_of(f"u{who}@x.org"), f"{number}", "Eva", None)
            print(who, number, flush=True)
    await asyncio.gather(*(write(who) for who in range(3)))

asyncio.run(run())
"""


def killed_after(lines: int, file: Path) -> list[str]:
    """Kill a writer when it has acknowledged so many notes, and return all that it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", _WRITES, file], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        os.kill(writer.pid, signal.SIGKILL)
        return said + [line for line in writer.stdout if line.endswith("\n")]


@pytest.mark.long
async def test_what_was_acknowledged_survives_a_kill_at_any_moment(room: Room):
    for after in (1, 4, 17):
        acknowledged = {int(who): int(number) for who, number in map(str.split, killed_after(after, room.file))}
        async with room.keeper() as keeper:
            for who, number in acknowledged.items():
                assert int(text_of(keeper, f"u{who}@x.org") or -1) in (number, number + 1)


async def test_a_note_waits_for_the_disk_and_answers_of_the_relay_do_not(tmp_path: Path):
    with contextlib.closing(Database(tmp_path / "agent.db")) as database:
        with database.transaction(durable=True) as run:
            assert run.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        with database.transaction() as run:
            assert run.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
        with contextlib.suppress(ZeroDivisionError), database.transaction(durable=True):
            _ = 1 / 0
        with database.transaction() as run:
            assert run.execute("PRAGMA synchronous").fetchone() == (1,)
