"""Objectives and alerts as rules of Prometheus, in the file that the chart ships. Run it to write the file.

An objective has three alerts, as in Google's Site Reliability Workbook, chapter 5, table 5-8: each fires when the budget of errors of 30
days is used up that many times too fast over both a long and a short window. The short one ends the alert soon after the fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from deploy.monitoring.alerts import ALERTS, PAGE, TICKET, Alert
from deploy.monitoring.objectives import OBJECTIVES, Objective

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "deploy/helm/teams-presence-relay/rules/presence-relay.yaml"
RUNBOOKS: Final = ROOT / "docs/operate/runbooks"
BURNS: Final = (("1h", "5m", 14.4, PAGE), ("6h", "30m", 6.0, PAGE), ("3d", "6h", 1.0, TICKET))
"""Long window, short window, how many times too fast, severity."""
_WINDOW: Final = re.compile(r"\[(\d+[smhd])\]")
_HEAD: Final = "# Generated from deploy/monitoring: make monitoring. Each alert has a page in docs/operate/runbooks.\n"


def rules() -> dict[str, Any]:
    """Return the groups of rules."""
    groups = [{"name": f"presence-relay-{each.name}", "rules": list(_of_objective(each))} for each in OBJECTIVES]
    groups.append({"name": "presence-relay-causes", "rules": [_of_alert(each) for each in ALERTS]})
    return {"groups": groups}


def faster(factor: int) -> dict[str, Any]:
    """Return the same rules in scaled time: each window and each `for` is divided by the factor.

    Names and labels stay as they are, so the record `…:5m` is over 5 seconds when the factor is 60. Limits on a value, such as an age of
    60 seconds, stay too: the relay measures them in its own time.

    Raises:
        ValueError: a window would be no whole number of milliseconds.
    """
    made = rules()
    for rule in (rule for group in made["groups"] for rule in group["rules"]):
        rule["expr"] = shorter(rule["expr"], factor)
        if "for" in rule:
            rule["for"] = _divided(rule["for"], factor)
    return made


def shorter(expr: str, factor: int) -> str:
    """Return an expression with each window, such as `[5m]`, divided by the factor."""
    return _WINDOW.sub(lambda found: f"[{_divided(found[1], factor)}]", expr)


def text() -> str:
    """Return the file."""
    return _HEAD + str(yaml.safe_dump(rules(), sort_keys=False, width=10_000))


def runbook(name: str) -> str:
    """Return the path of a runbook, which an alert names."""
    return f"docs/operate/runbooks/{name}.md"


def _of_objective(objective: Objective) -> Iterator[dict[str, Any]]:
    record = "presence_relay:error_ratio"
    for window in sorted({window for long, short, *_ in BURNS for window in (long, short)}, key=_seconds):
        yield {
            "record": f"{record}:{window}",
            "expr": objective.error_ratio(window),
            "labels": {"objective": objective.name},
        }
    selector = f'{{objective="{objective.name}"}}'
    budget = round(1 - objective.target, 6)
    for long, short, factor, severity in BURNS:
        most = f"{round(factor * budget, 6):g}"
        yield {
            "alert": objective.alert,
            "expr": f"{record}:{long}{selector} > {most} and {record}:{short}{selector} > {most}",
            "labels": {"severity": severity, "window": long},
            "annotations": {
                "summary": objective.summary,
                "description": f"{{{{ $value | humanizePercentage }}}} of {long} failed. The objective allows {budget:.2%} of 30 days.",
                "runbook": runbook(objective.name),
            },
        }


def _of_alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasting,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": runbook(alert.runbook),
        },
    }


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[window[-1]]


def _divided(window: str, factor: int) -> str:
    left_ms, rest = divmod(1000 * _seconds(window), factor)
    if rest:
        raise ValueError(f"{window} cannot be divided by {factor}")
    return f"{left_ms}ms"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text())
