"""How the console writes down what it knows of workers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.diagnosis.fleet import in_ranges


def test_partitions_that_follow_each_other_are_one_range():
    assert in_ranges([]) == []
    assert in_ranges([0, 1, 2, 3, 7, 9, 10]) == ["0–3", "7", "9–10"]


@given(st.sets(st.integers(0, 63)).map(sorted))
def test_ranges_name_each_partition_once(partitions: list[int]):
    named = [
        number
        for text in in_ranges(partitions)
        for number in range(int(text.split("–")[0]), int(text.split("–")[-1]) + 1)
    ]
    assert named == partitions
