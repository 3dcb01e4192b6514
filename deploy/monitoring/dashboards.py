"""The dashboards as Grafana's JSON, in the folder that the chart ships. Run it to write the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.panels import Board, Panel

FOLDER: Final = Path(__file__).parents[2] / "deploy/helm/teams-presence-relay/dashboards"
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS: Final = 24
_WIDE: Final = (12, 8)
_NARROW: Final = (6, 4)
"""Width and height of a graph and of a number, in cells of Grafana's grid."""


def files() -> dict[str, str]:
    """Return name of a file -> its text."""
    return {f"{board.name}.json": json.dumps(dashboard(board), indent=2) + "\n" for board in BOARDS}


def dashboard(board: Board) -> dict[str, Any]:
    """Return a dashboard."""
    variables = [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]
    if board.has_tenant:
        variables.append(_tenants())
    return {
        "uid": f"presence-relay-{board.name}",
        "title": board.title,
        "description": board.question,
        "tags": ["presence-relay"],
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": _panels(board),
    }


def _tenants() -> dict[str, Any]:
    return {
        "name": "tenant",
        "label": "Tenant",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(relay_tenant_streams, tenant_id)",
        "refresh": 2,
    }


def _panels(board: Board) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in board.rows.items():
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": _at(0, top, _COLUMNS, 1),
            }
        )
        top += 1
        for line in _lines(row):
            left = 0
            for panel, width, height in line:
                panels.append(_panel(panel, len(panels) + 1, _at(left, top, width, height)))
                left += width
            top += max(height for *_, height in line)
    return panels


def _lines(row: tuple[Panel, ...]) -> list[list[tuple[Panel, int, int]]]:
    """Return the panels of a row line by line, each with its width and height; graphs fill the line."""
    lines: list[list[tuple[Panel, int, int]]] = [[]]
    for panel in row:
        width, height = _NARROW if panel.is_number else _WIDE
        if sum(each[1] for each in lines[-1]) + width > _COLUMNS:
            lines.append([])
        lines[-1].append((panel, width, height))
    for line in lines:
        left = _COLUMNS - sum(width for _, width, _ in line)
        graphs = sum(not panel.is_number for panel, *_ in line)
        for place, (panel, width, height) in enumerate(line):
            if not panel.is_number:
                line[place] = panel, width + left // graphs, height
    return lines


def _panel(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "stat" if panel.is_number else "timeseries",
        "title": panel.title,
        "description": panel.question,
        "datasource": _SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for number, (legend, expr) in enumerate(panel.series.items())
        ],
    }


def _at(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text)
