"""Orderly: no process ends by itself, and none stumbles over what it meets."""

from __future__ import annotations

from tests.chaos.record import Output, Record


def orderly(record: Record) -> list[str]:
    """Judge what processes said and did that no fault accounts for."""
    return [f"{line.process}: {line.what}" for line in record.of(Output) if not line.is_secret]
