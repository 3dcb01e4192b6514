"""The time until a newly watched user is answered, and until a change is shown, when Graph answers in 50 ms."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.load.rig import at_work
from bench.load.suites import watching
from bench.load.world import organisations
from relay.ops import loop

if TYPE_CHECKING:
    from bench.load.rig import Rig
    from bench.load.suites import Stream

GRAPH_MS: Final = 50
INTERVAL_S: Final = 5.0
ONE_S: Final = 1.0
MANY_S: Final = 5.0
CHANGE_S: Final = INTERVAL_S + 1.0
_BACKGROUND: Final = 1000
"""Users who are watched all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """The options of the answer benchmark."""

    tries: int = 50
    many: int = 2000
    changes: int = 30


def run(options: AnswerOptions) -> int:
    """Measure; return the exit code."""
    verdict = report.Verdict("answer")
    report.say(f"load of the machine before: {report.load_before()}")
    world = organisations([_BACKGROUND + options.tries + options.many])
    with at_work(world, graph_latency_ms=GRAPH_MS) as rig:
        ones, many, changes = loop.run(_measure(rig, world[0].names, options))
    rows = [[name, len(each), report.median(each), max(each)] for name, each in
            (("one new user", ones), (f"{options.many} new users", many), ("a change", changes))]  # fmt: skip
    report.table(f"seconds until a suite has it; Graph takes {GRAPH_MS} ms", ["", "tries", "median", "max"], rows)
    verdict.ratios = {
        "one_s": round(max(ones), 3), "one_median_s": round(report.median(ones), 3), "many_s": round(max(many), 2),
        "change_s": round(max(changes), 2), "change_median_s": round(report.median(changes), 2),
    }  # fmt: skip
    verdict.must[f"a new user is answered within {ONE_S:g} s"] = max(ones) <= ONE_S
    verdict.must[f"{options.many} new users within {MANY_S:g} s"] = max(many) <= MANY_S
    verdict.must[f"a change is seen within {CHANGE_S:g} s"] = max(changes) <= CHANGE_S
    return verdict.say()


async def _measure(rig: Rig, names: list[str], options: AnswerOptions) -> tuple[list[float], list[float], list[float]]:
    background, single = names[:_BACKGROUND], names[_BACKGROUND : _BACKGROUND + options.tries]
    async with watching(rig, 0, background) as stream:
        await stream.until(lambda: len(stream.shown) == len(background))
        ones = []
        for name in single:
            await asyncio.sleep(random.uniform(0.1, 0.4))
            ones.append(await _asked(stream, [name]))
        many = [await _asked(stream, names[_BACKGROUND + options.tries :])]
        changes = [await _changed(rig, stream, name) for name in background[: options.changes]]
        return ones, many, changes


async def _asked(stream: Stream, names: list[str]) -> float:
    """Return the seconds until all names have a presence."""
    want = len(stream.shown) + len(names)
    began = time.monotonic()
    await stream.subscribe(names)
    return await stream.until(lambda: len(stream.shown) >= want) - began


async def _changed(rig: Rig, stream: Stream, name: str) -> float:
    """Return the seconds until a change is shown."""
    await asyncio.sleep(random.uniform(0, 1))
    body = {"availability": "Busy", "activity": "InACall"}
    began = time.monotonic()
    await asyncio.to_thread(rig.control.put, f"people/{name}/presence", json=body)
    return await stream.until(lambda: stream.shows(name) == "Busy") - began
