"""Carries stages out in a world: the alert fires, the runbook's command shows the cause, the fault ends, the alert clears."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.monitoring import rules
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.stages.catalogue import Stage
from tests.monitoring.stages.runbook import Command, first_command, shown
from tests.monitoring.stages.world import FACTOR, World

Name = tuple[str, str]
"""An alert, and its label `window`; empty without one."""
FIRES_S: Final = 240.0
CLEARS_S: Final = 150.0
TICKETS_CLEAR_S: Final = 6 * 3600 / FACTOR + 120.0
"""The alert on three days ends when its short window, six hours, is well again."""
_LOOK_S: Final = 0.5
_SLOW: Final = "3d"


class Watch:
    """Looks at the alerts of a Prometheus all the time, and keeps when each fired and when it did not."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._changes: dict[Name, list[tuple[float, bool]]] = {}

    async def look(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            found = await self._prometheus.query('ALERTS{alertstate="firing"}')
            firing = {(one["metric"]["alertname"], one["metric"].get("window", "")) for one in found}
            for name in firing | self._changes.keys():
                if self.is_firing(name) is not (name in firing):
                    self._changes.setdefault(name, []).append((time.monotonic(), name in firing))
            await asyncio.sleep(_LOOK_S)

    def is_firing(self, name: Name) -> bool:
        """Return whether it fires now."""
        changes = self._changes.get(name)
        return bool(changes and changes[-1][1])

    def after(self, name: Name, moment: float, *, fires: bool) -> float | None:
        """Return how many seconds after a moment it first fired, or first did not; None when that is still to come."""
        state, since = False, moment
        for at, is_firing in self._changes.get(name, ()):
            if at <= moment:
                state = is_firing
            elif state is not fires:
                state, since = is_firing, at
                if state is fires:
                    break
        return since - moment if state is fires else None


@dataclass
class Outcome:
    """What came of one stage: seconds by window of the alert, and the faults of the stage itself."""

    stage: Stage
    began: float
    ended: float = 0.0
    fired_s: dict[str, float] = field(default_factory=dict)
    cleared_s: dict[str, float] = field(default_factory=dict)
    before: str = ""
    output: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def showed(self) -> str:
        """Return the line that shows the cause and was not there before the fault; empty when none does."""
        known = set(self.before.splitlines())
        lines = [line for line in _showing(self.stage, self.output) if line not in known]
        return lines[-1].strip() if lines else ""


def _showing(stage: Stage, output: str) -> list[str]:
    return [line for line in output.splitlines() if re.search(stage.shows, line)]


def windows(alert: str) -> list[str]:
    """Return the labels `window` of the alerts of one name; one empty text without any."""
    found = [rule for group in rules.rules()["groups"] for rule in group["rules"] if rule.get("alert") == alert]
    return [rule["labels"].get("window", "") for rule in found]


def runbook(alert: str) -> str:
    """Return the path of an alert's runbook."""
    found = [rule for group in rules.rules()["groups"] for rule in group["rules"] if rule.get("alert") == alert]
    return str(found[0]["annotations"]["runbook"])


async def run(world: World, stages: Sequence[Stage], say: Callable[[str], None]) -> list[Outcome]:
    """Carry stages out, one after another; alerts on three days clear together at the end."""
    watch = Watch(world.prometheus)
    looking = asyncio.create_task(watch.look())
    try:
        outcomes = []
        for stage in stages:
            outcomes.append(await _stage(world, watch, stage))
            say(" | ".join(_row(outcomes[-1])))
        await _tickets(watch, outcomes)
        return outcomes
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _stage(world: World, watch: Watch, stage: Stage) -> Outcome:
    names = [(stage.alert, window) for window in windows(stage.alert)]
    command = first_command(runbook(stage.alert))
    await _until(lambda: not any(map(watch.is_firing, names)), TICKETS_CLEAR_S)
    before = await _before(world, stage, command)
    outcome = Outcome(stage, time.monotonic(), before=before)
    if _showing(stage, before) and not _is_log(command):
        outcome.faults.append("the first command shows the cause before the fault")
    if fired := [name for name in names if watch.is_firing(name)]:
        outcome.faults.append(f"{fired} fired before")
    async with stage.fault(world):
        await _until(lambda: all(watch.after(name, outcome.began, fires=True) is not None for name in names), FIRES_S)
        outcome.output = await shown(command, world)
        outcome.faults += [
            f"{' '.join(name)} cleared before the fault ended" for name in names if not watch.is_firing(name)
        ]
    outcome.ended = time.monotonic()
    for name in names:
        after = watch.after(name, outcome.began, fires=True)
        if after is None:
            outcome.faults.append(f"{' '.join(name)} did not fire within {FIRES_S:g} s")
        else:
            outcome.fired_s[name[1]] = after
    if not outcome.showed:
        outcome.faults.append(f"the first command does not show the cause: {outcome.output[-600:]!r}")
    quick = [name for name in names if name[1] != _SLOW]
    await _until(lambda: not any(map(watch.is_firing, quick)), CLEARS_S)
    _note_cleared(watch, outcome, quick)
    return outcome


def _is_log(command: Command) -> bool:
    """Return whether a command prints a log, of which only the lines that are new say something of a fault."""
    return command.text.startswith("kubectl logs")


async def _before(world: World, stage: Stage, command: Command) -> str:
    """Return what a command shows before the fault, once an earlier fault has left its windows."""
    deadline = time.monotonic() + CLEARS_S
    while True:
        output = await shown(command, world)
        if _is_log(command) or not _showing(stage, output) or time.monotonic() > deadline:
            return output
        await asyncio.sleep(5)


async def _tickets(watch: Watch, outcomes: Sequence[Outcome]) -> None:
    slow = [(each, (each.stage.alert, window)) for each in outcomes for window in each.fired_s if window == _SLOW]
    await _until(lambda: not any(watch.is_firing(name) for _, name in slow), TICKETS_CLEAR_S if slow else 0)
    for outcome, name in slow:
        _note_cleared(watch, outcome, [name])


def _note_cleared(watch: Watch, outcome: Outcome, names: Sequence[Name]) -> None:
    for name in names:
        if name[1] not in outcome.fired_s:
            continue
        after = watch.after(name, outcome.ended, fires=False)
        if after is None:
            outcome.faults.append(f"{' '.join(name)} did not clear")
        else:
            outcome.cleared_s[name[1]] = after


async def _until(condition: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110  a Prometheus elsewhere
        await asyncio.sleep(_LOOK_S)


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the table, and then the faults."""
    yield "| alert | staged by | fired after | cleared after | first command shows |"
    yield "| --- | --- | --- | --- | --- |"
    for outcome in outcomes:
        yield f"| {' | '.join(_row(outcome))} |"
    for outcome in outcomes:
        for fault in outcome.faults:
            yield f"{outcome.stage.alert}: {fault}"


def _row(outcome: Outcome) -> list[str]:
    shown_line = " ".join(outcome.showed.replace("|", "/").split())
    return [
        f"`{outcome.stage.alert}`",
        outcome.stage.staged_by,
        _seconds(outcome.fired_s),
        _seconds(outcome.cleared_s),
        f"`{shown_line[:160]}`" if outcome.showed else "not the cause",
    ]


def _seconds(by_window: dict[str, float]) -> str:
    parts = [f"{seconds:.0f} s{f' ({window})' if window else ''}" for window, seconds in by_window.items()]
    return ", ".join(parts) or "never"
