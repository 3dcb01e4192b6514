"""The parity check: every behaviour of the local cloud has a row in its README, and the test that a row names passes.

`python -m tests.parity` reads the tables below `## Parity` of `emulator/README.md`, and fails when a row is malformed, when
there is no test of its name, or when a switch is in no row. The tests themselves run once, in `make test`: a test that a row
names fails there when it is skipped (`tests/conftest.py`).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import pytest

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
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found |= {(node.name, each.name) for each in node.body if _is_test(each)}
        elif _is_test(node):
            found.add((node.name,))
    return frozenset(found)


_FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def _is_test(node: ast.stmt) -> bool:
    """Whether pytest collects it."""
    return isinstance(node, _FUNCTION) and node.name.startswith("test_")


@cache
def named_tests() -> frozenset[str]:
    """Return the node ids, without parameters, of all tests that the README's rows name."""
    return frozenset(read(README.read_text()).tests)


class NeverSkipped:
    """A plugin of pytest: a test that the parity table names fails when it is skipped."""

    def __init__(self, tests: Callable[[], Collection[str]] = named_tests) -> None:
        """Watch the tests that `tests` returns; it is asked at the first skip, for the table takes half a second to read."""
        self._tests = tests

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.skipped and item.nodeid.partition("[")[0] in self._tests():
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} is named in the parity table: it must not be skipped"
        return report


def main() -> int:
    """The check, as a program."""
    parity = read(README.read_text())
    for fault in parity.faults:
        sys.stderr.write(f"parity: {fault}\n")
    sys.stdout.write(f"parity: {len(parity.rows)} behaviours, {len(parity.tests)} tests, {len(parity.faults)} faults\n")
    return 1 if parity.faults else 0


if __name__ == "__main__":
    sys.exit(main())
