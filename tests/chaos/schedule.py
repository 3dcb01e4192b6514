"""Which faults meet in a run: all of it follows from the seed and the topology of Redis.

A run has waves. The faults of a wave overlap, each ends by itself, and when the last is over every suite must be right again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.topologies import STANDALONE, TOPOLOGIES
from tests.support.fault_proxy import Fault

WAVE_S: Final = 8.0
"""How long faults begin and last at most, in seconds."""
WAVES: Final = 5
"""Of a long run: about 100 s with start and healing."""
ROLES: Final = {
    "edge": "edge", "edge-2": "edge",
    "worker-1": "worker", "worker-2": "worker", "worker-3": "worker",
    "webhook": "webhook", "webhook-2": "webhook",
}  # fmt: skip
"""Process -> the role it runs."""
FEW_ROLES: Final = {name: role for name, role in ROLES.items() if name not in {"worker-3", "webhook-2"}}
"""Of a short run beside other tests: each process takes two seconds of CPU to start."""
LINES: Final = ("redis", "cloud", "entra", "hook", "suites-1", "suites-2")
_STATUSES: Final = (400, 401, 403, 404, 429, 500, 502, 503, 504)
_RETRY_AFTERS: Final = ("0", "-3", "0.124", "1", "2", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999")
_PATHS: Final = ("getPresencesByUserId", "/v1.0/subscriptions", "/v1.0/", "/oauth2/")
_STEPS_S: Final = (-3600.0, -90.0, 90.0, 3600.0)
"""Seconds by which a clock is wrong: time zones taken for one another, and a machine that nothing sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTrouble:
    """One fault; `troubles.Troubles` has a method for each `what`.

    Attributes:
        at_s: after the beginning of its wave.
        lasts_s: how long.
    """

    at_s: float
    lasts_s: float
    what: str
    how: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        how = " ".join(f"{name}={value}" for name, value in self.how.items())
        return f"+{self.at_s:.1f}s for {self.lasts_s:.1f}s {self.what} {how}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadHour:
    """One run."""

    seed: int
    topology: str
    roles: Mapping[str, str]
    switches: Mapping[str, Any]
    waves: tuple[tuple[PlannedTrouble, ...], ...]
    weakened: Mapping[str, str] = field(default_factory=dict)
    """Process -> the rule of `tests.chaos.weakened` that it breaks."""

    @property
    def stepped(self) -> frozenset[str]:
        """Return the processes whose clocks are stepped."""
        return frozenset(each.how["name"] for wave in self.waves for each in wave if each.what == "step_clock")

    def __str__(self) -> str:
        waves = [[f"wave {number}", *map(str, wave)] for number, wave in enumerate(self.waves, 1)]
        lines = [
            f"seed {self.seed}, {self.topology}, {dict(self.switches)}",
            *(line for wave in waves for line in wave),
        ]
        return "\n  ".join(lines)


def bad_hour(seed: int, topology: str = STANDALONE, waves: int = WAVES, roles: Mapping[str, str] = ROLES) -> BadHour:
    """Return the run of a seed."""
    chance = random.Random(f"{seed} {topology}")
    numbered = chance.random() < 0.6
    draw = _Draw(chance, topology, tuple(roles))
    return BadHour(
        seed=seed,
        topology=topology,
        roles=roles,
        switches={"sequence_numbers": numbered, "notification_sequence_numbers": numbered},
        waves=tuple(draw.wave() for _ in range(waves)),
    )


class _Draw:
    """Draws faults."""

    def __init__(self, chance: random.Random, topology: str, processes: Sequence[str]) -> None:
        self._chance = chance
        self._topology = topology
        self._processes = processes

    def wave(self) -> tuple[PlannedTrouble, ...]:
        """One to four faults, each of another thing, and perhaps suites that reconnect."""
        makers: Mapping[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            "process": self._process, "workers": lambda: ("kill_workers", {}), "redis": self._redis, "line": self._line,
            "cloud": self._cloud, "suites": lambda: ("reconnect", {}), "clock": self._clock,
        }  # fmt: skip
        things = [
            "process",
            "process",
            "workers",
            "redis",
            "redis",
            "line",
            "line",
            "cloud",
            "cloud",
            "suites",
            "clock",
        ]
        taken: set[str] = set()
        troubles = []
        for thing in self._chance.sample(things, 4)[: self._chance.randrange(1, 5)]:
            what, how = makers[thing]()
            whom = "workers" if thing == "workers" else str(how.get("name", what))
            if whom.startswith("redis") and self._topology != STANDALONE:
                whom = "redis"  # custody survives any one crash, and not two at once
            if whom in taken or _are_workers(whom, taken):
                continue
            taken.add(whom)
            at_s = self._chance.uniform(0.0, WAVE_S / 2)
            lasts_s = self._chance.uniform(0.2, WAVE_S - at_s)
            troubles.append(PlannedTrouble(at_s=at_s, lasts_s=lasts_s, what=what, how=how))
        return tuple(sorted(troubles, key=lambda each: each.at_s))

    def _process(self) -> tuple[str, dict[str, Any]]:
        return self._chance.choice(["kill", "terminate", "freeze"]), {"name": self._chance.choice(self._processes)}

    def _redis(self) -> tuple[str, dict[str, Any]]:
        return "redis", {"trouble": self._chance.choice(TOPOLOGIES[self._topology].TROUBLES)}

    def _clock(self) -> tuple[str, dict[str, Any]]:
        return "step_clock", {"name": self._chance.choice(self._processes), "by_s": self._chance.choice(_STEPS_S)}

    def _line(self) -> tuple[str, dict[str, Any]]:
        chance = self._chance
        name = chance.choice(LINES)
        name = chance.choice(TOPOLOGIES[self._topology].LINES) if name == "redis" else name
        kind = chance.choice(["delay", "resets", *sorted(set(Fault) - {Fault.NONE})])
        if kind == "delay":
            return "delay_line", {"name": name, "delay_s": chance.choice([0.03, 0.15])}
        if kind == "resets":
            return "reset_line", {"name": name}
        return "break_line", {"name": name, "fault": Fault(kind)}

    def _cloud(self) -> tuple[str, dict[str, Any]]:
        chance = self._chance
        how: dict[str, Any] = {"contains": chance.choice(_PATHS), "probability": chance.choice([1.0, 0.5, 0.2])}
        kind = chance.choice(["reset", "hang", "html", "damage", "status", "status", "status"])
        if kind == "reset":
            how["reset"] = True
        elif kind == "hang":
            how["latency_ms"] = chance.choice([1000.0, 8000.0])
        elif kind == "html":
            how |= {"status": chance.choice([200, 502]), "body": "<html>Gateway</html>", "headers": {"x-gateway": "1"}}
        elif kind == "damage":
            how["damage"] = chance.choice(["truncated", "malformed", "not_json", "no_value", "wrong_type", "empty"])
        else:
            how["status"] = chance.choice(_STATUSES)
            if how["status"] in {429, 503}:
                how["headers"] = {"Retry-After": chance.choice(_RETRY_AFTERS)}
        return "cloud_fault", how


def _are_workers(whom: str, taken: set[str]) -> bool:
    """Whether all workers and one of the processes would meet in a wave."""
    return ("workers" in taken and "worker" in whom) or (whom == "workers" and bool(taken & set(ROLES)))
