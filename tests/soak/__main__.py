"""`python -m tests.soak [--chaos] SEED…`: runs seeds alone, one after the other, and says what happened in each."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.chaos import run_bad_hour
from tests.soak.run import run
from tests.soak.schedule import schedule
from tests.soak.troubles import bad_hour


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--chaos"]:
        return max(map(_chaos, map(int, arguments[1:])), default=0)
    broken = 0
    for seed in map(int, arguments):
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
        which = schedule(seed)
        _say(which.switches, which.ending, *which.steps)
        report = asyncio.run(run(folder, which, slack_s=0.0))
        _say(report, *report.faults, f"the processes' logs are in {folder}")
        broken += bool(report.faults)
    return min(broken, 1)


def _chaos(seed: int) -> int:
    folder, hour = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-")), bad_hour(seed)
    for number, wave in enumerate(hour.waves):
        _say(f"seed {seed}, wave {number + 1}", *wave)
    report = asyncio.run(run_bad_hour(folder, hour, slack_s=0.0))
    _say(report, *report.faults, f"the processes' logs are in {folder}")
    return min(len(report.faults), 1)


def _say(*lines: object) -> None:
    sys.stdout.write("\n  ".join(map(str, lines)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
