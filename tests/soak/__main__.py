"""`python -m tests.soak [--chaos] [--slack SECONDS] SEED…`: runs seeds alone, one after the other, and says what happened in each.

The slack is what a machine that does other work may add to each promised time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.chaos import run_bad_hour
from tests.soak.run import run
from tests.soak.schedule import schedule
from tests.soak.troubles import bad_hour


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.soak")
    options.add_argument("--chaos", action="store_true", help="faults of everything, instead of notifications alone")
    options.add_argument(
        "--slack", type=float, default=0.0, metavar="SECONDS", help="for a machine that does other work"
    )
    options.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    given = options.parse_args()
    if given.chaos:
        return min(sum(_chaos(seed, given.slack) for seed in given.seeds), 1)
    broken = 0
    for seed in given.seeds:
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
        which = schedule(seed)
        _say(which.switches, which.ending, *which.steps)
        report = asyncio.run(run(folder, which, slack_s=given.slack))
        _say(report, *report.faults, f"the processes' logs are in {folder}")
        broken += bool(report.faults)
    return min(broken, 1)


def _chaos(seed: int, slack_s: float) -> int:
    folder, hour = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-")), bad_hour(seed)
    for number, wave in enumerate(hour.waves):
        _say(f"seed {seed}, wave {number + 1}", *wave)
    report = asyncio.run(run_bad_hour(folder, hour, slack_s))
    _say(report, *report.faults, f"the processes' logs are in {folder}")
    return min(len(report.faults), 1)


def _say(*lines: object) -> None:
    sys.stdout.write("\n  ".join(map(str, lines)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
