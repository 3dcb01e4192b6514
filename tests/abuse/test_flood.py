"""One tenant floods a whole relay, of all roles and in a process of its own, with names; a quiet tenant is beside it."""

from __future__ import annotations

import pytest

from bench import report
from bench.load import abuse
from tests.abuse.measured import rows

pytestmark = [pytest.mark.finding(4), pytest.mark.long]
LIMIT = rows("With a suite key")["swaps 60,000 names a second, and asks for 500,000 made-up ones"]


ATTACK = 10_000
"""Names in all that make it an attack, on a machine that is busy with other things too."""


def judge(seen: abuse.AbuseResult) -> None:
    assert seen.leases == 0
    assert seen.lost == 0
    assert len(seen.beside) > len(seen.alone) / 2
    assert seen.sent > ATTACK
    assert seen.grown + seen.store_grown < LIMIT.bytes


@pytest.mark.timeout(120)
def test_a_flood_of_names_takes_no_leases_and_a_quiet_tenant_sees_each_change() -> None:
    judge(abuse.measure(abuse.AbuseOptions(rounds=1, seconds=1.5)))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_long_flood_of_names_leaves_a_quiet_tenants_changes_fresh() -> None:
    seen = abuse.measure(abuse.AbuseOptions(rounds=3, seconds=60))
    judge(seen)
    assert report.median(seen.beside) < 1.5 * report.median(seen.alone)  # `python -m bench abuse` asks for 1.1
