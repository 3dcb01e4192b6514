"""Each validator finds its fault in a record in which it was planted, and no other validator finds anything there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.record import (
    Acknowledged,
    Asked,
    Begun,
    Calm,
    Closed,
    Complete,
    Connected,
    Disconnected,
    Dropped,
    Found,
    Line,
    Memory,
    Opened,
    Output,
    Person,
    Record,
    Request,
    Reset,
    Resolved,
    Shown,
    Told,
    Trouble,
    Truth,
)  # fmt: skip
from tests.chaos.validators import VALIDATORS, judge

MIB = 1 << 20
ADA, MIA = "ada@contoso.example", "mia@fabrikam.example"
WELL: tuple[Line, ...] = (
    Begun(1, "standalone", 0.0),
    Person("ada", "contoso", ADA),
    Person("mia", "fabrikam", MIA),
    Truth(0.0, "ada", "Available", "Available", "1"),
    Truth(0.0, "mia", "Available", "Available", "1"),
    Truth(20.0, "ada", "Busy", "InACall", "2"),
    Truth(25.0, "ada", "Away", "Away", "3"),
    Opened(10.0, "one", "contoso"),
    Asked(10.0, "one", (ADA,)),
    Connected(10.1, "one", "SNAPSHOT"),
    Resolved(10.2, "one", ADA, "ada"),
    Shown(10.3, "one", "ada", "Available", "Available", "1"),
    Complete(10.3, "one"),
    Told(10.4, "one", "NONE", 10.0, 5.0),
    Opened(11.0, "two", "contoso"),
    Asked(11.0, "two", (ADA,)),
    Connected(11.1, "two", "SNAPSHOT"),
    Resolved(11.2, "two", ADA, "ada"),
    Shown(11.3, "two", "ada", "Available", "Available", "1"),
    Complete(11.3, "two"),
    Told(11.4, "two", "NONE", 11.0, 5.0),
    Shown(21.0, "one", "ada", "Busy", "InACall", "2"),
    Shown(21.0, "two", "ada", "Busy", "InACall", "2"),
    Disconnected(22.0, "two", "SHUTDOWN"),
    Shown(26.0, "one", "ada", "Away", "Away", "3"),
    Connected(28.0, "two", "RESUMED"),
    Shown(28.1, "two", "ada", "Away", "Away", "3"),
    Complete(28.2, "two"),
    Told(28.3, "two", "NONE", 28.0, 5.0),
    Trouble(21.5, 27.0, "kill edge"),
    Told(39.0, "one", "NONE", 38.0, 5.0),
    Told(39.0, "two", "NONE", 38.0, 5.0),
    Calm(30.0, 30.0, 40.0, 6.0),
    Acknowledged(12.0, "grant", "g", 3),
    Found("grant", "g", 4),
    Request(12.0, "contoso", 200),
    Memory(15.0, "edge", 7, 100 * MIB, 2, 2),
    Memory(40.0, "edge", 7, 110 * MIB, 2, 2),
)  # fmt: skip
"""Two suites of a tenant; the second one is away while Ada's presence changes."""


def planted(*more: Line, without: Callable[[Line], bool] = lambda _: False) -> Record:
    lines = [*(line for line in WELL if not without(line)), *more]
    return Record(sorted(lines, key=lambda line: getattr(line, "at", 0.0)))


def is_told_at_last(line: Line) -> bool:
    return isinstance(line, Told) and line.at == 39.0


def is_shown_to_two_after_its_return(line: Line) -> bool:
    return isinstance(line, Shown) and line.suite == "two" and line.at > 28.0


PLANTED: dict[str, list[tuple[str, Record]]] = {
    "Isolated": [
        ("one of contoso is told of mia@fabrikam.example", planted(Shown(29.0, "one", "mia", "Available", "Available", "1"))),
        ("one of contoso is told of mia@fabrikam.example", planted(Resolved(29.0, "one", MIA, "mia"))),
        ("one of contoso is told of a stranger", planted(Resolved(29.0, "one", "x@contoso.example", "a stranger"))),
    ],
    "Ordered": [
        (
            "one: ada@contoso.example goes backwards to Busy InACall 2 at 26.50",
            planted(Shown(26.5, "one", "ada", "Busy", "InACall", "2"), Shown(26.6, "one", "ada", "Away", "Away", "3")),
        ),
        (
            "is shown what never was: Offline Offline",
            planted(Shown(26.5, "one", "ada", "Offline", "Offline"), Shown(26.6, "one", "ada", "Away", "Away", "3")),
        ),
    ],
    "Convergent": [
        (
            "one: at 36.00 ada@contoso.example is shown as",
            planted(
                Truth(29.0, "ada", "Offline", "Offline", "4"),
                Shown(30.0, "two", "ada", "Offline", "Offline", "4"),
                without=is_told_at_last,
            ),
        ),
        (
            "two: is not told that all is well 36.00: STALE",
            planted(Told(35.0, "two", "STALE", 30.0, 5.0), without=is_told_at_last),
        ),
        ("two: at 36.00 ada@contoso.example is shown as", planted(Reset(35.0, "two", True))),
    ],
    "Answered": [
        (
            "one: ben@contoso.example, asked for at 30.00, had no answer after 10.0 s",
            planted(
                Person("ben", "contoso", "ben@contoso.example"), Asked(30.0, "one", ("ben@contoso.example",)),
                Dropped(40.0, "one", ("ben@contoso.example",)),
            ),
        ),
        (
            "one: ben@contoso.example, asked for at 30.00, had no answer after 10.0 s",
            planted(
                Asked(30.0, "one", ("ben@contoso.example",)),
                Resolved(30.1, "one", "ben@contoso.example", "", "PENDING"),
                Dropped(40.0, "one", ("ben@contoso.example",)),
            ),
        ),
    ],
    "Never silently stale": [
        ("one: at 39.50 it is told that all is well, confirmed 29.5 s before", planted(Told(39.5, "one", "NONE", 10.0, 5.0))),
        (
            "one: at 49.50 ada@contoso.example is shown as Away Away 3, over since 40.50, with a contact time of 49.00",
            planted(Truth(40.5, "ada", "Busy", "Busy", "4"), Told(49.5, "one", "NONE", 49.0, 5.0)),
        ),
        ("one: it heard nothing for 60.0 s from 39.00 on, and was connected", planted(Disconnected(99.0, "one", "gone"))),
    ],
    "Resumable": [
        (
            "two: resumed at 28.20, and shows ada@contoso.example as Busy InACall 2, though Away/Away was shown elsewhere",
            planted(
                Shown(29.0, "two", "ada", "Away", "Away", "3"), without=is_shown_to_two_after_its_return
            ),
        ),
    ],
    "Custody": [
        ("grant g was acknowledged as 5, and is 4", planted(Acknowledged(13.0, "grant", "g", 5))),
        ("tenant t was acknowledged as 1, and is gone", planted(Acknowledged(13.0, "tenant", "t", 1))),
        ("edge says a suite key", planted(Output("edge", "a suite key", is_secret=True))),
    ],
    "Bounded": [
        ("edge grew by 60 MiB, with 2 watched users and 2 streams", planted(Memory(41.0, "edge", 7, 160 * MIB, 2, 2))),
        (
            "1501 requests of contoso within 30 s",
            planted(*(Request(50.0 + number / 100, "contoso", 200) for number in range(1501))),
        ),
    ],
    "Orderly": [("worker-1: it ended with -6", planted(Output("worker-1", "it ended with -6")))],
}  # fmt: skip


