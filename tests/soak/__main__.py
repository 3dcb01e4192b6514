"""`python -m tests.soak SEED…`: runs seeds alone, one after the other, and says what happened in each."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.run import run
from tests.soak.schedule import schedule


def main() -> int:
    broken = 0
    for seed in map(int, sys.argv[1:]):
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
        which = schedule(seed)
        _say(which.switches, which.ending, *which.steps)
        report = asyncio.run(run(folder, which, slack_s=0.0))
        _say(report, *report.faults, f"the processes' logs are in {folder}")
        broken += bool(report.faults)
    return min(broken, 1)


def _say(*lines: object) -> None:
    sys.stdout.write("\n  ".join(map(str, lines)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
