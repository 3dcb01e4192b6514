"""Run the SIP server and its peer in turn, with the same phones and changes, and compare."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from bench import report
from bench.phones import phones, serving
from bench.processes import Child, cpu_s, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_MS: Final = 200.0
"""From a change to the last NOTIFY, at the 99th percentile."""
_SETTLE_S: Final = 1.0
_WAIT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesOptions:
    """The options of the phones benchmark."""

    phones: int = 50
    colleagues: int = 100
    rate: float = 20.0
    seconds: float = 15.0


@dataclass(slots=True)
class PhonesSide:
    """The measurements of one side.

    Attributes:
        last_ms: from each change to the last phone.
        incomplete: changes that did not come to all phones.
        told_s: until all phones were told all colleagues.
    """

    last_ms: list[float] = field(default_factory=list)
    incomplete: int = 0
    cpu_ms_a_notify: float = 0.0
    told_s: float = 0.0
    rss_mb: float = 0.0


def run(options: PhonesOptions) -> int:
    """Measure both sides; returns the exit code."""
    load = report.load_before()
    found = {"bare": _measured(serving.write, options, is_bare=True), "agent": _measured(serving.serve, options)}
    rows: list[list[object]] = [
        [title, *(round(of(found[side]), 2) for side in ("agent", "bare"))]
        for title, of in (
            ("change to the last phone, p50 ms", lambda side: report.quantile(side.last_ms, 0.5)),
            ("change to the last phone, p99 ms", lambda side: report.quantile(side.last_ms, 0.99)),
            ("changes that did not come to all", lambda side: side.incomplete),
            ("CPU ms a NOTIFY", lambda side: side.cpu_ms_a_notify),
            ("all phones told all colleagues, s", lambda side: side.told_s),
            ("memory with the phones, MB", lambda side: side.rss_mb),
        )
    ]
    title = f"{options.phones} phones with a list of {options.colleagues}, {options.rate:g} changes a second; load before: {load}"
    report.table(title, ("", "agent", "bare writes"), rows)
    agent, bare = found["agent"], found["bare"]
    p99 = report.quantile(agent.last_ms, 0.99)
    verdict = report.Verdict("phones")
    verdict.ratios = {
        "last_p99_ms": round(p99, 1),
        "bare_p99_ms": round(report.quantile(bare.last_ms, 0.99), 1),
        "cpu": round(agent.cpu_ms_a_notify / max(bare.cpu_ms_a_notify, 0.001), 1),
        "told_s": round(agent.told_s, 2),
    }
    verdict.must = {
        f"to the last phone within {LAST_MS:g} ms": p99 <= LAST_MS,
        "every change comes to every phone": agent.incomplete == 0,
    }
    return verdict.say()


def _measured(serve: Callable[..., None], options: PhonesOptions, *, is_bare: bool = False) -> PhonesSide:
    side, port = PhonesSide(), free_port()
    with Child(serve, port, options.colleagues) as serving_child:
        serving_child.hear()
        time.sleep(_SETTLE_S)
        with Child(phones.watch, port, options.phones, 0 if is_bare else options.colleagues) as watching:
            began = time.monotonic()
            watching.ask("told", timeout_s=_WAIT_S)
            side.told_s = time.monotonic() - began
            serving_child.ask(options.rate, 1.0, timeout_s=_WAIT_S)  # warm
            time.sleep(_SETTLE_S)
            watching.ask("came")
            before = cpu_s([serving_child.pid])[serving_child.pid]
            played = serving_child.ask(options.rate, options.seconds, timeout_s=_WAIT_S)
            time.sleep(_SETTLE_S)
            came = watching.ask("came")
            spent = cpu_s([serving_child.pid])[serving_child.pid] - before
            side.rss_mb = psutil.Process(serving_child.pid).memory_info().rss / 1e6
    whole = {stamp: last for stamp, (count, last) in came.items() if count == options.phones}
    side.last_ms = [(last - stamp) * 1000 for stamp, last in whole.items()]
    side.incomplete = played - len(whole)
    side.cpu_ms_a_notify = spent * 1000 / (played * options.phones)
    return side
