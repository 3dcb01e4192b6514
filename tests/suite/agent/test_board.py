"""The board: who is on it, what is shown, and what a console that comes back has missed."""

from __future__ import annotations

import random
from dataclasses import replace

from suite.agent.board import MOST_REMOVED, Board, BoardListener
from suite.agent.core.values import (
    PhoneSource,
    RichState,
    RichStatement,
    ShownStatus,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)
from suite.agent.users.reading import MOST_COLLEAGUES, Colleague
from suite.names import key_of

TEAMS, SIP = SourceName.TEAMS, SourceName.SIP
ADA = Colleague(login="Ada", upn="ada@x.org", extension="1001")
BEN = Colleague(login="ben", upn="ben@x.org")
A, B = key_of("ada"), key_of("ben")


def board(*colleagues: Colleague) -> Board:
    made = Board(TEAMS)
    made.set_colleagues(colleagues or (ADA, BEN))
    return made


def says(state: str) -> RichStatement:
    return RichStatement(state=RichState(state))


def test_a_statement_is_shown_and_counted_once():
    made = board()
    made.state_rich(A, TEAMS, says("busy"))
    revision = made.revision
    made.state_rich(A, TEAMS, says("busy"))
    assert (made.revision, made.entries[A].shown.status) == (revision, ShownStatus.BUSY)
    made.state_telephony(A, PhoneSource.LOCAL, TelephonyStatement(state=TelephonyState.RINGING))
    assert made.entries[A].shown.status is ShownStatus.PHONE_RINGING
    made.state_telephony(A, PhoneSource.LOCAL, None)
    made.withdraw(TEAMS)
    assert made.entries[A].shown.status is ShownStatus.UNKNOWN
    made.state_rich(key_of("nobody"), TEAMS, says("busy"))
    assert len(made) == 2


def test_another_winning_technology_changes_only_those_of_whom_sources_disagree():
    made = board()
    for source, state in ((TEAMS, "busy"), (SIP, "away")):
        made.state_rich(A, source, says(state))
    made.state_rich(B, TEAMS, says("busy"))
    with made.listening(None, (made.epoch, made.revision)) as listener:
        made.set_winning(SIP)
        assert listener.take() == [A]
    assert made.entries[A].shown.status is ShownStatus.AWAY


def test_colleagues_who_stay_keep_what_was_said_unless_their_upn_is_anothers():
    made = board()
    made.state_rich(A, TEAMS, says("busy"))
    made.state_rich(B, TEAMS, says("away"))
    made.set_colleagues(
        [Colleague(login="ada", upn="ada@x.org", extension="2"), Colleague(login="ben", upn="other@x.org")]
    )
    assert made.entries[A].shown.status is ShownStatus.BUSY
    assert made.entries[B].shown.status is ShownStatus.UNKNOWN


def test_the_state_of_a_phone_does_not_follow_whoever_gave_the_extension_away():
    made = board()
    made.state_telephony(A, PhoneSource.LOCAL, TelephonyStatement(state=TelephonyState.BUSY))
    made.set_colleagues(
        [Colleague(login="ada", upn="ada@x.org"), Colleague(login="ben", upn="ben@x.org", extension="1001")]
    )
    assert [made.entries[key].shown.telephony for key in (A, B)] == [TelephonyState.UNKNOWN] * 2
    found = made.find("1001")
    assert found is not None
    assert found[0] == B


def test_a_wanted_name_is_watched_while_a_console_wants_it():
    made, watched = board(), []
    made.on_watched = lambda: watched.append(sorted(made.entries))
    with made.wanting(["1001", "Eve@x.org"]) as first, made.wanting(["eve@X.org"]):
        assert first == {A, key_of("eve@x.org")}
        assert made.entries[key_of("eve@x.org")].colleague.upn == "Eve@x.org"
    assert watched == [["ada", "ben", "eve@x.org"], ["ada", "ben"]]
    assert not made.has_no_room_for(["eve@x.org"])
    assert made.has_no_room_for(f"u{number}@x.org" for number in range(MOST_COLLEAGUES - 1))


