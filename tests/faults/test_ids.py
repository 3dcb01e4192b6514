"""Each fault that this folder lists has a test that carries its number, and no test carries a number that is not listed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tests.faults

pytestmark = pytest.mark.long

TESTS = Path(__file__).parent.parent


def listed() -> set[str]:
    return set(re.findall(r"^    ([VFLB]\d+) ", tests.faults.__doc__ or "", re.MULTILINE))


def marked() -> set[str]:
    """The ids in `pytest.mark.fault(...)`, on tests, classes, parameters and modules. Read from the files: nothing is imported."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text()
        if "mark.fault(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                found |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def test_each_listed_fault_has_a_test() -> None:
    assert sorted(listed() - marked()) == []


def test_each_fault_that_a_test_names_is_listed() -> None:
    assert sorted(marked() - listed()) == []
