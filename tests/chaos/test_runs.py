"""Whatever happens to processes, clocks, Redis, the clouds and the lines between them: every guarantee holds. A seed that fails runs
again with `python -m tests.chaos --topology … SEED`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run
from tests.chaos.schedule import FEW_ROLES, LINES, ROLES, WAVES, bad_hour
from tests.chaos.topologies import STANDALONE, TOPOLOGIES

pytestmark = pytest.mark.long

QUICK_SEED = 38
BESIDE_OTHERS_S = 20.0
"""What other tests on the same two cores may add to the promised times."""
SOAK_SEEDS = range(1, 6)
"""Of each topology, in half an hour; `make chaos` runs any others."""


async def test_a_bad_moment_breaks_no_guarantee(tmp_path: Path):
    await _judged(tmp_path, QUICK_SEED, STANDALONE, waves=1, slack_s=BESIDE_OTHERS_S)


@pytest.mark.soak
@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_a_bad_hour_breaks_no_guarantee(tmp_path: Path, seed: int, topology: str):
    await _judged(tmp_path, seed, topology, WAVES, slack_s=0.0)


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
def test_in_the_hours_is_every_kind_of_fault_and_the_same_seed_is_the_same_hour(topology: str):
    assert str(bad_hour(1, topology)) == str(bad_hour(1, topology))
    assert str(bad_hour(1, topology)) != str(bad_hour(2, topology))
    troubles = [each for seed in range(1, 101) for wave in bad_hour(seed, topology).waves for each in wave]
    assert {each.what for each in troubles} == {
        "kill", "terminate", "freeze", "kill_workers", "step_clock", "redis", "break_line", "delay_line", "reset_line",
        "cloud_fault", "reconnect",
    }  # fmt: skip
    for what in ("kill", "terminate", "freeze", "step_clock"):
        assert {each.how["name"] for each in troubles if each.what == what} == set(ROLES)
    assert {each.how["trouble"] for each in troubles if each.what == "redis"} == set(TOPOLOGIES[topology].TROUBLES)
    lines = {each.how["name"] for each in troubles if each.what.endswith("_line")}
    assert lines == {*LINES, *TOPOLOGIES[topology].LINES} - {"redis"} | set(TOPOLOGIES[topology].LINES)


async def _judged(folder: Path, seed: int, topology: str, waves: int, slack_s: float) -> None:
    hour = bad_hour(seed, topology, waves, FEW_ROLES if waves == 1 else ROLES)
    verdict = await run(folder, hour, slack_s)
    assert not verdict.faults, "\n".join(
        [
            str(hour), *verdict.faults, str(verdict),
            f"run it again with `python -m tests.chaos --topology {topology} {seed}`; the processes' logs are in {folder}",
        ]
    )  # fmt: skip
