"""The world's seconds as dates, and dates as the world's seconds.

A date in an answer says when something really happens at the clock's present speed: at a speed of 60 a subscription of 60
minutes expires in one real minute, and its `expirationDateTime` says so. A date in a request is a span from now, taken in
the world's seconds: whoever asks for 60 minutes gets the world's. So a client that obeys the date it is given is right at
any speed. In a stopped world dates are told as at a speed of 1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.clock import Clock


def utc_of(clock: Clock, world_s: float) -> float:
    """When the world's time will be (or was) `world_s`, in seconds since 1970."""
    return clock.utc() + (world_s - clock.now()) / (clock.speed or 1.0)


def told(clock: Clock, world_s: float) -> str:
    """The same as Graph writes it, with seven digits."""
    return f"{datetime.fromtimestamp(utc_of(clock, world_s), UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def span_s(clock: Clock, date: datetime) -> float:
    """How far a date in a request is from now."""
    return date.timestamp() - clock.utc()
