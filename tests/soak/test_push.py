"""Whatever goes wrong with notifications, subscriptions and processes: when it is over, suites show what there is, and none
was ever shown an older presence after a newer one. A seed that fails is printed and runs again with `python -m tests.soak SEED`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.run import run
from tests.soak.schedule import schedule

QUICK_SEEDS = (20,)
SOAK_SEEDS = range(1, 51)
BESIDE_OTHERS_S = 5.0
"""What other tests on the same two cores may add to the promised times."""


@pytest.mark.long
@pytest.mark.parametrize("seed", QUICK_SEEDS)
async def test_a_schedule_leaves_every_suite_right(tmp_path: Path, seed: int):
    await _judged(tmp_path, seed, BESIDE_OTHERS_S)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_many_schedules_leave_every_suite_right(tmp_path: Path, seed: int):
    await _judged(tmp_path, seed, 0.0)


@pytest.mark.soak
async def test_eight_hours_of_graphs_leave_every_suite_right_and_every_subscription_renewed(tmp_path: Path):
    """A day's work of subscriptions at 300 times the speed of life, with everything that goes wrong in twelve runs."""
    report = await run(tmp_path, schedule(1001, parts=12), 0.0)
    assert not report.faults, "\n".join([*report.faults, str(report), f"the processes' logs are in {tmp_path}"])


def test_the_same_seed_is_the_same_schedule_and_another_one_is_not():
    assert schedule(1) == schedule(1)
    assert schedule(1) != schedule(2)


def test_among_the_schedules_of_the_soak_is_everything_that_goes_wrong():
    runs = [schedule(seed) for seed in SOAK_SEEDS]
    steps = [step for each in runs for step in each.steps]
    assert {step.what for step in steps} == {
        "show", "leave_and_return", "fault", "end_one", "challenge_one", "kill", "come", "go", "subscribe", "unsubscribe",
    }  # fmt: skip
    faults = {step.how["kind"] for step in steps if step.what == "fault"}
    assert faults == {"loss", "duplicate", "reorder", "delay", "silence", "renewal_refused"}
    assert {step.how["name"] for step in steps if step.what == "kill"} == {"edge", "webhook", "worker-1", "worker-2"}
    numbered = {(each.switches["sequence_numbers"], each.switches["notification_sequence_numbers"]) for each in runs}
    assert numbered == {(False, False), (True, False), (True, True)}
    assert any(step.how["haunts_s"] > 0 for step in steps if step.what == "end_one")
    assert {each.ending for each in runs} == {"nobody watches", "removed", "suspended"}


async def _judged(folder: Path, seed: int, slack_s: float) -> None:
    report = await run(folder, schedule(seed), slack_s)
    again = f"run it again with `python -m tests.soak {seed}`; the processes' logs are in {folder}"
    assert not report.faults, "\n".join([f"seed {seed}:", *report.faults, str(report), again])
