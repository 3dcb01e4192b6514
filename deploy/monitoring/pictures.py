"""Draws a dashboard as SVG from what its panels' expressions returned. (Pure.)

A picture has a background of its own and follows the reader's light or dark scheme, so it can be read on any page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Final

from deploy.monitoring.dashboards import dashboard
from deploy.monitoring.panels import Board, Panel
from deploy.monitoring.units import marks, words

_COLUMN, _ROW, _GAP, _MARGIN, _HEAD = 41, 28, 8, 12, 84
_WIDTH: Final = 24 * _COLUMN + 2 * _MARGIN - _GAP
_MOST_LINES: Final = 8
_MOST_ROWS: Final = 3
"""Lines of one graph, and rows of its legend; of more, those with the greatest values are drawn, and the rest are counted."""
_MOST_CHARS: Final = 34
_CHAR_PX: Final = 5.9
"""Width of a character of a legend, on average."""
_LEGEND_ROW: Final = 15
_STYLE: Final = """
svg{--page:#f4f5f7;--card:#fff;--edge:#d5dae1;--text:#1f2733;--soft:#566172;--grid:#e4e8ee;--fault:#d9822b;
--c0:#1f66c1;--c1:#b3541e;--c2:#2b7d4f;--c3:#8a3ffc;--c4:#b0246b;--c5:#00757d;--c6:#7a5c00;--c7:#5b6472}
@media (prefers-color-scheme:dark){svg{--page:#14171c;--card:#1d2229;--edge:#353d48;--text:#e6eaf0;--soft:#a3aebd;--grid:#2c333d;--fault:#e8a15c;
--c0:#6ea8fe;--c1:#f0a36b;--c2:#63c78f;--c3:#be95ff;--c4:#ff7eb6;--c5:#3ddbd9;--c6:#e3c04a;--c7:#b4bdca}}
text{font-family:Segoe UI,Helvetica,Arial,sans-serif;fill:var(--text);font-size:11px}
.soft{fill:var(--soft)}.t{font-weight:600;font-size:13px}.h{font-weight:600;font-size:20px}.n{font-weight:600;font-size:28px}
.card{fill:var(--card);stroke:var(--edge)}.grid{stroke:var(--grid)}.fault{fill:var(--fault);opacity:.16}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}
"""


@dataclass(frozen=True)
class Series:
    """One line: its labels, and (seconds since 1970, value), oldest first. A value may be NaN."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Fault:
    """A time in which something was wrong on purpose: seconds since 1970."""

    begin: float
    end: float
    what: str


@dataclass(frozen=True)
class Span:
    """The time that a picture shows, in seconds since 1970, and the faults in it."""

    begin: float
    end: float
    faults: Sequence[Fault] = ()


Found = Mapping[str, Sequence[Series]]
"""Expression, as the panel has it -> what it returned."""


def draw(board: Board, found: Found, span: Span) -> str:
    """Return the picture of a dashboard."""
    made = dashboard(board)
    panels = {panel.title: panel for row in board.rows.values() for panel in row}
    height = _HEAD + _ROW * max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in made["panels"]) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(board.title)}</title><desc id="desc">{escape(board.question)}</desc>',
        f'<style>{_STYLE}</style><rect width="{_WIDTH}" height="{height}" rx="10" fill="var(--page)"/>',
        _text(_MARGIN + 4, 32, board.title, "h"),
        _text(_MARGIN + 4, 52, board.question, "soft"),
        _text(_MARGIN + 4, 70, _told(span), "soft"),
    ]
    for each in made["panels"]:
        at = each["gridPos"]
        left, top = _MARGIN + at["x"] * _COLUMN, _HEAD + at["y"] * _ROW
        if each["type"] == "row":
            parts.append(_text(left + 4, top + 18, each["title"], "t"))
            continue
        panel = panels[each["title"]]
        box = _Box(left, top, at["w"] * _COLUMN - _GAP, at["h"] * _ROW - _GAP)
        parts += _number(panel, found, box) if panel.is_number else _graph(panel, found, box, span)
    return "\n".join([*parts, "</svg>"]) + "\n"


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class _Line:
    """A line with its name, and its colour by number."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str = ""

    @property
    def greatest(self) -> float:
        return max((value for _, value in self.points if math.isfinite(value)), default=0.0)

    @property
    def last(self) -> float:
        return next((value for _, value in reversed(self.points) if math.isfinite(value)), math.nan)


def _told(span: Span) -> str:
    minutes = (span.end - span.begin) / 60
    numbered = [f"{number} {fault.what}" for number, fault in enumerate(span.faults, 1)]
    return f"{minutes:.0f} minutes of a real run." + (f" Shaded: {'; '.join(numbered)}." if numbered else "")


def _text(left: float, top: float, text: str, kind: str = "", anchor: str = "") -> str:
    given = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{left:g}" y="{top:g}"{given}>{escape(text)}</text>'


def _card(panel: Panel, box: _Box) -> Iterator[str]:
    yield f'<rect class="card" x="{box.left:g}" y="{box.top:g}" width="{box.width:g}" height="{box.height:g}" rx="6"/>'
    yield _text(box.left + 10, box.top + 19, panel.title, "t")


def _number(panel: Panel, found: Found, box: _Box) -> Iterator[str]:
    yield from _card(panel, box)
    lines = _lines(panel, found)
    shown = words(lines[0].last, panel.unit) if lines else "no data"
    yield _text(box.left + box.width / 2, box.top + 56, shown, "n", "middle")
    for number, part in enumerate(_wrapped(panel.question, box.width - 20)):
        yield _text(box.left + box.width / 2, box.top + 76 + 13 * number, part, "soft", "middle")


def _graph(panel: Panel, found: Found, box: _Box, span: Span) -> Iterator[str]:
    yield from _card(panel, box)
    yield _text(box.left + 10, box.top + 34, panel.question, "soft")
    lines = _lines(panel, found)
    legend = _legend(lines, panel.unit, box.width - 20)
    kept = [line for _, _, line, _ in legend if line is not None]
    rows = max((row for row, *_ in legend), default=0) + 1
    plot = _Box(box.left + 58, box.top + 46, box.width - 72, box.height - 46 - 22 - _LEGEND_ROW * rows)
    scale = marks(max((line.greatest for line in kept), default=0.0), panel.unit, 4 if plot.height > 90 else 2)
    yield from _axes(plot, scale, panel.unit, span)
    for line in kept:
        yield f'<path class="line" stroke="var(--{line.colour})" d="{_path(line, plot, scale[-1], span)}"/>'
    for row, left, entry, text in legend:
        top = box.bottom - 8 - _LEGEND_ROW * (rows - 1 - row)
        if entry is not None:
            yield f'<rect x="{box.left + 10 + left:g}" y="{top - 7:g}" width="10" height="4" rx="2" fill="var(--{entry.colour})"/>'
        yield _text(box.left + 24 + left, top, text, "soft")
    if not lines:
        yield _text(plot.left + plot.width / 2, plot.top + plot.height / 2, "no data", "soft", "middle")


def _lines(panel: Panel, found: Found) -> list[_Line]:
    named = [
        (_name(legend, series.labels), series)
        for legend, expr in panel.series.items()
        for series in found.get(expr, ())
    ]
    named.sort(key=lambda each: each[0])
    return [_Line(name, series.points) for name, series in named]


def _name(legend: str, labels: Mapping[str, str]) -> str:
    """Return a legend as Grafana fills it in."""
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    filled = legend.partition("{{")[0] + legend.partition("}}")[2] if "{{" in legend else legend
    filled = filled.strip(", ") or "without"
    return filled if len(filled) <= _MOST_CHARS else f"{filled[: _MOST_CHARS - 1]}…"


_Entry = tuple[int, float, _Line | None, str]
"""Row, pixels from the left, the line that it names, text."""


def _legend(lines: Sequence[_Line], unit: str, width: float) -> list[_Entry]:
    """Return the entries of a legend: of the lines that are to be drawn, and how many are not."""
    ranked = sorted(lines, key=lambda line: -line.greatest)
    moving = [line for line in ranked if line.greatest > 0] or ranked[:3]
    for number in range(min(_MOST_LINES, len(moving)), 0, -1):
        left_out = ranked[number:]
        chosen = sorted(moving[:number], key=lambda line: line.name)
        coloured = [replace(line, colour=f"c{place}") for place, line in enumerate(chosen)]
        entries = [
            (line, f"{line.name}  {words(line.last, unit) if math.isfinite(line.last) else '–'}") for line in coloured
        ]
        more = f"and {len(left_out)} more{'' if any(line.greatest for line in left_out) else ', all 0'}"
        placed = _placed([*entries, *([(None, more)] if left_out else [])], width)
        if placed[-1][0] < _MOST_ROWS or number == 1:
            return placed
    return []


def _placed(entries: Iterable[tuple[_Line | None, str]], width: float) -> list[_Entry]:
    """Return entries side by side, row by row."""
    placed: list[_Entry] = []
    row, left = 0, 0.0
    for line, text in entries:
        needed = 26 + _CHAR_PX * len(text)
        if left and left + needed > width:
            row, left = row + 1, 0.0
        placed.append((row, left, line, text))
        left += needed
    return placed


def _axes(plot: _Box, scale: Sequence[float], unit: str, span: Span) -> Iterator[str]:
    for number, fault in enumerate(span.faults, 1):
        begin, end = (_across(at, plot, span) for at in (fault.begin, fault.end))
        yield f'<rect class="fault" x="{begin:.1f}" y="{plot.top:g}" width="{max(end - begin, 1):.1f}" height="{plot.height:g}"/>'
        yield _text((begin + end) / 2, plot.top + 10, str(number), "soft", "middle")
    for mark in scale:
        top = plot.bottom - plot.height * mark / scale[-1]
        yield f'<path class="grid" d="M{plot.left:g} {top:.1f}H{plot.right:g}"/>'
        yield _text(plot.left - 6, top + 4, words(mark, unit), "soft", "end")
    minutes = int((span.end - span.begin) // 60)
    for minute in range(0, minutes + 1, max(1, math.ceil(minutes / 6))):
        left = _across(span.begin + 60 * minute, plot, span)
        yield _text(left, plot.bottom + 13, f"{minute} min", "soft", "middle")


def _across(at: float, plot: _Box, span: Span) -> float:
    share = (min(max(at, span.begin), span.end) - span.begin) / (span.end - span.begin)
    return plot.left + plot.width * share


def _path(line: _Line, plot: _Box, greatest: float, span: Span) -> str:
    """Return the path of a line, with a gap where there is no value."""
    path, is_up = [], True
    before = -math.inf
    step = min((b[0] - a[0] for a, b in zip(line.points, line.points[1:], strict=False)), default=0.0)
    for at, value in line.points:
        if not math.isfinite(value):
            is_up = True
            continue
        is_up = is_up or at - before > 1.5 * step
        left, top = _across(at, plot, span), plot.bottom - plot.height * max(value, 0.0) / greatest
        path.append(f"{'M' if is_up else 'L'}{left:.1f} {top:.1f}")
        is_up, before = False, at
    return "".join(path)


def _wrapped(text: str, width: float) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and _CHAR_PX * len(f"{line} {word}") > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line
