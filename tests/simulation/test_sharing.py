"""Shares stay fair, and nothing is long without an owner, whoever comes and goes; how many moves that takes is printed."""

from __future__ import annotations

import sys

import pytest

from tests.simulation.sharing import LEASE_S, Cluster, users_of

pytestmark = pytest.mark.long

GAP_S = 1.0
"""Of a partition that is handed over, and of those of a worker that stops in order."""
OUTAGE_S = 10.0
SHARE_S = 10.0
"""Promised: within it a newcomer has its share, and the partitions of a killed worker are read again."""
MOST = 1.3
TENANTS, USERS = 5_000, 10_000_000


def settled(cluster: Cluster, seconds: float = SHARE_S) -> int:
    """Let some time pass; then everything is owned, shares are fair and nothing moves any more. Returns the moves it took."""
    before = cluster.moves
    cluster.run(seconds)
    cluster.demand_all_owned()
    assert cluster.most() <= MOST
    moves = cluster.moves
    cluster.run(2 * LEASE_S)
    assert cluster.moves == moves, "they go on moving"
    assert cluster.longest_gap_s <= GAP_S
    assert cluster.longest_outage_s <= OUTAGE_S
    return moves - before


@pytest.mark.fault("V12")
@pytest.mark.parametrize("seed", range(2))
def test_workers_that_join_stop_and_die_leave_fair_shares_and_no_gap(seed: int):
    cluster = Cluster(seed, users_of(seed, TENANTS, USERS))
    cluster.join("one")
    cluster.run(1)
    assert len(cluster.workers["one"].owned) == 64
    for name in ("two", "three", "four"):
        cluster.join(name)
        assert 0 < settled(cluster) <= 40
    cluster.kill("two")
    assert settled(cluster) <= 3
    cluster.stop("one")
    assert settled(cluster) <= 3
    cluster.join("five")
    cluster.join("six")
    settled(cluster)


@pytest.mark.parametrize("seed", range(2))
def test_workers_that_start_together_share_everything(seed: int):
    cluster = Cluster(seed, users_of(seed, 50, 20_000))
    for number in range(4):
        cluster.join(f"worker-{number}")
    settled(cluster)


def churn(seed: int, *, workers: int, minutes: int, heavy: int) -> Cluster:
    """Workers join, stop, are killed and flap for so long. Afterwards there are as many as at the beginning, and all is fair."""
    cluster = Cluster(seed, users_of(seed, TENANTS, USERS, heavy))
    for number in range(workers):
        cluster.join(f"worker-{number:03}")
    settled(cluster, 60)  # the first one took everything
    number = workers
    for minute in range(minutes):
        cluster.join("flaps")
        victim = cluster.draw.choice([name for name in cluster.workers if name != "flaps"])
        if minute % 2:
            cluster.kill(victim)
        else:
            cluster.stop(victim)
        cluster.run(cluster.draw.uniform(1, 29))
        cluster.kill("flaps")
        cluster.join(f"worker-{number:03}")
        number += 1
        cluster.run(30)
    settled(cluster)
    return cluster


def test_eight_workers_with_a_heavy_tenant_outlive_a_minute_of_churn():
    churn(1, workers=8, minutes=1, heavy=1_000_000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("workers", "heavy"), [(4, 0), (16, 0), (64, 0), (64, 1_000_000)])
def test_ten_million_users_are_shared_through_an_hour_of_churn(
    workers: int, heavy: int, capsys: pytest.CaptureFixture[str]
):
    cluster = churn(7, workers=workers, minutes=60, heavy=heavy)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{workers} workers, {USERS:,} users, heavy tenant {heavy:,}: 60 minutes with 3 comings and goings each,"
            f" {cluster.moves} moves, {cluster.taken} partitions taken in all, most/mean {cluster.most():.2f},"
            f" longest gap {cluster.longest_gap_s:.2f} s, after a kill {cluster.longest_outage_s:.2f} s\n"
        )
