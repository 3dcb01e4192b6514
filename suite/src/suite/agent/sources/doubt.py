"""The doubt about the answers of the relay. Pure: the time is an argument.

certain     a stream is open and complete, and the relay can read the organisation
uncertain   the stream has been broken for `UNCERTAIN_AFTER_S`, or everything is being sent again: the last answers are
            shown, marked; or the relay reports that its answers are old
unknown     there has been no stream for `Agent.UnknownAfter`, or the relay refuses the agent: no answer is shown
"""

from __future__ import annotations

import enum
from typing import Final

from suite.values import Status

UNCERTAIN_AFTER_S: Final = 5.0
"""Longer than a restart of the relay, which would otherwise send every colleague to all consoles twice."""


class Doubt(enum.IntEnum):
    """The degree of doubt about all answers of the relay."""

    CERTAIN = 0
    UNCERTAIN = 1
    UNKNOWN = 2


class Trust:
    """Tracks the connection to the relay, and derives the doubt. Times are seconds of a monotonic clock.

    Attributes:
        refusal: the reason for which the relay refuses; empty when it does not.
    """

    def __init__(self, now: float, unknown_after_s: float, refusal: str = "") -> None:
        self._unknown_after_s = unknown_after_s
        self._broken_since: float | None = now
        self._was_complete = False
        self._is_resetting = True
        self._tenant = Status.NONE
        self.refusal = refusal

    def completed(self) -> None:
        """Note that a stream is complete: every answer is the relay's newest."""
        self._broken_since, self._is_resetting, self._was_complete, self.refusal = None, False, True, ""

    def broke(self, now: float) -> None:
        """Note that there is no stream."""
        if self._broken_since is None:
            self._broken_since = now

    def reset(self) -> None:
        """Note that everything is sent again."""
        self._is_resetting = True

    def tenant(self, status: Status) -> None:
        """Note whether the relay can read the organisation: NONE when it can."""
        self._tenant = status

    def refused(self, reason: str) -> None:
        """Note that the relay refuses this agent."""
        self.refusal = reason

    def doubt(self, now: float) -> tuple[Doubt, str]:
        """Return the doubt, and the reason when it is UNKNOWN."""
        if self.refusal:
            return Doubt.UNKNOWN, self.refusal
        if self._broken_since is not None:
            broken_s = now - self._broken_since
            if broken_s >= self._unknown_after_s:
                return Doubt.UNKNOWN, "connection_error"
            if broken_s >= UNCERTAIN_AFTER_S or not self._was_complete:
                return Doubt.UNCERTAIN, ""
        if self._is_resetting or self._tenant is not Status.NONE:
            return Doubt.UNCERTAIN, ""
        return Doubt.CERTAIN, ""
