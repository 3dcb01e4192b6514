"""What expires is told a month before, and nothing is less ready for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import structlog

from relay.ops.expiry import SOON, Expiring, Expiry
from relay.ops.health import Health
from relay.ops.telemetry import Telemetry, TelemetrySettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = "RELAY_CLOUD_CERTIFICATE"


def expiry(ends: datetime) -> tuple[Expiry, Health]:
    health = Health()
    health.set("edge", ready=True)
    return Expiry(lambda: [Expiring(NAME, ends)], health), health


def test_nothing_is_said_of_what_lasts():
    watching, health = expiry(NOW + SOON)
    with structlog.testing.capture_logs() as lines:
        watching.step(NOW)
    assert (lines, health.report()) == ([], "edge: ready\n")


def test_what_expires_soon_is_told_once_a_day_and_stays_ready():
    watching, health = expiry(NOW + timedelta(days=29, hours=1))
    with structlog.testing.capture_logs() as lines:
        for minute in range(0, 3 * 24 * 60, 10):
            watching.step(NOW + timedelta(minutes=minute))
    assert [line["event"] for line in lines] == ["credential_expires_soon"] * 3
    assert "expires on 2026-03-30, in 29 days: renew it" in lines[0]["hint"]
    assert health.is_ready
    assert f"{NAME}: expires on 2026-03-30, in 26 days" in health.report()


def test_what_expired_says_so():
    watching, health = expiry(NOW - timedelta(hours=1))
    watching.step(NOW)
    assert f"{NAME}: expired on 2026-03-01 11:00 UTC" in health.report()
    assert health.is_ready


def test_a_renewed_one_takes_the_remark_back():
    ends = NOW + timedelta(days=1)
    health = Health()
    watching = Expiry(lambda: [Expiring(NAME, ends)], health)
    watching.step(NOW)
    ends = NOW + timedelta(days=365)
    watching.step(NOW)
    assert health.report() == ""


def test_the_metric_counts_down_in_seconds(monkeypatch: pytest.MonkeyPatch):
    telemetry = Telemetry(TelemetrySettings())
    monkeypatch.setattr("relay.ops.expiry.metrics.get_meter", telemetry.meters.get_meter)
    expiry(datetime.now(UTC) + timedelta(days=10))
    [line] = [
        line for line in telemetry.exposition().decode().splitlines()
        if line.startswith("relay_credential_expires_in")
    ]  # fmt: skip
    assert f'credential="{NAME}"' in line
    assert 863_000 < float(line.rpartition(" ")[2]) <= 864_000
    telemetry.meters.shutdown()
