"""Whose fault a refusal of Graph's is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import TenantId
from relay.core.reading.widespread_refusals import FEWEST, LATELY, SHARE, WidespreadRefusals

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


def noted(refused: int, answered: int, at: datetime = NOW) -> WidespreadRefusals:
    refusals = WidespreadRefusals()
    for number in range(refused + answered):
        refusals.note(TenantId(str(number)), at, is_refused=number < refused)
    return refusals


@pytest.mark.fault("B2")
@given(st.integers(0, 50), st.integers(0, 200))
def test_many_at_once_are_not_to_blame_and_few_are(refused: int, answered: int) -> None:
    is_many = refused >= FEWEST and refused >= SHARE * (refused + answered)
    assert noted(refused, answered).is_widespread() is is_many


@pytest.mark.fault("B2")
def test_what_was_long_ago_does_not_count_and_an_answer_clears() -> None:
    refusals = noted(FEWEST, 0)
    refusals.note(TenantId("another"), NOW + LATELY + timedelta(seconds=1), is_refused=True)
    assert not refusals.is_widespread()
    refusals = noted(FEWEST, 0)
    refusals.note(TenantId("0"), NOW, is_refused=False)
    assert not refusals.is_widespread()
