"""Computes the time since which a user has been idle."""

from __future__ import annotations

from datetime import datetime

from relay.core.presence import Presence


def idle_since(previous: Presence | None, *, idle: bool, now: datetime) -> datetime | None:
    """Return the time since which a user has been idle without a break, as far as the relay saw; None if not idle.

    A change from one idle state to another (available idle to busy idle) is no break: the user touched no device. A
    status in between is a break, because the relay does not know what happened meanwhile; pass None as `previous` then.
    """
    if not idle:
        return None
    if previous is not None and previous.idle and previous.idle_time is not None:
        return previous.idle_time
    return now
