"""States that programs of this machine tell: in order, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from suite.agent.board import Board
from suite.agent.core.values import RichState, ShownStatus, SourceName, TelephonyState
from suite.agent.sources.local import MOST_CONNECTORS, LocalStates, Taken, ToldState, TooManyConnectors
from suite.agent.users.reading import Colleague
from suite.names import key_of

A = key_of("ada")


class Scene:
    """A board with one colleague, and a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.board = Board(SourceName.TEAMS)
        self.board.set_colleagues([Colleague(login="ada", extension="1001")])
        self.local = LocalStates(self.board, lambda: self.now)

    def tell(
        self, state: TelephonyState | RichState, sequence: int, seconds: int = 60, connector: str = "pbx"
    ) -> Taken:
        told = ToldState(user="1001", state=state, sequence=sequence, lifetime=timedelta(seconds=seconds))
        return self.local.tell(connector, told)

    @property
    def shown(self) -> str:
        return self.board.entries[A].shown.status.value


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_state_that_was_overtaken_on_the_way_changes_nothing(scene: Scene):
    assert scene.tell(TelephonyState.BUSY, 2) is Taken.ACCEPTED
    assert scene.tell(TelephonyState.RINGING, 1) is scene.tell(TelephonyState.IDLE, 2) is Taken.OUTDATED
    assert scene.shown == ShownStatus.ON_THE_PHONE
    assert (
        scene.tell(TelephonyState.RINGING, 1, connector="other") is Taken.ACCEPTED
    )  # each connector counts for itself
    assert scene.tell(RichState.AWAY, 0) is Taken.ACCEPTED  # and so does each kind of state


def test_a_state_ends_when_it_is_not_told_again(scene: Scene):
    scene.tell(TelephonyState.BUSY, 1, seconds=60)
    scene.tell(RichState.AWAY, 1, seconds=90)
    scene.now = 59.0
    scene.local.expire()
    assert scene.shown == ShownStatus.ON_THE_PHONE
    scene.tell(TelephonyState.BUSY, 2, seconds=60)
    scene.now = 60.0
    scene.local.expire()  # the first one's time is over, and the second counts
    assert scene.shown == ShownStatus.ON_THE_PHONE
    scene.now = 119.0
    scene.local.expire()
    assert scene.shown == ShownStatus.UNKNOWN


def test_nobody_elses_states_and_connectors_without_end_are_refused(scene: Scene):
    told = ToldState(user="nobody", state=TelephonyState.BUSY, sequence=1, lifetime=timedelta(seconds=1))
    assert scene.local.tell("pbx", told) is Taken.UNKNOWN_USER
    for number in range(MOST_CONNECTORS):
        scene.tell(TelephonyState.BUSY, 1, connector=f"c{number}")
    with pytest.raises(TooManyConnectors):
        scene.tell(TelephonyState.BUSY, 1)


def test_states_that_are_told_again_and_again_take_no_more_memory(scene: Scene):
    for sequence in range(1, 5000):
        scene.tell(TelephonyState.BUSY, sequence)
    assert len(scene.local._ends) <= 200
    scene.now = 60.0
    scene.local.expire()
    assert scene.shown == ShownStatus.UNKNOWN
