"""A rolling update misses nothing, shows nobody as unknown, and asks Graph no more: two releases share everything meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.updating import charted, play


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_rolling_update_from_the_commit_before_breaks_no_guarantee(tmp_path: Path):
    outcome = await play(tmp_path, "HEAD~1")
    assert not outcome.faults, [*outcome.faults, *outcome.figures]


def test_the_charts_times_leave_the_drain_and_what_follows_it():
    times = charted()["edge"]
    assert times.grace - times.pre_stop >= float(times.drain.removesuffix("s")) + 20
