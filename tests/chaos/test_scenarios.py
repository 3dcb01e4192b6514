"""What operators are promised of a relay with 2 edges, 3 workers, 2 webhooks, 100 suites, 50 tenants and 20,000 users."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.record import Complete, Connected, Record, Shown, Truth
from tests.chaos.scenarios import SCENARIOS, play, resumes, waits
from tests.chaos.topologies import STANDALONE, TOPOLOGIES


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "redis-failover"])
async def test_what_operators_are_promised_holds(tmp_path: Path, name: str):
    outcome = await play(tmp_path, name, STANDALONE, 0.0)
    assert not outcome.faults, [*outcome.faults, *outcome.figures]


@pytest.mark.soak
@pytest.mark.parametrize("topology", sorted(set(TOPOLOGIES) - {STANDALONE}))
async def test_presence_moves_again_after_a_failover_of_redis(tmp_path: Path, topology: str):
    outcome = await play(tmp_path, "redis-failover", topology, 0.0)
    assert not outcome.faults, [*outcome.faults, *outcome.figures]


def test_a_change_that_was_skipped_waits_until_the_next_one_is_shown():
    record = Record(
        [
            Truth(0.0, "ada", "Busy", "Busy"),
            Truth(10.0, "ada", "Busy", "m1"),
            Truth(12.0, "ada", "Busy", "m2"),
            Truth(20.0, "ada", "Busy", "m3"),
            Shown(5.0, "one", "ada", "Busy", "Busy"),
            Shown(13.0, "one", "ada", "Busy", "m2"),
            Shown(20.5, "one", "ada", "Busy", "m3"),
        ]
    )
    assert waits(record) == [(10.0, 3.0), (20.0, 0.5)]


def test_a_resume_is_over_when_its_snapshot_is():
    record = Record([Connected(1.0, "one", "RESUMED"), Complete(1.5, "one"), Complete(9.0, "one")])
    assert resumes(record) == [(1.5, 0.5)]
