"""`python -m tests.chaos [--topology NAME] [--slack SECONDS] SEED…`: runs seeds alone, one after the other, and says what happened in each.

`python -m tests.chaos judge FILE` judges the record of an earlier run again; `python -m tests.chaos scenario NAME` measures what operators
are promised. The slack is what a machine that does other work may add to each promised time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.chaos.record import Record
from tests.chaos.run import run
from tests.chaos.scenarios import SCENARIOS, play
from tests.chaos.schedule import WAVES, BadHour, bad_hour
from tests.chaos.topologies import STANDALONE, TOPOLOGIES
from tests.chaos.town import WHOLE, Size
from tests.chaos.validators import judge


def main() -> int:
    """Run; returns the exit code."""
    if sys.argv[1:2] == ["judge"]:
        return _judge_again([Path(name) for name in sys.argv[2:]])
    is_scenario = sys.argv[1:2] == ["scenario"]
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--topology", choices=sorted(TOPOLOGIES), default=STANDALONE, help="of Redis")
    options.add_argument(
        "--slack", type=float, default=0.0, metavar="SECONDS", help="for a machine that does other work"
    )
    if is_scenario:
        options.add_argument("names", nargs="+", choices=sorted(SCENARIOS), metavar="NAME", help=", ".join(SCENARIOS))
        options.add_argument("--tenants", type=int, default=WHOLE.tenants, metavar="N", help="with two suites each")
        options.add_argument("--users", type=int, default=WHOLE.users, metavar="N", help="of each tenant")
        given = options.parse_args(sys.argv[2:])
        size = replace(WHOLE, tenants=given.tenants, users=given.users)
        return min(sum(_play(name, given.topology, given.slack, size) for name in given.names), 1)
    options.add_argument("--waves", type=int, default=WAVES, metavar="N", help="of faults in each run")
    options.add_argument("seeds", nargs="+", metavar="SEED", help="a number, or a range such as 1-20")
    given = options.parse_args()
    return min(sum(_run(bad_hour(seed, given.topology, given.waves), given.slack) for seed in _seeds(given.seeds)), 1)


def _run(hour: BadHour, slack_s: float) -> bool:
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{hour.topology}-{hour.seed}-"))
    _say(hour)
    verdict = asyncio.run(run(folder, hour, slack_s))
    _say(verdict, *verdict.faults, f"the processes' logs and the record are in {folder}")
    return bool(verdict.faults)


def _play(name: str, topology: str, slack_s: float, size: Size) -> bool:
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{topology}-{name}-"))
    outcome = asyncio.run(play(folder, name, topology, slack_s, size))
    _say(
        f"{name}, {topology}: {len(outcome.faults)} faults",
        *outcome.figures,
        *outcome.faults,
        f"the logs and the record are in {folder}",
    )
    return bool(outcome.faults)


def _judge_again(files: Sequence[Path]) -> int:
    faults = [fault for file in files for fault in judge(Record.read(file))]
    _say(f"{len(faults)} faults", *faults)
    return min(len(faults), 1)


def _seeds(said: Sequence[str]) -> Iterator[int]:
    for part in said:
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _say(*lines: object) -> None:
    sys.stdout.write("\n  ".join(map(str, lines)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
