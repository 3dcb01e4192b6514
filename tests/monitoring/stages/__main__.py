"""Stage alerts: `python -m tests.monitoring.stages [ALERT…]`. The exit code is 1 when one did not fire, clear, or show its cause."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.monitoring.stages.catalogue import STAGES
from tests.monitoring.stages.run import run, table
from tests.monitoring.stages.world import FACTOR, world


async def _all(names: list[str]) -> int:
    chosen = [stage for stage in STAGES if not names or stage.alert.removeprefix("PresenceRelay") in names]
    with tempfile.TemporaryDirectory(prefix="stages-") as folder:
        _say(f"{len(chosen)} alerts; a minute of a rule's window is a second (1:{FACTOR}). Starting ...")
        async with world(Path(folder)) as at:
            outcomes = await run(at, chosen, _say)
    _say("", *table(outcomes))
    return int(any(outcome.faults for outcome in outcomes))


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def main() -> int:
    """Read the arguments, and stage."""
    known = {stage.alert.removeprefix("PresenceRelay") for stage in STAGES}
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.stages", description=__doc__)
    parser.add_argument("alerts", nargs="*", metavar="ALERT", help="names of alerts; without any: all")
    names = [name.removeprefix("PresenceRelay") for name in parser.parse_args().alerts]
    if unknown := set(names) - known:
        parser.error(f"unknown: {', '.join(sorted(unknown))}. There are: {', '.join(sorted(known))}")
    return asyncio.run(_all(names))


if __name__ == "__main__":
    sys.exit(main())