def test_a_console_that_comes_back_is_told_what_it_missed_and_nothing_else():
    made = board()
    seen = made.epoch, made.revision
    made.state_rich(B, TEAMS, says("busy"))
    made.set_colleagues([BEN])
    with made.listening(None, seen) as listener:
        assert (listener.everything, listener.take()) == (False, [A, B])
    with made.listening(None, (made.epoch, made.revision)) as listener:
        assert (listener.everything, listener.take()) == (False, [])
    for stale in (("other", made.revision), (made.epoch, made.revision + 1), None):
        with made.listening(None, stale) as listener:
            assert (listener.everything, listener.take()) == (True, [B])


def test_a_console_that_missed_more_removals_than_are_remembered_is_sent_everything():
    made = board()
    seen = made.epoch, made.revision
    for number in range(MOST_REMOVED // 100 + 1):
        made.set_colleagues(Colleague(login=f"{number}-{one}") for one in range(100))
    with made.listening(None, seen) as listener:
        assert listener.everything


def test_a_console_hears_only_of_those_it_asked_for():
    made = board()
    with made.listening(frozenset({A}), (made.epoch, made.revision)) as listener:
        made.state_rich(B, TEAMS, says("busy"))
        assert listener.take() == []
        made.state_rich(A, TEAMS, says("busy"))
        made.state_rich(A, TEAMS, says("away"))
        assert listener.take() == [A]  # the newest state, once
    made.state_rich(A, TEAMS, says("busy"))
    assert (listener.take(), made.listeners) == ([], 0)


class Following:
    """What a console shows that takes changes now and then, and comes back now and then."""

    def __init__(self, made: Board) -> None:
        self.board = made
        self.shows: dict[str, ShownStatus] = {}
        self.seen: tuple[str, int] | None = None

    def read(self, listener: BoardListener) -> None:
        for key in listener.take():
            entry = self.board.entries.get(key)
            if entry is None:
                self.shows.pop(key, None)
            else:
                self.shows[key] = entry.shown.status
        self.seen = self.board.epoch, self.board.revision


def test_a_console_that_leaves_and_comes_back_shows_what_the_board_does_whatever_happens():
    choose = random.Random(5)
    made = board()
    console = Following(made)
    people = [Colleague(login=f"u{number}") for number in range(8)]
    for _ in range(300):
        with made.listening(None, console.seen) as listener:
            if listener.everything:
                console.shows.clear()
            console.read(listener)
            happens(made, people, choose)
            if choose.random() < 0.5:
                console.read(listener)
        happens(made, people, choose)
    with made.listening(None, console.seen) as listener:
        console.read(listener)
    assert console.shows == {key: entry.shown.status for key, entry in made.entries.items()}


def happens(made: Board, people: list[Colleague], choose: random.Random) -> None:
    if choose.random() < 0.2:
        made.set_colleagues(choose.sample(people, 5))
    for _ in range(choose.randrange(4)):
        state = choose.choice(list(RichState))
        made.state_rich(key_of(choose.choice(people).login), TEAMS, RichStatement(state=state))


def test_a_name_that_is_given_to_somebody_else_shows_nothing_of_whoever_had_it():
    def told(colleague: Colleague) -> tuple[set[SourceName], bool]:
        made = board(ADA)
        for source in SourceName:
            made.state_rich(A, source, says("busy"))
        made.state_telephony(A, PhoneSource.LOCAL, TelephonyStatement(state=TelephonyState.BUSY))
        made.set_colleagues([colleague])
        return set(made.entries[A].rich), PhoneSource.LOCAL in made.entries[A].telephony

    assert told(replace(ADA, voicemail="9")) == (set(SourceName), True)
    assert told(replace(ADA, extension="1002")) == (set(SourceName), False)
    assert told(replace(ADA, extension="1002", upn="adam@x.org")) == ({SIP, SourceName.SFB}, False)
    assert told(replace(ADA, sip_uri="adam@pbx.org")) == (set(SourceName) - {SIP, SourceName.SFB}, True)


def test_a_upn_that_is_added_or_spelled_otherwise_is_nobody_elses():
    for before, after in ((replace(BEN, upn=""), BEN), (BEN, replace(BEN, upn="Ben@X.org"))):
        made = board(before)
        made.state_rich(B, SourceName.LOCAL, says("busy"))
        made.state_telephony(B, PhoneSource.LOCAL, TelephonyStatement(state=TelephonyState.BUSY))
        made.set_colleagues([after])
        assert made.entries[B].telephony
        assert SourceName.LOCAL in made.entries[B].rich
