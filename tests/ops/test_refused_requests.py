"""A flood of junk leaves a line now and then in the log, with its number."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from relay.ops import refused_requests as refusals
from relay.ops.refused_requests import RefusalCounter


def test_each_reason_is_told_at_once_and_then_once_a_period_with_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_SAY_EVERY_S", 3600.0)
    with capture_logs() as lines:
        refused = RefusalCounter("webhook")
        for _ in range(1000):
            refused("malformed")
        refused("upgrade")
        assert [(line["reason"], line["count"]) for line in lines] == [("malformed", 1), ("upgrade", 1)]
        monkeypatch.setattr(refusals, "_SAY_EVERY_S", 0.0)
        refused("malformed")
        assert [(line["reason"], line["count"]) for line in lines[2:]] == [("malformed", 1000)]


def test_the_last_ones_are_told_when_the_server_stops() -> None:
    with capture_logs() as lines:
        refused = RefusalCounter("webhook")
        for _ in range(5):
            refused("malformed")
        refused.close()
    assert [line["count"] for line in lines] == [1, 4]
    assert {line["event"] for line in lines} == {"http_refused"}
