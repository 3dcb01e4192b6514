"""The token bucket: what it lets through in any span of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.bucket import TokenBucket


def test_a_full_bucket_lets_on_at_once() -> None:
    bucket = TokenBucket(100, 10, now=0)
    assert bucket.wait(0) == 0
    bucket.pay(100, 0)
    assert bucket.wait(0) == 0  # empty, and in nobody's debt


def test_a_debt_is_worked_off_before_the_next() -> None:
    bucket = TokenBucket(100, 10, now=0)
    bucket.pay(150, 0)
    assert bucket.wait(0) == pytest.approx(5)
    assert bucket.wait(4) == pytest.approx(1)
    assert bucket.wait(5) == 0


def test_a_bucket_that_rests_is_as_good_as_new_and_no_better() -> None:
    bucket = TokenBucket(100, 10, now=0)
    bucket.pay(150, 0)
    assert not bucket.is_full(14)
    assert bucket.is_full(15)
    bucket.pay(100, 1000)
    assert bucket.wait(1000) == 0
    bucket.pay(1, 1000)
    assert bucket.wait(1000) == pytest.approx(0.1)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(100, 10, now=50)
    bucket.pay(150, 50)
    assert bucket.wait(40) == pytest.approx(5)
    assert bucket.wait(50) == pytest.approx(5)


@given(
    at_once=st.integers(1, 1000),
    a_second=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 20), st.integers(0, 2000)), max_size=60),
)
def test_no_span_of_time_lets_through_more_than_the_bucket_and_one_message(
    at_once: int, a_second: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now = TokenBucket(at_once, a_second, 0), 0.0
    paid: list[tuple[float, int]] = []
    for pause, cost in steps:
        now += pause
        now += bucket.wait(now)
        bucket.pay(cost, now)
        paid.append((now, cost))
    for first in range(len(paid)):
        for last in range(first, len(paid)):
            span = paid[last][0] - paid[first][0]
            # The last message may overdraw; all before it were within the bucket.
            before = sum(cost for _, cost in paid[first:last])
            assert before <= at_once + a_second * span + 1e-3
