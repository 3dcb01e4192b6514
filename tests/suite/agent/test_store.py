"""The store: what is kept over a restart, and what happens to its file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from suite.agent.settings.groups.teams import TeamsSettings
from suite.agent.store.answers import AnswerStore, owner_of
from suite.agent.store.database import Database, StoreInUse
from suite.agent.store.encoding import decode_presence, encode_presence
from suite.errors import ConfigError
from suite.held import Answer, Held, Resolution
from suite.values import Availability, ConsoleStatus, Presence, Source, Status

PRESENCE = Presence(
    upn="ada@x.org",
    availability=Availability.BUSY,
    raw_availability="Busy",
    raw_activity="InACall",
    idle=False,
    idle_time=None,
    console_status=ConsoleStatus.IN_A_CALL,
    status_message="Bin gleich da 🙂",
    out_of_office=None,
    out_of_office_message="",
    observe_time=datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC),
    source=Source.POLL,
    sequence_number="7",
)
HELD = Held(
    token="t1",
    names={
        "ada@x.org": Resolution("A", None),
        "ben@x.org": Resolution("B", None),
        "eve@x.org": Resolution(None, Status.NOT_FOUND),
    },
    answers={"A": Answer(PRESENCE, None), "B": Answer(None, Status.STALE)},
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "agent.db"


def kept(file: Path, owner: str = "r k") -> Held:
    with contextlib.closing(Database(file)) as database:
        return AnswerStore(database).load(owner)


def keep(file: Path, held: Held, owner: str = "r k", gone: frozenset[str] = frozenset()) -> str:
    with contextlib.closing(Database(file)) as database:
        store = AnswerStore(database)
        assert store.save(owner, held, gone)
        return store.instance_id


def fill(database: Database) -> None:
    """Leave no room for another page: SQLite then says what it says on a full disk."""
    [(pages,)] = database.rows("PRAGMA page_count")
    database.rows(f"PRAGMA max_page_count = {pages}")


def test_what_is_kept_is_what_was_held(file: Path):
    first = keep(file, HELD)
    assert kept(file) == HELD
    assert keep(file, HELD) == first  # the agent is the same one to the relay
    assert file.stat().st_mode & 0o077 == 0


def test_changes_are_added_and_those_who_are_gone_are_forgotten_with_their_answers(file: Path):
    keep(file, HELD)
    changed = replace(PRESENCE, raw_availability="Away")
    keep(
        file,
        Held(token="t2", names={"ben@x.org": Resolution("B", None)}, answers={"B": Answer(changed, None)}),
        gone=frozenset({"ada@x.org"}),
    )
    assert kept(file) == Held(
        token="t2",
        names={"ben@x.org": Resolution("B", None), "eve@x.org": Resolution(None, Status.NOT_FOUND)},
        answers={"B": Answer(changed, None)},
    )


def test_another_organisations_answers_are_neither_shown_nor_left_in_the_file(file: Path):
    one = TeamsSettings(address="Relay.example:443", key="psk_key1_secret")
    other = replace(one, key="psk_key2_secret")
    assert owner_of(one) == "relay.example:443 key1"
    keep(file, HELD, owner_of(one))
    assert kept(file, owner_of(other)) == Held()
    keep(file, Held(token="t9"), owner_of(other))
    assert kept(file, owner_of(one)) == Held()
    assert b"ada@x.org" not in file.read_bytes()
    assert b"secret" not in file.read_bytes()


@pytest.mark.parametrize("what", [b"not a database at all" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_and_the_agent_begins_anew(file: Path, what: bytes):
    keep(file, HELD)
    file.write_bytes(what)
    assert kept(file) == Held()
    keep(file, HELD)
    assert kept(file) == HELD
    aside = [one for one in file.parent.iterdir() if "damaged" in one.name]
    assert [one.read_bytes() for one in aside] == ([what] if what else [])


def test_a_page_that_was_overwritten_is_found_at_the_start(file: Path):
    names = {f"u{number}@x.org": Resolution(None, Status.NOT_FOUND) for number in range(500)}
    keep(file, Held(token="t", names=names))
    raw = bytearray(file.read_bytes())
    raw[4096 * 2 : 4096 * 4] = b"\xaa" * 4096 * 2
    file.write_bytes(raw)
    assert kept(file) == Held()


def test_a_second_agent_is_told_that_the_file_is_in_use(file: Path):
    with contextlib.closing(Database(file)) as database:
        with pytest.raises(StoreInUse, match="another agent"):
            Database(file)
        assert AnswerStore(database).save("r k", HELD, ())
    assert kept(file) == HELD


def test_a_place_that_cannot_hold_a_store_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "agent.db", tmp_path):
        with pytest.raises(ConfigError, match="store"):
            Database(place)


def test_a_full_disk_keeps_what_was_there_and_is_told_once(file: Path, caplog: pytest.LogCaptureFixture):
    keep(file, HELD)
    database = Database(file)
    store = AnswerStore(database)
    fill(database)
    many = Held(token="t2", names={f"u{number}@x.org": Resolution(None, Status.NOT_FOUND) for number in range(2000)})
    assert [store.save("r k", many, ()) for _ in range(2)] == [False, False]
    assert len([record for record in caplog.records if "full" in record.getMessage()]) == 1
    assert store.load("r k") == HELD
    database.rows("PRAGMA max_page_count = 100000")
    assert store.save("r k", many, ())
    database.close()
    assert kept(file).token == "t2"


_WRITES: str = """
import sys
from pathlib import Path
from suite.agent.store.answers import AnswerStore
from suite.agent.store.database import Database
from suite.held import Held, Resolution
from suite.values import Status
store = AnswerStore(Database(Path(sys.argv[1])))
for number in range(1, 1_000_000):
    names = {f"u{one}@x.org": Resolution(f"{number}", None) for one in range(20)}
    from suite.held import Answer
    assert store.save("r k", Held(token=str(number), names=names, answers={str(number): Answer(None, Status.STALE)}), ())
    print(number, flush=True)
"""


def test_an_agent_that_is_killed_while_it_writes_leaves_one_moment_whole(file: Path):
    for after in (1, 3, 6):
        with subprocess.Popen([sys.executable, "-c", _WRITES, file], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(after)]
            os.kill(writer.pid, signal.SIGKILL)
        found = kept(file)
        assert int(found.token) >= int(lines[-1])
        assert {one.user_id for one in found.names.values()} == {found.token}


def test_a_presence_is_read_as_it_was_written_by_any_version():
    assert decode_presence(encode_presence(PRESENCE)) == PRESENCE
    older = encode_presence(PRESENCE).replace('"mail": ""', '"new_field": 1')
    assert decode_presence(older) == PRESENCE
    for wrong in ("[]", "{}", "1", '"x"', "nonsense", '{"upn": 1}'):
        with pytest.raises(ValueError):
            decode_presence(wrong)
