"""The rule of when a process that has ended is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.processes.restarts import MOST_SHORT_RUNS, WELL_AFTER_S, Restarts

SHORT = st.floats(0, WELL_AFTER_S, exclude_max=True)
LONG = st.floats(WELL_AFTER_S, 1e9)


def test_pauses_double_until_starting_again_is_given_up() -> None:
    restarts = Restarts()
    assert [restarts.pause_after(1.0) for _ in range(MOST_SHORT_RUNS)] == [1, 2, 4, 8, None]


@given(st.lists(st.one_of(SHORT, LONG), max_size=30))
def test_only_short_runs_in_a_row_end_it(runs: list[float]) -> None:
    restarts, in_a_row = Restarts(), 0
    for ran_s in runs:
        in_a_row = in_a_row + 1 if ran_s < WELL_AFTER_S else 0
        pause_s = restarts.pause_after(ran_s)
        assert (pause_s is None) == (in_a_row >= MOST_SHORT_RUNS)
        if pause_s is None:
            return
        assert pause_s == 2.0 ** max(0, in_a_row - 1)
