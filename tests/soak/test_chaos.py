"""Whatever happens to processes, Valkey, the clouds and the lines between them: no process of ours ends by itself, no change is
lost, and no suite is told fresh what is old. A seed that fails runs again with `python -m tests.soak --chaos SEED`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.chaos import run_bad_hour
from tests.soak.test_push import BESIDE_OTHERS_S
from tests.soak.troubles import PROCESSES, bad_hour

QUICK_SEED = 1
SOAK_SEEDS = range(1, 41)


@pytest.mark.soak
async def test_a_bad_moment_leaves_every_suite_right(tmp_path: Path):
    await _judged(tmp_path, QUICK_SEED, 1, BESIDE_OTHERS_S)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_an_hour_of_faults_leaves_every_suite_right(tmp_path: Path, seed: int):
    await _judged(tmp_path, seed, None, 0.0)


def test_in_the_hour_is_every_kind_of_fault_and_the_same_seed_is_the_same_hour():
    assert bad_hour(1) == bad_hour(1)
    assert bad_hour(1) != bad_hour(2)
    troubles = [each for seed in SOAK_SEEDS for wave in bad_hour(seed).waves for each in wave]
    assert {each.what for each in troubles} == {
        "kill", "terminate", "freeze", "kill_workers", "kill_valkey", "freeze_valkey", "load_valkey", "demote_valkey",
        "configure_valkey", "break_line", "delay_line", "reset_line", "cloud_fault", "reconnect",
    }  # fmt: skip
    named = {each.how["name"] for each in troubles if each.what in {"kill", "terminate", "freeze"}}
    assert named == set(PROCESSES)


async def _judged(folder: Path, seed: int, waves: int | None, slack_s: float) -> None:
    hour = bad_hour(seed) if waves is None else bad_hour(seed, waves)
    report = await run_bad_hour(folder, hour, slack_s)
    again = f"run it again with `python -m tests.soak --chaos {seed}`; the processes' logs are in {folder}"
    assert not report.faults, "\n".join([f"seed {seed}:", *report.faults, str(report), again])
