"""Computes the time since which a user has been idle."""

from __future__ import annotations

from datetime import datetime

from relay.core.presence import Presence


def idle_since(previous: Presence | None, *, idle: bool, now: datetime) -> datetime | None:
    """Return the time since which a user has been idle without a break, as the relay saw it; None for a user who is not idle.

    Going from one idle state to another (available idle to busy idle) does not interrupt it: nobody touched a device. An answer
    that was a status in between is one, because the relay did not see what happened meanwhile: `previous` is then None.
    """
    if not idle:
        return None
    if previous is not None and previous.idle and previous.idle_time is not None:
        return previous.idle_time
    return now
