"""A clock that jumps: nothing in the agent expires, stays or is ordered by the time of day."""

from __future__ import annotations

import ast
from pathlib import Path

import suite

ROOT = Path(suite.__file__).parent
READS_THE_TIME_OF_DAY = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
MAY_READ_IT = {
    "agent/api/sign_in.py": "the age of a browser's cookie: after a jump of the clock a person signs in again",
    "agent/sources/local.py": "the time at which a state was told, which consoles show",
    "table.py": "whether a time of `presence-suite watch` is of today",
    "watching.py": "the time of a line of `presence-suite watch`",
}
"""Module -> what it uses the time of day for. No presence expires, stays or is ordered by it."""


def reads(module: Path) -> list[str]:
    """The calls of a module that give the time of day: `datetime.now()`, `time.time()`. An event loop's `time` is another."""
    found = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if owner in {"datetime", "date", "time"} and node.func.attr in READS_THE_TIME_OF_DAY:
                found.append(f"{owner}.{node.func.attr}")
    return found


def test_no_presence_expires_or_stays_by_the_time_of_day():
    modules = [path for path in ROOT.rglob("*.py") if "doctor" not in path.parts]
    assert len(modules) > 60
    found = {str(path.relative_to(ROOT)) for path in modules if reads(path)}
    assert found <= set(MAY_READ_IT)
    assert "agent/sources/local.py" in found
