"""Makes the table of values at the end of the chart's README."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.chart.engine import CHART
from tests.chart.values import documented

if TYPE_CHECKING:
    from pathlib import Path

README: Final[Path] = CHART / "README.md"
_MARK: Final = "<!-- What follows is generated from values.yaml: make docs. -->\n"


def readme_text() -> str:
    """Return the README, with the table as values.yaml is."""
    return README.read_text().partition(_MARK)[0] + _MARK + "\n".join(_lines()) + "\n"


def _lines() -> list[str]:
    lines = ["", "## Values", ""]
    for part in documented().below.values():
        lines += [f"### `{part.name}`", "", part.comment, ""]
        rows = [value for value in part if value.comment and value is not part]
        if rows:
            lines += ["| value | meaning | default |", "| --- | --- | --- |"]
            lines += [f"| `{value.name}` | {value.comment} | {_default(value)} |" for value in rows]
            lines.append("")
        elif not part.below:
            lines += [f"Default: {_default(part)}", ""]
    return lines[:-1]


def _has_commented(value: Any) -> bool:
    return any(each.comment for each in value.below.values())


def _default(value: Any) -> str:
    if _has_commented(value):
        return ""
    return f"`{json.dumps(value.default, ensure_ascii=False)}`" if value.is_set else "unset"
