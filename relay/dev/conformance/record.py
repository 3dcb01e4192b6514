"""The record of a suite: its calls, its connections, and the disturbances. All times are seconds since the run began."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANCELLED: Final = "CANCELLED"
"""The ending of a call that its suite cancelled, or whose connection broke."""
OK: Final = "OK"
ENOUGH_S: Final = 1.0
"""A drain's delay in which every suite can open another stream."""


@dataclass(slots=True)
class SeenStart:
    """The start of a stream, its parts joined."""

    token: str = ""
    subscribed: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    """Name -> user id, or the name of an `UnknownReason`."""
    client: str = ""

    @property
    def names(self) -> set[str]:
        """Return all names that it requests."""
        return {*self.subscribed, *self.held}


@dataclass(slots=True)
class SeenCall:
    """One call of a suite, as the edge saw it."""

    number: int
    opened_s: float
    method: str = "WatchPresence"
    start: SeenStart = field(default_factory=SeenStart)
    changes: int = 0
    tokens: list[tuple[float, str]] = field(default_factory=list)
    """The relay's resume tokens with their times; each once, in order."""
    told: dict[str, str] = field(default_factory=dict)
    """Name -> user id, or the name of an `UnknownReason`, from the relay's last response."""
    outcomes: list[tuple[float, str]] = field(default_factory=list)
    complete_s: float | None = None
    """When the last snapshot was complete; None before, and after a reset."""
    reasons: list[str] = field(default_factory=list)
    """The trouble in each `tenant_status`; empty when all was well."""
    drain_s: float | None = None
    drain_delay_s: float = 0.0
    half_closed_s: float | None = None
    ended_s: float | None = None
    ending: str = ""
    """The name of an `ErrorReason`, `OK` or `CANCELLED`."""
    retry_s: float = 0.0
    """The wait that the relay requested with the ending."""

    @property
    def known(self) -> dict[str, str]:
        """Return the suite's knowledge of names: its held names, updated by the relay's responses."""
        return {**self.start.held, **self.told}

    @property
    def is_open(self) -> bool:
        """Return whether the call is open."""
        return self.ended_s is None

    @property
    def is_settled(self) -> bool:
        """Return whether the suite has received everything."""
        return self.is_open and self.complete_s is not None and bool(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """The record of one scenario."""

    scenario: str
    began_s: float
    ended_s: float
    calls: Sequence[SeenCall]
    """All calls of the run until the scenario ended, in order."""
    connections: Sequence[float]
    """Times of accepted connections of the whole run, including those that were closed at once."""
    done_s: Sequence[float]
    """Times of the scenario's disturbances."""
    limit_s: float = 0.0
    """Duration of the disturbance, or time limit of the suite; see the scenario."""
    over_s: float | None = None
    """End of the disturbance, if it lasts."""
    kept_s: tuple[float, float] | None = None
    """The period in which the suite had no reason to open another stream."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Name -> its new meaning during the scenario."""
    trouble: str = ""
    """The reason why the scenario was not completed; empty when it was."""

    def opened_after(self, time_s: float) -> list[SeenCall]:
        """Return the calls that were opened after a moment."""
        return [call for call in self.calls if call.opened_s > time_s]

    def open_at(self, time_s: float) -> list[SeenCall]:
        """Return the calls that were open at a moment."""
        return [
            call
            for call in self.calls
            if call.opened_s <= time_s and (call.ended_s is None or call.ended_s >= time_s) and call.start.names
        ]

    def waits(self) -> list[float]:
        """Return the time from each disturbance to the next connection; disturbances without one are left out."""
        firsts = [next((at - done for at in self.connections if at > done), None) for done in self.done_s]
        return [wait for wait in firsts if wait is not None]
