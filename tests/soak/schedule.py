"""What happens in a run and when: all of it follows from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tests.chaos.scene import CONTOSO, FABRIKAM, MARKER

LASTS_S = 8.0
"""How long things happen, in real seconds; then faults heal."""
ENDINGS = ("nobody watches", "removed", "suspended")
_AVAILABILITIES = ("Available", "Busy", "Away", "BeRightBack", "DoNotDisturb", "Offline", "AvailableIdle", "BusyIdle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happens, `at_s` seconds after the beginning; `run.Run` has a method for each `what`."""

    at_s: float
    what: str
    how: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One run."""

    seed: int
    switches: dict[str, Any]
    steps: tuple[Step, ...]
    ending: str


def schedule(seed: int, parts: int = 1) -> Schedule:
    """The run of a seed, `parts` times as long as usual: faults end before the next part begins."""
    chance = random.Random(seed)
    steps = []
    for part in range(parts):
        own = [*_changes(chance), *_faults(chance), *_troubles(chance), *_suites(chance, part)]
        steps += [replace(step, at_s=step.at_s + part * LASTS_S) for step in own]
        if part < parts - 1:
            steps.append(Step(at_s=(part + 1) * LASTS_S, what="remove_faults"))
    return Schedule(
        seed=seed,
        switches=_switches(chance),
        steps=tuple(sorted(steps, key=lambda step: step.at_s)),
        ending=chance.choice(ENDINGS),
    )


def _switches(chance: random.Random) -> dict[str, Any]:
    numbered = chance.random() < 0.6
    return {
        "sequence_numbers": numbered,
        "notification_sequence_numbers": numbered and chance.random() < 0.6,
        "notification_delay_s": chance.choice([(0.0, 0.0), (8.0, 60.0), (120.0, 600.0)]),
        "renewal_status": chance.choice([200, 204]),
        "second_subscription": chance.choice(["conflict_409", "forbidden_403"]),
        "validation_token_version": chance.choice(["1.0", "2.0", "mixed"]),
        "unauthorised_notifications": chance.choice(["held", "lost"]),
    }


def _changes(chance: random.Random) -> list[Step]:
    """Everybody's presence, again and again; activities are markers, so that each change can be told from all others."""
    steps = []
    for number in range(chance.randrange(30, 80)):
        who = chance.choice(CONTOSO if chance.random() < 0.7 else FABRIKAM)
        at = chance.uniform(0.0, LASTS_S)
        if chance.random() < 0.3:  # there and back again: what was before is not marked, and looks the same after
            steps += [
                Step(at_s=at, what="leave_and_return", how={"who": who, "activity": f"{MARKER}{number}"}),
            ]  # fmt: skip
        else:
            how = {"who": who, "availability": chance.choice(_AVAILABILITIES), "activity": f"{MARKER}{number}"}
            steps.append(Step(at_s=at, what="show", how=how))
    return steps


def _faults(chance: random.Random) -> list[Step]:
    """Notifications that are lost, repeated, late, in another order, or do not come at all; refused renewals."""
    kinds = {
        "loss": {"probability": chance.uniform(0.05, 0.7)},
        "duplicate": {"probability": 0.5},
        "reorder": {"probability": 0.5, "delay_s": chance.uniform(60, 600)},
        "delay": {"probability": 0.3, "delay_s": chance.uniform(60, 900)},
        "silence": chance.choice([{}, {"count": chance.randrange(3, 15)}]),
        "renewal_refused": {"status": chance.choice([403, 429, 500, 503]), "count": chance.randrange(1, 3)},
    }
    chosen = chance.sample(sorted(kinds), chance.randrange(1, 5))
    return [
        Step(
            at_s=chance.uniform(0.0, LASTS_S * 0.7),
            what="fault",
            how={"kind": kind, "only": chance.random() < 0.3, **kinds[kind]},
        )
        for kind in chosen
    ]


def _troubles(chance: random.Random) -> list[Step]:
    """Subscriptions that end or ask for a token without notice; processes that are killed and come back."""
    steps = []
    for _ in range(chance.randrange(0, 4)):
        haunts = chance.choice([0.0, 0.0, chance.uniform(60, 600)])
        steps.append(Step(at_s=chance.uniform(1.0, LASTS_S), what="end_one", how={"haunts_s": haunts}))
    if chance.random() < 0.5:
        steps.append(Step(at_s=chance.uniform(1.0, LASTS_S), what="challenge_one"))
    for name in ("worker-1", "worker-2", "webhook", "edge"):
        if chance.random() < (0.25 if name == "edge" else 0.4):
            how = {"name": name, "away_s": chance.uniform(0.1, 2.0)}
            steps.append(Step(at_s=chance.uniform(1.0, LASTS_S * 0.8), what="kill", how=how))
    return steps


def _suites(chance: random.Random, part: int) -> list[Step]:
    """Suites that come and go, and change whom they watch."""
    steps = []
    for number in range(chance.randrange(0, 3)):
        come = chance.uniform(0.5, LASTS_S * 0.6)
        users = tuple(chance.sample(CONTOSO, chance.randrange(1, len(CONTOSO))))
        name = f"visitor-{part}-{number}"
        steps.append(Step(at_s=come, what="come", how={"suite": name, "users": users}))
        if chance.random() < 0.6:
            steps.append(Step(at_s=chance.uniform(come, LASTS_S), what="go", how={"suite": name}))
    for _ in range(chance.randrange(0, 5)):
        how = {"who": chance.choice(CONTOSO[4:])}
        what = chance.choice(["subscribe", "unsubscribe"])
        steps.append(Step(at_s=chance.uniform(0.5, LASTS_S), what=what, how=how))
    return steps
