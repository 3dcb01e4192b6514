"""The order of a server's targets: SRV records (RFC 2782, RFC 3263 4.2), failover. Pure: time and random numbers are arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_TARGETS: Final = 16
"""Of one server. Further ones are ignored."""
_AVOIDED_S: Final = 300.0
"""Seconds for which a failed target is tried after the others."""


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV record. The target is a name without its last dot; "" means that there is no such service."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class SipTarget:
    """An address to send requests to. A lower priority is tried first."""

    host: str
    """An IP address, IPv6 without brackets."""
    port: int
    priority: int = 0

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def in_order(records: Iterable[SrvRecord], draw: Callable[[float], float]) -> list[SrvRecord]:
    """Return records by priority, and those of one priority in an order drawn by their weights (RFC 2782).

    `draw(most)` returns a number from 0 to `most`.
    """
    left = sorted(records, key=lambda each: (each.priority, each.weight))
    ordered: list[SrvRecord] = []
    while left:
        equal = [each for each in left if each.priority == left[0].priority]
        drawn = draw(sum(each.weight for each in equal))
        chosen = equal[-1]
        for each in equal:
            drawn -= each.weight
            if drawn <= 0:
                chosen = each
                break
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


@dataclass(slots=True)
class TargetsHeld:
    """The targets of one server from its last lookup, and which of them answered or failed."""

    found: tuple[SipTarget, ...] = ()
    kept_until: float | None = None
    """Time of the next lookup; None before the first."""
    _works: SipTarget | None = None
    _failed: dict[SipTarget, float] = field(default_factory=dict)

    def take(self, found: Sequence[SipTarget], kept_until: float) -> None:
        """Take the result of a lookup."""
        self.found = tuple(dict.fromkeys(found))[:MOST_TARGETS]
        self.kept_until = kept_until
        self._failed = {each: at for each, at in self._failed.items() if each in self.found}

    def in_order(self, now: float) -> list[SipTarget]:
        """Return the targets in the order to try them.

        By priority. Of one priority the target that answered last is first, because it has our dialogs. Targets that failed
        in the last five minutes come after all others, the oldest failure first.
        """
        failed = {each: at for each, at in self._failed.items() if now - at < _AVOIDED_S}
        return sorted(
            self.found,
            key=lambda each: (each in failed, failed.get(each, 0.0), each.priority, each != self._works),
        )

    def works(self, target: SipTarget) -> None:
        """Record that a target answered."""
        self._works = target
        self._failed.pop(target, None)

    def failed(self, target: SipTarget, now: float) -> None:
        """Record that a target did not answer, or could not be connected to."""
        self._failed[target] = now
        if self._works == target:
            self._works = None
