"""The targets of a server, in the order to try them: SRV records (RFC 2782, RFC 3263 4.2), failover. Pure: time and chance go in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_TARGETS: Final = 16
"""Of one server. Those beyond are left out, the last ones first."""
_AVOIDED_S: Final = 300.0
"""How long a target that failed stands behind the others."""


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV record. The target is a name without its last dot; "" says that there is no such service."""

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
    """The targets of one server as they were found last, and what became of requests to them."""

    found: tuple[SipTarget, ...] = ()
    kept_until: float | None = None
    """When they are to be looked up again; None: they were never looked up."""
    _works: SipTarget | None = None
    _failed: dict[SipTarget, float] = field(default_factory=dict)

    def take(self, found: Sequence[SipTarget], kept_until: float) -> None:
        """Take what was looked up."""
        self.found = tuple(dict.fromkeys(found))[:MOST_TARGETS]
        self.kept_until = kept_until
        self._failed = {each: at for each, at in self._failed.items() if each in self.found}

    def in_order(self, now: float) -> list[SipTarget]:
        """Return the targets in the order to try them.

        By priority. Of one priority the one that works stays the first, because it has our dialogs. Those that failed
        lately come last, the one whose failure is longest ago first.
        """
        failed = {each: at for each, at in self._failed.items() if now - at < _AVOIDED_S}
        return sorted(
            self.found,
            key=lambda each: (each in failed, failed.get(each, 0.0), each.priority, each != self._works),
        )

    def works(self, target: SipTarget) -> None:
        """A target answered."""
        self._works = target
        self._failed.pop(target, None)

    def failed(self, target: SipTarget, now: float) -> None:
        """A target did not answer, or has no connection for us."""
        self._failed[target] = now
        if self._works == target:
            self._works = None
