"""Which faults of processes, Valkey, the clouds and the lines between them meet in a run: all of it follows from the seed.

A run has waves. The faults of a wave overlap, each ends by itself, and when the last is over every suite must be right again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.fault_proxy import Fault

WAVE_S: Final = 8.0
"""How long faults begin and last at most, in seconds."""
WAVES: Final = 5
"""Of a run of the soak: about 90 s with start and healing."""
PROCESSES: Final = ("worker-1", "worker-2", "edge", "edge-2", "webhook")
LINES: Final = ("redis", "cloud", "entra", "hook")
_STATUSES: Final = (400, 401, 403, 404, 429, 500, 502, 503, 504)
_RETRY_AFTERS: Final = ("0", "-3", "0.124", "1", "2", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999")
_PATHS: Final = ("getPresencesByUserId", "/v1.0/subscriptions", "/v1.0/", "/oauth2/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One fault; `chaos.Chaos` has a method for each `what`.

    Attributes:
        at_s: after the beginning of its wave.
        lasts_s: how long.
    """

    at_s: float
    lasts_s: float
    what: str
    how: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadHour:
    """One run."""

    seed: int
    switches: dict[str, Any]
    waves: tuple[tuple[Trouble, ...], ...]


def bad_hour(seed: int, waves: int = WAVES) -> BadHour:
    """The run of a seed."""
    chance = random.Random(seed)
    numbered = chance.random() < 0.6
    return BadHour(
        seed=seed,
        switches={"sequence_numbers": numbered, "notification_sequence_numbers": numbered},
        waves=tuple(_wave(chance) for _ in range(waves)),
    )


def _wave(chance: random.Random) -> tuple[Trouble, ...]:
    """One to four faults, each of another thing, and perhaps suites that reconnect."""
    things = chance.sample(["process", "process", "workers", "valkey", "line", "line", "cloud", "cloud", "suites"], 4)
    makers = {
        "process": _process,
        "workers": _workers,
        "valkey": _valkey,
        "line": _line,
        "cloud": _cloud,
        "suites": lambda _: ("reconnect", {}),
    }
    taken: set[str] = set()
    troubles = []
    for thing in things[: chance.randrange(1, 5)]:
        what, how = makers[thing](chance)
        whom = "workers" if thing == "workers" else str(how.get("name", what))
        if whom in taken or ("workers" in taken and "worker" in whom) or (whom == "workers" and taken & set(PROCESSES)):
            continue
        taken.add(whom)
        at_s = chance.uniform(0.0, WAVE_S / 2)
        troubles.append(Trouble(at_s=at_s, lasts_s=chance.uniform(0.2, WAVE_S - at_s), what=what, how=how))
    return tuple(sorted(troubles, key=lambda each: each.at_s))


def _process(chance: random.Random) -> tuple[str, dict[str, Any]]:
    return chance.choice(["kill", "terminate", "freeze"]), {"name": chance.choice(PROCESSES)}


def _workers(_: random.Random) -> tuple[str, dict[str, Any]]:
    return "kill_workers", {}


def _valkey(chance: random.Random) -> tuple[str, dict[str, Any]]:
    kind = chance.choice(["kill", "freeze", "load", "demote", "configure", "configure"])
    if kind != "configure":
        return f"{kind}_valkey", {}
    setting = chance.choice([("maxmemory", "1mb", "0"), ("min-replicas-to-write", "1", "0")])
    return "configure_valkey", dict(zip(("setting", "value", "usual"), setting, strict=True))


def _line(chance: random.Random) -> tuple[str, dict[str, Any]]:
    name = chance.choice(LINES)
    kind = chance.choice(["delay", "resets", *sorted(set(Fault) - {Fault.NONE})])
    if kind == "delay":
        return "delay_line", {"name": name, "delay_s": chance.choice([0.03, 0.15])}
    if kind == "resets":
        return "reset_line", {"name": name}
    return "break_line", {"name": name, "fault": Fault(kind)}


def _cloud(chance: random.Random) -> tuple[str, dict[str, Any]]:
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
