"""What a partition costs, and what metrics say of a worker's share."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relay.core.shares import LiveWorker, PartitionLoad, ShareTable
from relay.ops.instruments import reading
from relay.worker.load import NotificationRate, ShareReadings
from relay.worker.metrics import COST, PARTITIONS, SHARE, WORKERS


def test_the_rate_of_notifications_follows_within_minutes_and_goes_on_from_the_last_owners():
    rate = NotificationRate(0, now=0.0)
    for second in range(300):
        rate.count(2)
        rate.per_minute(float(second))
    assert rate.per_minute(300.0) == pytest.approx(120, rel=0.05)
    assert NotificationRate(120, now=0.0).per_minute(0.0) == 120
    assert rate.per_minute(900.0) == 0


def test_the_share_of_a_worker_is_read_at_a_scrape():
    alive = LiveWorker(timedelta(), timedelta(seconds=6))
    loads = {partition: PartitionLoad(users=900) for partition in range(4)}
    table = ShareTable(4, {"us": alive, "other": alive}, {0: "us", 1: "other", 2: "other", 3: "other"}, loads)
    with reading(ShareReadings("us", lambda: table).readers()):
        found = {gauge: gauge.now()[()] for gauge in (PARTITIONS, COST, WORKERS, SHARE)}
    assert found == {PARTITIONS: 1, COST: 1000, WORKERS: 2, SHARE: 0.5}
