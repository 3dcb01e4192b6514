"""Bad hours of Microsoft's from seeds. One that fails is printed, and runs again with `python -m tests.worker.bad_hour SEED`."""

from __future__ import annotations

import pytest

from tests.worker.bad_hour import hour, play
from tests.worker.conftest import Relay

pytestmark = pytest.mark.long

QUICK_SEEDS = (18,)
SOAK_SEEDS = range(1, 201)


@pytest.mark.parametrize("seed", QUICK_SEEDS)
async def test_a_bad_hour_costs_only_whom_it_touches_and_only_while_it_lasts(relay: Relay, seed: int):
    await _judged(relay, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_many_bad_hours_cost_only_whom_they_touch_and_only_while_they_last(relay: Relay, seed: int):
    await _judged(relay, seed)


async def test_among_the_hours_of_the_soak_is_everything_that_goes_wrong(relay: Relay):
    hours = [hour(seed, relay) for seed in SOAK_SEEDS]
    assert {one.touches for one in hours} == {"person", "account", "names", "tenant", "all"}
    faults = [fault for one in hours for fault in one.faults]
    assert {fault.status for fault in faults} >= {400, 401, 403, 404, 410, 413, 429, 500, 502, 503, 504, None}
    assert {fault.damage for fault in faults} >= {"truncated", "malformed", "not_json", "no_value", "empty"}
    assert {fault.headers.get("Retry-After") for fault in faults} >= {None, "0", "0.124", "-1", "NaN", "soon"}
    assert any(fault.reset for fault in faults)
    assert any(fault.latency_ms > 1000 for fault in faults)
    assert any("nextLink" in fault.body for fault in faults)
    assert any("AADSTS" in fault.body for fault in faults)


async def _judged(relay: Relay, seed: int) -> None:
    report = await play(relay, seed)
    assert not report.faults, "\n".join([str(report), *report.faults])