def test_there_is_a_planted_fault_for_each_validator():
    assert set(PLANTED) == set(VALIDATORS)


def test_a_run_in_which_all_is_well_has_no_fault():
    assert judge(planted()) == []


@pytest.mark.parametrize(
    ("name", "fault", "record"),
    [(name, *each) for name, faults in PLANTED.items() for each in faults],
    ids=[f"{name}-{number}" for name, faults in PLANTED.items() for number, _ in enumerate(faults)],
)
def test_a_validator_finds_the_fault_that_was_planted_and_no_other_finds_one(name: str, fault: str, record: Record):
    found = judge(record)
    assert found
    assert all(each.startswith(f"{name}: ") for each in found), found
    assert any(fault in each for each in found), found


def test_a_presence_that_comes_back_is_told_by_its_number_where_there_is_one():
    back = Truth(30.0, "ada", "Busy", "InACall", "4")
    assert judge(planted(back, Shown(41.0, "one", "ada", "Busy", "InACall"), without=is_late)) == []
    assert judge(planted(back, Shown(41.0, "one", "ada", "Busy", "InACall", "4"), without=is_late)) == []
    assert judge(planted(back, Shown(41.0, "one", "ada", "Busy", "InACall", "2"), without=is_late)) != []


def is_late(line: Line) -> bool:
    return isinstance(line, Calm | Told) and line.at > 28.5


def test_time_in_which_something_was_wrong_does_not_count_for_an_answer():
    asked = Asked(30.0, "one", ("ben@contoso.example",))
    answered = Resolved(44.0, "one", "ben@contoso.example", "", "NOT_FOUND")
    assert judge(planted(asked, answered)) != []
    assert (
        judge(planted(asked, answered, Trouble(31.0, 40.0, "x"), Calm(41.0, 43.0, 43.0, 60.0), without=is_calm)) == []
    )


def is_calm(line: Line) -> bool:
    return isinstance(line, Calm)


def test_a_stream_that_is_reset_is_as_well_as_before_once_it_has_said_everything_again():
    again = (
        Connected(29.0, "two", "RESET"), Reset(29.0, "two", True), Resolved(29.1, "two", ADA, "ada"),
        Shown(29.1, "two", "ada", "Away", "Away", "3"), Complete(29.1, "two"),
    )  # fmt: skip
    assert judge(planted(*again, without=is_told_at_last)) == []
    assert judge(planted(*again[:2], without=is_told_at_last)) != []


def test_a_suite_that_comes_again_holds_nothing_of_before():
    later = (Truth(29.0, "ada", "Busy", "Busy", "4"), Shown(29.5, "one", "ada", "Busy", "Busy", "4"))
    again = (
        Closed(30.5, "two"),
        Opened(31.0, "two", "contoso"),
        Connected(31.1, "two", "SNAPSHOT"),
        Complete(31.2, "two"),
    )
    assert judge(planted(*later, *again, without=lambda line: is_told_at_last(line) or isinstance(line, Calm))) == []


def test_a_suite_that_has_left_is_not_judged():
    later = (Truth(31.0, "ada", "Busy", "Busy", "4"), Shown(31.5, "one", "ada", "Busy", "Busy", "4"))
    assert judge(planted(*later, without=is_told_at_last)) != []
    assert judge(planted(*later, Closed(30.5, "two"), without=is_told_at_last)) == []


def test_a_record_is_judged_again_from_its_file(tmp_path: Path):
    record = Record(file=tmp_path / "record.jsonl")
    for line in PLANTED["Ordered"][0][1]:
        record.note(line)
    record.close()
    again = Record.read(tmp_path / "record.jsonl")
    assert list(again) == list(record)
    assert judge(again) == judge(record) != []
