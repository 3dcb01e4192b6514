from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.reading.budget import BudgetSettings, RequestBudget

ASKS = st.lists(
    st.tuples(
        st.floats(0, 20, allow_nan=False),
        st.one_of(st.integers(1, 700), st.tuples(st.just("429"), st.one_of(st.none(), st.floats(0, 100)))),
    ),
    max_size=120,
)


def _run(budget: RequestBudget, asks) -> list[tuple[float, int]]:
    granted, now = [], 1000.0
    for pause, ask in asks:
        now += pause
        if isinstance(ask, tuple):
            budget.throttled(now, ask[1])
        elif budget.take(ask, now) == 0:
            granted.append((now, min(ask, 1350)))
    return granted


@given(ASKS)
def test_no_window_of_30_s_ever_holds_more_than_the_limit(asks):
    granted = _run(RequestBudget(), asks)
    for start, _ in granted:
        assert sum(cost for at, cost in granted if start <= at < start + 30) <= 1350


@pytest.mark.parametrize("cost", [1, 7, 650, 1350])
def test_whoever_asks_all_the_time_gets_the_limit_in_each_window_and_no_more(cost):
    budget = RequestBudget()
    seconds = 120 if cost > 1 else 60  # a thousand grants in a window make each further one dear
    granted = [at / 10 for at in range(10 * seconds) for _ in range(20) if budget.take(cost, at / 10) == 0]
    for first, start in enumerate(granted):
        assert (bisect_left(granted, start + 30) - first) * cost <= 1350
    assert len(granted) * cost >= 1300 * seconds / 30


@given(ASKS, st.integers(1, 700))
def test_whoever_waits_as_told_is_granted_in_the_end(asks, cost):
    budget = RequestBudget()
    _run(budget, asks)
    now = 1000.0 + sum(pause for pause, _ in asks)
    for _ in range(400):
        wait = budget.take(cost, now)
        if wait == 0:
            return
        now += wait
    pytest.fail("never granted")


@given(st.lists(st.tuples(st.floats(0, 5), st.one_of(st.none(), st.floats(0, 1000))), max_size=20))
def test_a_tenant_recovers_to_full_speed(refusals):
    budget, now = RequestBudget(), 0.0
    for pause, retry_after in refusals:
        now += pause
        now = max(now, budget.throttled(now, retry_after))
    assert budget.slow_down(now + 600) == 1.0


def test_nothing_is_granted_before_retry_after_has_passed():
    budget = RequestBudget()
    budget.throttled(100.0, 12.0)
    assert budget.take(1, 105.0) == pytest.approx(7.0)
    assert budget.take(1, 112.0) == 0


def test_a_refusal_without_retry_after_waits_longer_each_time():
    budget = RequestBudget()
    pauses = []
    now = 0.0
    for _ in range(7):
        until = budget.throttled(now)
        pauses.append(until - now)
        now = until
    assert pauses == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("retry_after", [-1.0, math.nan])
def test_a_senseless_retry_after_is_taken_as_none(retry_after):
    assert RequestBudget().throttled(0.0, retry_after) == 2.0


def test_a_retry_after_of_years_does_not_stop_a_tenant_for_years():
    assert RequestBudget().throttled(0.0, 1e12) == 600.0
    assert RequestBudget().throttled(0.0, math.inf) == 600.0


@pytest.mark.fault("B3")
@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=200))
def test_refusals_that_ask_for_no_pause_are_as_few_as_those_that_say_nothing(asked):
    budget, silent, now = RequestBudget(), RequestBudget(), 0.0
    for seconds in asked:
        until = budget.throttled(now, seconds)
        assert until == silent.throttled(now)
        assert until - now >= 2.0
        now = until


@pytest.mark.fault("B3")
def test_refusals_of_one_window_slow_down_once():
    budget, now = RequestBudget(), 0.0
    while now < 15.0:  # all that Graph says in these seconds is a refusal with `Retry-After: 0`
        now = budget.throttled(now, 0.0)
    assert budget.slow_down(now) == 2.0
    assert now <= 30.0


