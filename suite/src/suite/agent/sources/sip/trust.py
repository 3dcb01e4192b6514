"""The doubt about the states that a server sent. Pure: times are arguments, in seconds of a monotonic clock.

certain     the server can be used, and has confirmed the state
uncertain   the state has not been confirmed for `UNCERTAIN_AFTER_S` since a connection broke, or a subscription ended
unknown     no server has been usable for `Agent.UnknownAfter`, or it refuses the agent, or its subscriptions to this user have failed
            for as long
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.agent.sources.doubt import UNCERTAIN_AFTER_S, Doubt
from suite.agent.sources.sip.states import ERROR

if TYPE_CHECKING:
    from suite.agent.sources.sip.resources import SipResource


class ServerTrust:
    """Tracks the server, and derives the doubt about each resource.

    Attributes:
        down_since: time since which there has been no server; None while there is one.
        refusal: the reason for which it refuses the agent; empty when it does not.
    """

    def __init__(self, now: float, unknown_after_s: float) -> None:
        self.down_since: float | None = now
        self.refusal = ""
        self._unknown_after_s = unknown_after_s

    def lost(self, now: float, refusal: str = "") -> None:
        """Note that there is no server, or that it refuses the agent."""
        if self.down_since is None:
            self.down_since = now
        self.refusal = refusal

    def found(self) -> None:
        """Note that there is a server."""
        self.down_since, self.refusal = None, ""

    def doubt(self, resource: SipResource, now: float) -> tuple[Doubt, str]:
        """Return the doubt about what was said of a resource, and the reason when it is UNKNOWN."""
        if self.refusal:
            return Doubt.UNKNOWN, self.refusal
        if self.down_since is not None and now - self.down_since >= self._unknown_after_s:
            return Doubt.UNKNOWN, "connection_error"
        if self.down_since is None and _is_over(resource.failing_since, now, self._unknown_after_s):
            return Doubt.UNKNOWN, ERROR
        if _is_over(resource.unconfirmed_since, now, UNCERTAIN_AFTER_S):
            return Doubt.UNCERTAIN, ""
        return Doubt.CERTAIN, ""


def _is_over(since: float | None, now: float, span_s: float) -> bool:
    return since is not None and now - since >= span_s
