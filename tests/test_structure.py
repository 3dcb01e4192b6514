"""The structure of the source: no import circles, and packages that name their modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import grimp
import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = {
    "relay": ROOT, "pages": ROOT, "onboarding": ROOT, "console": ROOT, "suite": ROOT / "suite" / "src", "emulator": ROOT, "bench": ROOT,
}  # fmt: skip
"""Package -> the folder that it is in."""


def circles() -> list[list[str]]:
    """Return the modules of each import circle, imports for type checking included: strongly connected components (Tarjan)."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False)
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        path.append(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported not in order:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in path:
                lowest[module] = min(lowest[module], order[imported])
        if lowest[module] == order[module]:
            start = path.index(module)
            if len(path) - start > 1:
                found.append(sorted(path[start:]))
            del path[start:]

    for module in sorted(graph.modules):
        if module not in order:
            visit(module)
    return found


def test_no_modules_import_each_other_in_a_circle():
    assert circles() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_names_all_its_modules(package: str):
    missing = []
    for init in sorted((PACKAGES[package] / package).rglob("__init__.py")):
        folder = init.parent
        modules = [path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")]
        modules += [path.parent.name for path in folder.glob("*/__init__.py")]
        text = ast.get_docstring(ast.parse(init.read_text())) or ""
        # `name.py` and `name/` count anywhere, a bare name where a line or a column begins.
        named = {a or b for a, b in re.findall(r"(\w+)(?:\.py|/)|(?:^|  )(\w+)(?= )", text, re.MULTILINE)}
        missing += [f"{folder.relative_to(ROOT)}/__init__.py: {name}" for name in sorted(modules) if name not in named]
    assert missing == []
