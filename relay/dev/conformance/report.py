"""The checklist as text, JSON and HTML."""

from __future__ import annotations

import html
import json
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Final

from relay.dev.conformance.checklist import passes
from relay.dev.conformance.rules import Judged
from relay.dev.conformance.scenarios import meaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.dev.conformance.checklist import CheckedRule

GUIDE: Final = "docs/suites.md"
_MARKS: Final = {Judged.PASS: "pass", Judged.FAIL: "FAIL", Judged.UNSEEN: "-"}


def as_text(checks: Sequence[CheckedRule]) -> str:
    """Return lines for a terminal."""
    lines = []
    for scenario, group in groupby(checks, lambda check: check.scenario):
        lines += [f"{scenario}: {meaning(scenario)}"]
        lines += [
            line for check in group for line in (f"  {_MARKS[check.verdict]:<5}{check.asks}", f"       {check.why}")
        ]
        lines += [""]
    return "\n".join([*lines, verdict(checks)]) + "\n"


def as_json(checks: Sequence[CheckedRule]) -> str:
    """Return one object. It contains neither the key nor watched names, except names that a failed check is about."""
    whole = {
        "passes": passes(checks),
        "verdict": verdict(checks),
        "checks": [
            {
                "scenario": check.scenario,
                "happened": meaning(check.scenario),
                "rule": check.rule,
                "asks": check.asks,
                "verdict": check.verdict.value,
                "why": check.why,
            }
            for check in checks
        ],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def as_html(checks: Sequence[CheckedRule]) -> str:
    """Return a self-contained page: no scripts, fonts or images."""
    rows = []
    for scenario, group in groupby(checks, lambda check: check.scenario):
        rows.append(f'<tr><th colspan="3" scope="rowgroup">{_e(scenario)}: {_e(meaning(scenario))}</th></tr>')
        rows += [
            f'<tr class="{check.verdict.name.lower()}"><td>{_e(check.verdict.value)}</td><td>{_e(check.asks)}</td>'
            f"<td>{_e(check.why)}</td></tr>"
            for check in group
        ]
    table = "\n".join(rows)
    return _PAGE.format(verdict=_e(verdict(checks)), rows=table, state="pass" if passes(checks) else "fail")


def verdict(checks: Sequence[CheckedRule]) -> str:
    """Return the result in one sentence."""
    counts = Counter(check.verdict for check in checks)
    failing = list(dict.fromkeys(check.scenario for check in checks if check.verdict is Judged.FAIL))
    unseen = f" {counts[Judged.UNSEEN]} could not be seen." if counts[Judged.UNSEEN] else ""
    if failing:
        return f"The suite fails {counts[Judged.FAIL]} of {len(checks)} checks, in {', '.join(failing)}.{unseen} {GUIDE} says what to do."
    if not counts[Judged.PASS]:
        return f"Nothing was seen of a suite.{unseen}"
    return f"The suite passes {counts[Judged.PASS]} of {len(checks)} checks.{unseen}"


def _e(text: str) -> str:
    return html.escape(text)


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Conformance of a suite</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid #8885; }}
th {{ padding-top: 1.5rem; }}
td:first-child {{ white-space: nowrap; }}
.pass td:first-child {{ color: light-dark(#176b2c, #7ddc94); }}
.fail td:first-child {{ color: light-dark(#a3141c, #ff9a9a); font-weight: bold; }}
.unseen td {{ opacity: .75; }}
</style>
</head>
<body>
<h1>Conformance of a suite</h1>
<p class="{state}">{verdict}</p>
<table>
{rows}
</table>
</body>
</html>
"""
