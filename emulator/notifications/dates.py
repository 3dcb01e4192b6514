"""The world's seconds as dates, and dates as the world's seconds.

A date in an answer is the real time of an event at the clock's current speed: at a speed of 60, a subscription of 60
minutes expires in one real minute, and so does its `expirationDateTime`. A date in a request is a span from now, taken in
the world's seconds: a request for 60 minutes gets 60 of the world's. So a client that follows the date in the answer is right
at any speed. In a stopped world dates are computed as at a speed of 1, and move along with real time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from emulator.clock import written

if TYPE_CHECKING:
    from emulator.clock import Clock

_FRACTION: Final = re.compile(r":\d\d[.,](\d+)")


def utc_of(clock: Clock, world_s: float) -> float:
    """Return the real time of a past or future world time `world_s`, in seconds since 1970."""
    return clock.utc() + (world_s - clock.now()) / (clock.speed or 1.0)


def graph_date(clock: Clock, world_s: float) -> str:
    """Return a time of the world in Graph's date format, with seven digits."""
    return written(utc_of(clock, world_s))


def as_given(text: str) -> str:
    """Return a date of a request as Graph repeats it: in UTC, with its fraction padded to seven digits.

    Raises:
        ValueError: the text is not a date.
    """
    date, digits = datetime.fromisoformat(text), _FRACTION.search(text)
    return f"{date.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{(digits[1] if digits else '')[:7]:0<7}Z"


def span_s(clock: Clock, date: datetime) -> float:
    """Return the span from now to a date in a request, in seconds."""
    return date.timestamp() - clock.utc()
