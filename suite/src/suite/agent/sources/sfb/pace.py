"""The times of a session. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

POLL_S: Final = 180
"""Seconds for which the server holds a poll of the event channel: its minimum and its default. UCWA/events_ref."""
MEDIUM_S: Final = 5
"""Seconds for which the server collects events of medium urgency, such as presence: its minimum and its default."""
LOW_S: Final = 15
MOST_TRIES: Final = 3
"""Attempts at the event channel with the same `ack`, at a subscription, at a contact; and answers in a row that reset everything."""
LONGEST_WAIT_S: Final = 30.0
"""The longest wait before a request is sent again, unless the server asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPace:
    """The times of a session, in seconds.

    Attributes:
        request: limit of one request, to the last byte of its answer.
        between_polls: the least time between two requests to the event channel.
        again: the wait before a request is sent again, doubled with each attempt.
        late: timeout of a poll of the event channel.
        quiet: the wait for the first presence after a subscription, before the agent requests the subscription's members.
    """

    request: float = 30.0
    between_polls: float = 0.5
    again: float = 1.0
    late: float = POLL_S + 30.0
    quiet: float = 60.0

    def wait(self, attempt: int, asked_s: float = 0.0) -> float:
        """Return the wait in seconds after a failed attempt.

        Args:
            attempt: number of the attempt, from 1.
            asked_s: the wait that the server requested, in seconds.
        """
        return max(asked_s, min(LONGEST_WAIT_S, self.again * 2.0 ** min(attempt - 1, 16)))
