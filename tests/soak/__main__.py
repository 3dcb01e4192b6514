"""`python -m tests.soak [--slack SECONDS] SEED…`: runs seeds alone, one after the other, and says what happened in each.

The slack is what a machine that does other work may add to each promised time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.run import run
from tests.soak.schedule import schedule


def main() -> int:
    """Run; returns the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.soak")
    options.add_argument(
        "--slack", type=float, default=0.0, metavar="SECONDS", help="for a machine that does other work"
    )
    options.add_argument("seeds", type=int, nargs="+", metavar="SEED")
    given = options.parse_args()
    broken = 0
    for seed in given.seeds:
        folder = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
        which = schedule(seed)
        _say(which.switches, which.ending, *which.steps)
        report = asyncio.run(run(folder, which, slack_s=given.slack))
        _say(report, *report.faults, f"the processes' logs and the record are in {folder}")
        broken += bool(report.faults)
    return min(broken, 1)


def _say(*lines: object) -> None:
    sys.stdout.write("\n  ".join(map(str, lines)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
