"""The parity check finds what is wrong with a table; the project's own tables are right as far as that shows without a run."""

from __future__ import annotations

import re

import pytest

from emulator import Switches
from tests import parity

PAGE = "[page](https://learn.microsoft.com/graph/json-batching)"
OWN = "`tests/test_parity.py::test_a_row_says_behaviour_source_switch_and_test`"


def readme(*rows: str, header: str = "| behaviour | Microsoft | switch | test |") -> str:
    return "\n".join(
        ["# x", "## Parity", "", "### Graph", "", header, "| --- | --- | --- | --- |", *rows, "", "## y", "| a |"]
    )


def faults(*rows: str, switches: tuple[str, ...] = ()) -> list[str]:
    return parity.read(readme(*rows), switches).faults


def test_a_row_says_behaviour_source_switch_and_test():
    found = parity.read(readme(f"| A batch of \\| 20. | {PAGE} | `one`, `two` | {OWN}<br>{OWN} |"), ("one", "two"))
    assert found.faults == []
    (row,) = found.rows
    assert (row.area, row.behaviour, row.switches) == ("Graph", "A batch of \\| 20.", ("one", "two"))
    assert found.tests == [OWN.strip("`")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f"| A. | assumed | {OWN} |", "a row has 4 cells, not 3"),
        (f"| A. | somewhere | – | {OWN} |", "Microsoft's column"),
        (f"| A. | [x](http://example.com) | – | {OWN} |", "Microsoft's column"),
        (f"| A. | assumed |  | {OWN} |", "the switch column"),
        (f"| A. | assumed | `three` | {OWN} |", "there is no switch three"),
        ("| A. | assumed | – | – |", "the test column"),
        ("| A. | assumed | – | `tests/test_parity.py` |", "the test column"),
        ("| A. | assumed | – | `tests/test_parity.py::test_of_nothing` |", "there is no tests/test_parity.py::test_of_nothing"),
        ("| A. | assumed | – | `tests/test_of_nobody.py::test_a` |", "there is no tests/test_of_nobody.py::test_a"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_a_fault(row, fault):
    assert [fault in found for found in faults(row)] == [True]


def test_other_columns_are_a_fault():
    found = parity.read(readme(header="| what | where | switch | test |"), ())
    assert ["columns are" in fault for fault in found.faults] == [True]


def test_a_switch_in_no_row_is_a_fault():
    row = f"| A. | assumed | `one` | {OWN} |"
    assert faults(row, switches=("one", "two")) == ["the switch two is in no row"]


def test_a_readme_without_the_section_is_a_fault():
    assert parity.read("# x", ()).faults == ["there is no section ## Parity"]


SAMPLE = """
import pytest

def test_good(): pass

@pytest.mark.skipif(True, reason="")
@pytest.mark.parametrize("x", [1, 2])
def test_skipped(x): pass

def test_skips_itself(): pytest.skip()

@pytest.mark.skip
def test_other(): pass
"""


def test_a_test_that_a_row_names_fails_when_it_is_skipped(pytester: pytest.Pytester):
    """A parametrised test is as good as its worst case."""
    pytester.makepyfile(test_sample=SAMPLE)
    named = frozenset(f"test_sample.py::{name}" for name in ("test_good", "test_skipped", "test_skips_itself"))
    pytester.inline_run(
        "-p", "no:randomly", "-p", "no:xdist", "-p", "no:asyncio", plugins=[parity.NeverSkipped(lambda: named)]
    ).assertoutcome(passed=1, skipped=1, failed=3)


def test_the_emulators_own_tables_are_whole():
    found = parity.read(parity.README.read_text())
    assert found.faults == []
    assert found.rows


def test_every_switch_is_explained():
    source = (parity.ROOT / "emulator" / "switches.py").read_text()
    unexplained = [
        name for name in Switches.__struct_fields__ if not re.search(rf"^    {name}:[^\n]*(?:\n(?!    \w+:)[^\n]*)*?\n    \"\"\"", source, re.MULTILINE)
    ]  # fmt: skip
    assert unexplained == []