@pytest.mark.fault("B3")
def test_after_an_answer_the_next_refusal_is_the_first_again():
    budget = RequestBudget()
    now = budget.throttled(budget.throttled(0.0))
    budget.answered()
    assert budget.throttled(now) == now + 2.0


def test_a_burst_of_refusals_slows_down_once():
    budget = RequestBudget()
    for _ in range(10):
        budget.throttled(0.0, 5.0)
    assert budget.slow_down(0.0) == 2.0


def test_recovery_goes_step_by_step():
    budget = RequestBudget()
    budget.throttled(0.0, 0.0)
    budget.throttled(30.0, 0.0)
    speeds = [budget.slow_down(34.0 + 30 * step) for step in range(8)]
    assert speeds[0] == 4.0
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[1] == 3.0
    assert speeds[-1] == 1.0


def test_a_cost_above_everything_allowed_waits_for_an_empty_window():
    budget = RequestBudget()
    assert budget.take(1, 0.0) == 0
    assert budget.take(99_999, 1.0) == pytest.approx(29.0)
    assert budget.take(99_999, 30.0) == 0


def test_a_refused_take_spends_nothing():
    budget = RequestBudget(BudgetSettings(limit=10, headroom=0))
    assert budget.take(9, 0.0) == 0
    assert budget.take(2, 0.0) > 0
    assert budget.take(1, 0.0) == 0


def test_an_interval_that_fits_stays_as_it_is():
    assert RequestBudget().interval_for(2, 1000, 5.0, 0.0) == 5.0
    assert RequestBudget().interval_for(0, 0, 5.0, 0.0) == 5.0


def test_an_interval_stretches_evenly_when_each_id_counts():
    budget = RequestBudget(BudgetSettings(count_ids=True))
    interval = budget.interval_for(8, 5000, 5.0, 0.0)
    assert interval == pytest.approx(150.0)
    assert budget.interval_for(16, 10_000, 5.0, 0.0) == pytest.approx(2 * interval)
    assert budget.interval_for(1, 100, 5.0, 0.0) == 5.0


def test_an_interval_stretches_while_slowed_down():
    budget = RequestBudget(BudgetSettings(limit=100, headroom=0, poll_share=1.0))
    assert budget.interval_for(50, 32_500, 5.0, 0.0) == pytest.approx(15.0)
    budget.throttled(0.0, 0.0)
    assert budget.interval_for(50, 32_500, 5.0, 0.0) == pytest.approx(30.0)


@given(st.integers(1, 40), st.booleans(), st.floats(1, 60))
def test_whoever_keeps_to_the_interval_never_has_to_wait(pages, count_ids, base):
    budget = RequestBudget(BudgetSettings(count_ids=count_ids))
    step = budget.interval_for(pages, pages * 650, base, 0.0) / pages
    assert all(budget.take(budget.cost(650), turn * step) == 0 for turn in range(3 * pages))


def test_two_rounds_of_different_speed_share_the_limit():
    budget = RequestBudget(BudgetSettings(limit=100, headroom=0.0, poll_share=1.0))
    assert budget.stretch([(10, 6500, 5.0), (10, 6500, 60.0)], 0.0) == 1.0
    # 100 in 30 s allow 3.33 reads a second; 20 pages every 5 s and 20 every 60 s would take 4.33.
    assert budget.stretch([(20, 13_000, 5.0), (20, 13_000, 60.0)], 0.0) == pytest.approx(1.3)


def test_what_is_left_falls_with_each_read_comes_back_after_a_window_and_is_nothing_while_graph_asks_to_wait():
    budget = RequestBudget(BudgetSettings(limit=100, headroom=0.0))
    assert budget.left(0.0) == 1.0
    budget.take(25, 0.0)
    assert budget.left(1.0) == 0.75
    budget.throttled(2.0, 5.0)
    assert budget.left(6.0) == 0.0
    assert budget.left(100.0) == 1.0
