"""Computes the pause after a refusal. (Pure.)

The pause is at least the `Retry-After` of the other side, up to a limit. Microsoft has sent `Retry-After` values of
zero, of less than a second, and dates in the past by our clock
(https://github.com/microsoftgraph/microsoft-graph-docs/issues/3877). A request that is repeated immediately is refused
again, and each refused request counts against the limit.
"""

from __future__ import annotations

from typing import Final

LONGEST_ASKED_S: Final = 600.0
"""The longest wait that is accepted. The longest one reported is 315 s; a wrong header must not stop a tenant for an hour."""


def pause_s(in_a_row: int, asked_s: float | None = None, *, first_s: float = 2.0, most_s: float = 60.0) -> float:
    """Return seconds to wait: doubled with each refusal in a row, and longer if the other side requests it.

    Args:
        in_a_row: refusals since the last answer, the present one included.
        asked_s: seconds that the other side requests; None when it requests none, or its value is not a time.
        first_s: pause after the first refusal, when none is requested.
        most_s: longest pause when none is requested.
    """
    own = min(first_s * 2.0 ** min(max(in_a_row - 1, 0), 20), most_s)
    if asked_s is None or not asked_s >= 0:  # NaN included
        return own
    return max(own, min(asked_s, LONGEST_ASKED_S))
