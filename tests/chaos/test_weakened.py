"""Real processes of which one breaks a rule: the validator of that guarantee finds it in the record of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from relay.store.server.connection import Store
from relay.store.server.durable import DurableWrites
from tests.chaos.run import run
from tests.chaos.scene import CONTOSO, FABRIKAM
from tests.chaos.schedule import FEW_ROLES, BadHour, PlannedTrouble
from tests.chaos.test_runs import BESIDE_OTHERS_S
from tests.chaos.topologies import STANDALONE
from tests.chaos.weakened import RULES
from tests.support.fault_proxy import Fault

EDGES = ("edge", "edge-2")
WORKERS = ("worker-1", "worker-2")


def trouble(what: str, lasts_s: float, at_s: float = 0.0, **how: Any) -> PlannedTrouble:
    return PlannedTrouble(at_s=at_s, lasts_s=lasts_s, what=what, how=how)


WEAKEN = trouble("weaken", 0.0)
Waves = tuple[tuple[PlannedTrouble, ...], ...]
CASES: Mapping[str, tuple[str, tuple[str, ...], Waves]] = {
    "isolated": ("Isolated", EDGES, ((WEAKEN, trouble("ask", 0.1, who=FABRIKAM[0]), trouble("reconnect", 0.5)),)),
    "ordered": ("Ordered", EDGES, ((WEAKEN, trouble("kill", 12.0, name="webhook")),)),
    "convergent": ("Convergent", EDGES, ((WEAKEN, trouble("kill", 2.0, name="webhook")),)),
    "answered": ("Answered", WORKERS, ((WEAKEN,),)),
    "never_silently_stale": (
        "Never silently stale", WORKERS,
        (
            (
                WEAKEN,
                trouble("cloud_fault", 14.0, contains="getPresencesByUserId", latency_ms=60_000.0),
                trouble("kill", 14.0, name="webhook"),
            ),
        ),
    ),
    "resumable": (
        "Resumable", EDGES,
        (
            (
                WEAKEN,
                trouble("break_line", 6.0, name="suites-1", fault=Fault.REFUSE),
                trouble("reset_line", 0.2, 0.1, name="suites-1"),
            ),
        ),
    ),
    "bounded": ("Bounded", EDGES, ((WEAKEN, trouble("ask", 0.1, who=CONTOSO[0])), (trouble("kill", 8.0, name="webhook"),))),
}  # fmt: skip
"""Rule -> the guarantee that it breaks, the processes that break it, and what happens meanwhile."""
LOSE_DISK: Waves = ((trouble("redis", 3.0, trouble="lose_disk"),),)


def test_each_rule_is_broken_in_a_run():
    assert set(CASES) == set(RULES)


@pytest.mark.soak
@pytest.mark.parametrize("rule", sorted(CASES))
async def test_a_process_that_breaks_a_rule_is_found_by_the_validator_of_its_guarantee(tmp_path: Path, rule: str):
    guarantee, processes, waves = CASES[rule]
    verdict = await run(tmp_path, _hour(waves, dict.fromkeys(processes, rule)), 0.0)
    assert any(fault.startswith(f"{guarantee}: ") for fault in verdict.faults), verdict.faults


class _Unconfirmed(DurableWrites):
    """Says that it is on disk without asking."""

    async def confirm(self) -> None:
        pass


class _CarelessStore(Store):
    """Acknowledges what may be lost."""

    def durable(self) -> DurableWrites:
        return _Unconfirmed(self.topology.vault, self.settings.replicas, self.settings.operation_timeout)


@pytest.mark.soak
async def test_custody_that_is_acknowledged_before_it_is_on_disk_is_found_missing(tmp_path: Path):
    verdict = await run(tmp_path, _hour(LOSE_DISK, {}), 0.0, _CarelessStore)
    assert any(fault.startswith("Custody: ") for fault in verdict.faults), verdict.faults


@pytest.mark.soak
async def test_custody_that_is_not_on_disk_is_not_acknowledged(tmp_path: Path):
    verdict = await run(tmp_path, _hour(LOSE_DISK, {}), BESIDE_OTHERS_S)
    assert not verdict.faults, verdict.faults


def _hour(waves: Waves, weakened: Mapping[str, str]) -> BadHour:
    return BadHour(seed=1, topology=STANDALONE, roles=FEW_ROLES, switches={}, waves=waves, weakened=weakened)
