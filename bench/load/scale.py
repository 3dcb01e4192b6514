"""100,000 watched users of 200 tenants: the gaps between reads of a user, and the time for a large suite to resume meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.load import suites
from bench.load.lateness import tell
from bench.load.rig import at_work
from bench.load.world import organisations
from bench.processes import Child, ChildFailed

if TYPE_CHECKING:
    from bench.load.rig import Rig

GAP_S: Final = 6.0
RESUME_S: Final = 3.0
_RESUMES: Final = 5
_SETTLE_S: Final = 6.0
"""Wait after the first answers, for the first regular reads."""
_ANSWERED_S: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleOptions:
    """The options of the scale benchmark: half of the users are one tenant's, the others share the rest."""

    users: int = 100_000
    tenants: int = 200
    seconds: float = 120.0


def run(options: ScaleOptions) -> int:
    """Measure; return the exit code."""
    verdict = report.Verdict("scale")
    load = report.load_before()
    world = organisations(sizes(options))
    report.say(f"load of the machine before: {load}; {options.users:,} users of {options.tenants} tenants")
    with at_work(world, day=True) as rig:
        watched = [(key, each.names) for key, each in zip(rig.suite_keys, world, strict=True)]
        with Child(suites.watch, rig.address, rig.ca_pem, watched) as watching:
            verdict.ratios["answered_s"] = round(until_answered(watching, options.users), 1)
            _measure(rig, watching, options, verdict)
    return verdict.say()


def sizes(options: ScaleOptions) -> list[int]:
    """Return the number of users of each tenant."""
    large = options.users // 2
    share, more = divmod(options.users - large, options.tenants - 1)
    return [large, *(share + (n < more) for n in range(options.tenants - 1))]


def until_answered(watching: Child, users: int) -> float:
    """Wait until every user has a presence; return the seconds that took."""
    began = time.monotonic()
    while (shown := watching.ask("shown")) < users:
        if time.monotonic() - began > _ANSWERED_S:
            raise ChildFailed(f"only {shown} of {users} users have a presence")
        time.sleep(0.2)
    return time.monotonic() - began


def _measure(rig: Rig, watching: Child, options: ScaleOptions, verdict: report.Verdict) -> None:
    report.say(f"all users are answered after {verdict.ratios['answered_s']} s; measuring for {options.seconds:g} s")
    time.sleep(_SETTLE_S)
    rig.control.put("gaps", json={"enabled": True}).raise_for_status()
    rig.lateness()
    began, before = time.monotonic(), rig.cpu_s()
    time.sleep(options.seconds / 3)
    before_resuming, _ = rig.lateness()
    resumes = watching.ask("resume", _RESUMES, min(3.0, options.seconds / 20), timeout_s=300.0)
    while_resuming, _ = rig.lateness()
    time.sleep(max(0.0, began + options.seconds - time.monotonic()))
    took_s, after = time.monotonic() - began, rig.cpu_s()
    after_resuming, idle = rig.lateness()
    gaps = rig.control.get("gaps").raise_for_status().json()
    cpu = {name: (after[name] - before[name]) / took_s for name in after}
    _tell(gaps, resumes, cpu, took_s)
    tell("lateness of event loops, ms", {
        "the relay before": before_resuming, "while resuming": while_resuming, "after": after_resuming,
        "an idle process": idle,
    })  # fmt: skip
    lag_max_ms = max(before_resuming.late_ms(), after_resuming.late_ms())
    verdict.ratios |= {
        "gap_p999_s": gaps["p999_s"], "gap_max_s": gaps["max_s"], "gaps": gaps["count"],
        "resume_s": round(max(resumes), 2), "resume_median_s": round(report.median(resumes), 2),
        "lag_max_ms": round(lag_max_ms, 1), "lag_max_resuming_ms": round(while_resuming.late_ms(), 1),
        "cores": {name: round(share, 2) for name, share in cpu.items()},
    }  # fmt: skip
    verdict.must[f"p99.9 of gaps <= {GAP_S:g} s"] = gaps["p999_s"] is not None and gaps["p999_s"] <= GAP_S
    verdict.must[f"resume of {sizes(options)[0]:,} users <= {RESUME_S:g} s"] = max(resumes) <= RESUME_S


def _tell(gaps: dict[str, float], resumes: list[float], cpu: dict[str, float], took_s: float) -> None:
    row: list[object] = [gaps[name] for name in ("count", "p50_s", "p99_s", "p999_s", "max_s", "open_max_s")]
    report.table(
        f"gaps between two reads of a user, {took_s:.0f} s", ["gaps", "p50 s", "p99", "p99.9", "max", "open"], [row]
    )
    report.table("seconds until a resumed snapshot is complete", [str(n + 1) for n in range(len(resumes))], [resumes])
    report.table("cores in use", list(cpu), [list(cpu.values())])
