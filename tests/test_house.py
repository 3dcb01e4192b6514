"""The rules of the house, held: short modules and functions, one public name for one thing, docstrings that say what something does."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
DISTRIBUTIONS: Final = {
    "presence-relay": ("relay", "pages", "onboarding", "console"),
    "presence-suite": ("suite/src/suite",),
    "emulator": ("emulator",),
}
PROGRAMS: Final = ("bench",)
"""Programs side by side, each with names of its own."""
LINES_OF_A_MODULE: Final = 400
LINES_OF_A_FUNCTION: Final = 60
_CLAUSE = re.compile(r"(?:What|Whatever|Who|Whoever|Whom|Whose|Whether|How|When|Which|Where|Since|Until|Why)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@cache
def modules(*folders: str) -> dict[str, ast.Module]:
    """Path below the root -> syntax tree, of all modules in these folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


def every() -> Iterator[tuple[str, ast.Module]]:
    """Every module of ours."""
    for folders in (*DISTRIBUTIONS.values(), PROGRAMS):
        yield from modules(*folders).items()


def assert_none(found: Sequence[str]) -> None:
    """Fail when anything breaks a rule, and list it."""
    assert not found, "\n".join(found)


def test_no_module_is_too_long_to_read_at_once():
    sizes = {path: (ROOT / path).read_text().count("\n") for path, _ in every()}
    assert_none([f"{path}: {size}" for path, size in sizes.items() if size > LINES_OF_A_MODULE])


def test_every_function_can_be_seen_whole():
    found = [
        f"{path}:{node.lineno} {node.name}: {lines}"
        for path, tree in every()
        for node in ast.walk(tree)
        if isinstance(node, Function) and (lines := (node.end_lineno or 0) - node.lineno + 1) > LINES_OF_A_FUNCTION
    ]
    assert_none(found)


def test_no_docstring_begins_with_a_clause():
    """A docstring has a subject and a verb, or is a noun phrase: "Return the newest one.", "One partition's lease."."""
    found = [
        f"{path}:{getattr(node, 'lineno', 1)} {text.splitlines()[0]}"
        for path, tree in every()
        for node in ast.walk(tree)
        if isinstance(node, Documented) and _CLAUSE.match(text := ast.get_docstring(node) or "")
    ]
    assert_none(found)


def test_no_other_error_is_raised_in_an_except_star():
    """Python before 3.11.4, which Debian 12 has, raises a group around it (https://github.com/python/cpython/issues/103590)."""
    found = [
        f"{path}:{node.lineno}"
        for path, tree in every()
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.TryStar)
        for handler in attempt.handlers
        for node in ast.walk(handler)
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
    assert_none(found)


def test_no_public_class_name_stands_for_two_things():
    found: list[str] = []
    for name, folders in DISTRIBUTIONS.items():
        places: dict[str, list[str]] = defaultdict(list)
        for path, tree in modules(*folders).items():
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(path)
        found += [f"{name}: {each} in {', '.join(paths)}" for each, paths in places.items() if len(paths) > 1]
    assert_none(found)
