"""Computes the pause after a refusal. (Pure.)

The pause is what the other side asks for, within bounds. Microsoft has sent `Retry-After` values of zero, of less than a second,
and dates that are past by our clock (https://github.com/microsoftgraph/microsoft-graph-docs/issues/3877). A request that is
repeated at once is refused again, and each refused request counts against the limit.
"""

from __future__ import annotations

from typing import Final

LONGEST_ASKED_S: Final = 600.0
"""Longer waits are not believed. The longest one reported is 315 s; one wrong header must not stop a tenant for an hour."""


def pause_s(in_a_row: int, asked_s: float | None = None, *, first_s: float = 2.0, most_s: float = 60.0) -> float:
    """Seconds to wait: doubled with each refusal in a row, and longer where that was asked for.

    Args:
        in_a_row: refusals since the last answer, the present one included.
        asked_s: what the other side asked for; None when it said nothing, or something that is not a time.
        first_s: after the first refusal, when nothing is asked for.
        most_s: when nothing is asked for.
    """
    own = min(first_s * 2.0 ** min(max(in_a_row - 1, 0), 20), most_s)
    if asked_s is None or not asked_s >= 0:  # NaN included
        return own
    return max(own, min(asked_s, LONGEST_ASKED_S))
