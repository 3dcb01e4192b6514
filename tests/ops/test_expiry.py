"""Certificates and credentials are warned of a month before they expire; a part that has no other is not ready then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from relay.ops.expiry import EXPIRES_IN, SOON, Expiring, Expiry
from relay.ops.health import Health
from relay.ops.supervision import running
from tests.support.clock import SteppedClock
from tests.support.waiting import eventually

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = "RELAY_CLOUD_CERTIFICATE"


def expiry(*ends: datetime, part: str = "") -> tuple[Expiry, Health, SteppedClock]:
    clock = SteppedClock(is_stopped=True, wall=NOW)
    health = Health()
    health.set("edge", ready=True)
    watching = Expiry(lambda: [Expiring(NAME, end, part) for end in ends], health, clock)
    health.watch("edge", lambda: watching.trouble("edge"))
    return watching, health, clock


def test_a_certificate_that_lasts_is_not_mentioned():
    watching, health, _ = expiry(NOW + SOON)
    with structlog.testing.capture_logs() as lines:
        watching.check()
    assert (lines, health.report()) == ([], "edge: ready\n")


def test_a_certificate_that_expires_soon_is_warned_of_once_a_day_and_leaves_its_part_ready():
    watching, health, clock = expiry(NOW + timedelta(days=29, hours=1), part="edge")
    with structlog.testing.capture_logs() as lines:
        for _ in range(3 * 24 * 6):
            watching.check()
            clock.advance(600)
    assert [line["event"] for line in lines] == ["credential_expires_soon"] * 3
    assert "expires on 2026-03-30, in 29 days: renew it" in lines[0]["hint"]
    assert health.is_ready
    assert f"{NAME}: expires on 2026-03-30, in 26 days" in health.report()


def test_a_part_without_a_certificate_in_date_is_not_ready():
    watching, health, clock = expiry(NOW + timedelta(hours=1), part="edge")
    watching.check()
    assert health.is_ready
    clock.advance(3600)
    watching.check()
    assert not health.is_ready
    assert health.report() == (
        f"edge: not ready: {NAME} expired on 2026-03-01 13:00 UTC\n{NAME}: expired on 2026-03-01 13:00 UTC\n"
    )


def test_a_part_with_one_of_two_credentials_in_date_is_ready():
    watching, health, _ = expiry(NOW - timedelta(hours=1), NOW + timedelta(hours=1), part="edge")
    watching.check()
    assert health.is_ready


def test_an_expired_credential_that_no_part_depends_on_is_a_remark():
    watching, health, _ = expiry(NOW - timedelta(hours=1))
    watching.check()
    assert f"{NAME}: expired on 2026-03-01 11:00 UTC" in health.report()
    assert health.is_ready


def test_a_renewed_certificate_ends_the_remark():
    ends = NOW + timedelta(days=1)
    health = Health()
    watching = Expiry(lambda: [Expiring(NAME, ends)], health, SteppedClock(is_stopped=True, wall=NOW))
    watching.check()
    ends = NOW + timedelta(days=365)
    watching.check()
    assert health.report() == ""


async def test_the_metric_counts_down_in_seconds():
    watching, _, _ = expiry(NOW + timedelta(days=10))
    async with running({"expiry": watching.run}):
        await eventually(lambda: EXPIRES_IN.now() == {(NAME,): 864_000})
    assert EXPIRES_IN.now() == {}
