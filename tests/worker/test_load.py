"""What a partition costs, and what metrics say of a worker's share."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relay.core.shares import LiveWorker, PartitionLoad, ShareTable
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.worker.load import NotificationRate, ShareMetrics


def test_the_rate_of_notifications_follows_within_minutes_and_goes_on_from_the_last_owners():
    rate = NotificationRate(0, now=0.0)
    for second in range(300):
        rate.count(2)
        rate.per_minute(float(second))
    assert rate.per_minute(300.0) == pytest.approx(120, rel=0.05)
    assert NotificationRate(120, now=0.0).per_minute(0.0) == 120
    assert rate.per_minute(900.0) == 0


def test_the_share_of_a_worker_is_exposed(monkeypatch: pytest.MonkeyPatch):
    telemetry = Telemetry(TelemetrySettings())
    monkeypatch.setattr("relay.worker.load.metrics.get_meter", telemetry.meters.get_meter)
    alive = LiveWorker(timedelta(), timedelta(seconds=6))
    loads = {partition: PartitionLoad(users=900) for partition in range(4)}
    table = ShareTable(4, {"us": alive, "other": alive}, {0: "us", 1: "other", 2: "other", 3: "other"}, loads)
    counted = ShareMetrics("us", lambda: table)
    counted.taken, counted.given = 5, 4
    found = dict(line.rsplit(" ", 1) for line in telemetry.exposition().decode().splitlines() if "relay_worker" in line)
    values = {name.partition("{")[0]: float(value) for name, value in found.items() if not name.startswith("#")}
    assert values["relay_worker_partitions"] == 1
    assert values["relay_worker_watched_users"] == 900
    assert values["relay_worker_workers"] == 2
    assert values["relay_worker_share"] == 0.5
    moves = {name: float(value) for name, value in found.items() if name.startswith("relay_worker_moves_total{")}
    assert sorted(moves.values()) == [4, 5]
    telemetry.meters.shutdown()
