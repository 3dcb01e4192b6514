"""The floor of each package: `python -m tests.floors` compares what `make coverage` measured with it, and fails below.

A floor is a percentage of lines, a little below what the tests of `COVERED` in the Makefile reach. It only ever rises.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
FLOORS: Final[Mapping[str, float]] = {
    "relay/core": 96,
    "relay/edge": 94,
    "relay/graph": 96,
    "relay/store": 92,
    "relay/webhook": 96,
    "suite/src/suite": 95,
}


def shares(report: Mapping[str, Any]) -> dict[str, float]:
    """Return package -> percentage of lines that ran, of a JSON report of coverage's."""
    ran: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for path, file in report["files"].items():
        package = next((one for one in FLOORS if path.startswith(f"{one}/")), None)
        if package is not None:
            ran[package] += file["summary"]["covered_lines"]
            lines[package] += file["summary"]["num_statements"]
    return {package: 100 * ran[package] / lines[package] if lines[package] else 0.0 for package in FLOORS}


def main(path: str) -> int:
    """Print each package, and return 1 when one is below its floor."""
    found = shares(json.loads(Path(path).read_text()))
    for package, share in found.items():
        is_low = share < FLOORS[package]
        sys.stdout.write(
            f"{package:16} {share:5.1f} %{f', below its floor of {FLOORS[package]} %' if is_low else ''}\n"
        )
    return int(any(share < FLOORS[package] for package, share in found.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
