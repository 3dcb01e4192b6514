from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.pausing import LONGEST_ASKED_S, pause_s

asked = st.one_of(st.none(), st.floats())


@pytest.mark.fault("B3")
@given(st.integers(0, 10_000), asked)
def test_whatever_is_asked_for_a_pause_is_neither_nothing_nor_for_ever(in_a_row, asked_s):
    assert 2.0 <= pause_s(in_a_row, asked_s) <= LONGEST_ASKED_S


@given(st.integers(1, 100), asked)
def test_a_pause_never_gets_shorter_with_more_refusals_or_because_of_what_is_asked(in_a_row, asked_s):
    assert pause_s(in_a_row, asked_s) >= pause_s(in_a_row)
    assert pause_s(in_a_row + 1, asked_s) >= pause_s(in_a_row, asked_s)


@given(st.integers(1, 100), st.floats(60, LONGEST_ASKED_S))
def test_what_is_asked_for_within_bounds_is_obeyed(in_a_row, asked_s):
    assert pause_s(in_a_row, asked_s) == asked_s


def test_pauses_without_a_word_double():
    assert [pause_s(n) for n in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    assert [pause_s(n, math.nan, first_s=1.0) for n in range(1, 8)] == [1, 2, 4, 8, 16, 32, 60]
