"""The parity check: every behaviour of the local cloud has a row in its README, and the test that a row names passes.

`python -m tests.parity` reads the tables below `## Parity` of `emulator/README.md`, runs the tests that they name in one
run of pytest, and fails when a row is malformed, when its test is missing, skipped or fails, or when a switch is in no row.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from emulator import Switches

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "emulator" / "README.md"
COLUMNS: Final = ("behaviour", "Microsoft", "switch", "test")
NONE: Final = "–"

_SECTION = re.compile(r"^## Parity[ ]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_CELL_END = re.compile(r"(?<!\\)\|")
_LINKS = re.compile(r"\[[^\]]+\]\(https://[^)\s]+\)(?:(?:,| and|;|<br>)? ?\[[^\]]+\]\(https://[^)\s]+\))*")
_NAMES = re.compile(r"`\w+`(?:(?:,|<br>) ?`\w+`)*")
_TESTS = re.compile(r"`tests/[\w/]+\.py(?:::\w+)+`(?:<br> ?`tests/[\w/]+\.py(?:::\w+)+`)*")
_QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One behaviour."""

    area: str
    behaviour: str
    switches: tuple[str, ...]
    tests: tuple[str, ...]


@dataclass
class Parity:
    """What the tables say, and what is wrong with them."""

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def tests(self) -> list[str]:
        """The named tests, each once."""
        return list(dict.fromkeys(test for row in self.rows for test in row.tests))


def read(text: str, switches: tuple[str, ...] = Switches.__struct_fields__) -> Parity:
    """The rows of a README, and every fault that shows without running a test."""
    parity = Parity()
    section = _SECTION.search(text)
    if section is None:
        parity.faults.append("there is no section ## Parity")
        return parity
    area = header = ""
    for line in map(str.strip, section[1].splitlines()):
        if line.startswith("### "):
            area, header = line[4:], ""
        elif not line.startswith("|"):
            header = ""
        elif not header:
            header = line
            if _cells(line) != COLUMNS:
                parity.faults.append(f"{area}: a table's columns are {' | '.join(COLUMNS)}, not {line}")
        elif not re.fullmatch(r"[|: -]+", line):
            _take(parity, area, _cells(line), switches)
    named = {switch for row in parity.rows for switch in row.switches}
    parity.faults += [f"the switch {switch} is in no row" for switch in switches if switch not in named]
    return parity


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in _CELL_END.split(line)[1:-1])


def _take(parity: Parity, area: str, cells: tuple[str, ...], switches: tuple[str, ...]) -> None:
    """One row: kept when its form is right."""
    where = f"{area}: {cells[0][:80] if cells else 'an empty row'}"
    if len(cells) != len(COLUMNS) or not cells[0]:
        parity.faults.append(f"{where}: a row has {len(COLUMNS)} cells, not {len(cells)}")
        return
    behaviour, source, switch, test = cells
    if source != "assumed" and not _LINKS.fullmatch(source):
        parity.faults.append(
            f"{where}: Microsoft's column is links to public pages or `assumed` (bare), not {source!r}"
        )
    if switch != NONE and not _NAMES.fullmatch(switch):
        parity.faults.append(f"{where}: the switch column is names in backticks or {NONE}, not {switch!r}")
    if not _TESTS.fullmatch(test):
        parity.faults.append(f"{where}: the test column is node ids in backticks, not {test!r}")
        return
    row = Row(
        area=area, behaviour=behaviour, switches=tuple(_QUOTED.findall(switch)), tests=tuple(_QUOTED.findall(test))
    )
    parity.rows.append(row)
    parity.faults += [f"{where}: there is no switch {name}" for name in row.switches if name not in switches]
    parity.faults += [f"{where}: there is no {name}" for name in row.tests if not exists(name)]


def exists(test: str) -> bool:
    """Whether a test of this node id is written down."""
    file, *names = test.split("::")
    return tuple(names) in _written(ROOT / file)


@cache
def _written(file: Path) -> frozenset[tuple[str, ...]]:
    """The tests of a file: `(function,)` or `(class, method)`."""
    if not file.is_file():
        return frozenset()
    found: set[tuple[str, ...]] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {(node.name, each.name) for each in node.body if isinstance(each, _FUNCTION)}
        elif isinstance(node, _FUNCTION):
            found.add((node.name,))
    return frozenset(found)


_FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def run(tests: list[str], *options: str, cwd: Path = ROOT, processes: int = 2) -> list[str]:
    """Run tests in one call of pytest; what did not pass, in words. A parametrised test is as good as its worst case."""
    if not tests:
        return []
    parallel = ["-n", str(processes)] if find_spec("xdist") is not None else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly", f"--junit-xml={report}", *parallel, *options]
        subprocess.run([*command, *tests], cwd=cwd, check=False)
        outcomes = _outcomes(report.read_text()) if report.exists() else {}
    wanted = ((test, outcomes.get(_dotted(test), "was not run")) for test in tests)
    return [f"{test}: {outcome}" for test, outcome in wanted if outcome != "passed"]


def _outcomes(report: str) -> dict[str, str]:
    """Dotted name of a test -> passed, or how it did not."""
    found: dict[str, str] = {}
    for case in ET.fromstring(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name', '').partition('[')[0]}"
        bad = [each.tag for each in case if each.tag in ("failure", "error", "skipped")]
        if bad or name not in found:
            found[name] = bad[0] if bad else "passed"
    return found


def _dotted(test: str) -> str:
    file, *names = test.split("::")
    return ".".join([*Path(file).with_suffix("").parts, *names])


def main() -> int:
    """The check, as a program."""
    parity = read(README.read_text())
    faults = parity.faults or run(parity.tests)
    for fault in faults:
        sys.stderr.write(f"parity: {fault}\n")
    sys.stdout.write(f"parity: {len(parity.rows)} behaviours, {len(parity.tests)} tests, {len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
