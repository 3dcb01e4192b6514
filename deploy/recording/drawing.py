"""Frames of terminals, drawn as one SVG.

Each different row is drawn once for each place, and a CSS animation shows it while the screen did. Whoever asks for less motion sees the last
frame. Programs that show no animations, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from deploy.recording.terminal import COLUMNS, ROWS, Frame, Row, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDE: Final = 8.4
_HIGH: Final = 19.0
_TOP: Final = 46.0
_SIDE: Final = 18.0
_WIDTH: Final = COLUMNS * _WIDE + 2 * _SIDE
_HEIGHT: Final = ROWS * _HIGH + _TOP + 14
_LAST_S: Final = 4.0
"""How long the last frame stays before all begins again."""
_COLOURS: Final = {
    "default": "#e6edf3",
    "dim": "#9aa7b4",
    "black": "#6b7785",
    "red": "#ff8f87",
    "green": "#5fd787",
    "brown": "#e5c07b",
    "blue": "#7cb7ff",
    "magenta": "#d6a0ff",
    "cyan": "#6fdfe0",
    "white": "#e6edf3",
}
_TOO_DARK: Final = 0x80
"""Colours that programs choose for a light terminal are drawn as faint ones when no part of them is brighter."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One terminal's part of a recording.

    Attributes:
        title: what stands above it.
        frames: at least one; only the distances of their times count.
        for_s: seconds that it is shown, from its first frame on.
    """

    title: str
    frames: Sequence[Frame]
    for_s: float


@dataclass(frozen=True, slots=True)
class _Shown:
    from_s: float
    to_s: float


def draw(scenes: Sequence[Scene], label: str) -> str:
    """Return an SVG that shows the scenes one after the other, again and again.

    Args:
        scenes: at least one.
        label: what it shows, for people who cannot see it.
    """
    times, length = _times(scenes)
    pieces = [piece for (row, drawn), shown in times.items() for piece in _animated(row, drawn, shown, length)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label={quoteattr(label)}>',
            f"<title>{escape(label)}</title>",
            f"<style>{_STYLE}{_key_frames(times.values(), length)}</style>",
            f'<rect class="back" width="{_WIDTH:g}" height="{_HEIGHT:g}" rx="10"/>',
            *(f'<circle cx="{x}" cy="20" r="6" fill="{colour}"/>' for x, colour in _BUTTONS),
            *pieces,
            "</svg>",
            "",
        ]
    )


def _times(scenes: Sequence[Scene]) -> tuple[dict[tuple[int, Row], tuple[_Shown, ...]], float]:
    """Return when each row is shown at each place, -1 being the title; and the length of all, in seconds."""
    shown: defaultdict[tuple[int, Row], list[_Shown]] = defaultdict(list)
    began = 0.0
    for number, scene in enumerate(scenes):
        is_last = number == len(scenes) - 1
        ends = began + scene.for_s + (_LAST_S if is_last else 0.0)
        first = scene.frames[0].at_s
        _add(shown, (-1, (Run(0, scene.title),)), _Shown(began, ends))
        starts = [began + frame.at_s - first for frame in scene.frames]
        for (start, end), frame in zip(pairwise([*starts, ends]), scene.frames, strict=True):
            for row, runs in enumerate(frame.rows):
                if runs and start < ends:
                    _add(shown, (row, runs), _Shown(start, min(end, ends)))
        began = ends
    return {key: tuple(spans) for key, spans in shown.items()}, began


def _add(shown: dict[tuple[int, Row], list[_Shown]], key: tuple[int, Row], span: _Shown) -> None:
    spans = shown[key]
    if spans and spans[-1].to_s == span.from_s:
        spans[-1] = _Shown(spans[-1].from_s, span.to_s)
    else:
        spans.append(span)


def _animated(row: int, runs: Row, shown: tuple[_Shown, ...], length: float) -> Iterator[str]:
    is_last = shown[-1].to_s == length
    still = "" if is_last else " h"
    if row < 0:
        title = escape(runs[0].text)
        yield f'<text class="t {_name(shown)}{still}" x="{_WIDTH / 2:g}" y="25">{title}</text>'
        return
    y = _TOP + row * _HIGH + 14
    spans = "".join(_span(run) for run in runs)
    yield f'<text class="{_name(shown)}{still}" y="{y:g}">{spans}</text>'


def _span(run: Run) -> str:
    text = run.text.rstrip()
    lead = len(text) - len(text.lstrip())
    text = text.lstrip()
    x = _SIDE + (run.column + lead) * _WIDE
    style = f' fill="{_colour(run.colour)}"' if run.colour != "default" else ""
    style += ' font-weight="bold"' if run.is_bold else ""
    style += ' font-style="italic"' if run.is_italic else ""
    fitted = f' textLength="{len(text) * _WIDE:g}"' if len(text) > 1 else ""
    return f'<tspan x="{x:g}"{fitted}{style}>{escape(text)}</tspan>'


def _colour(name: str) -> str:
    if name in _COLOURS:
        return _COLOURS[name]
    if name.startswith("bright"):
        return _COLOURS.get(name.removeprefix("bright"), _COLOURS["default"])
    parts = [int(name[at : at + 2], 16) for at in (0, 2, 4)]
    return f"#{name}" if max(parts) >= _TOO_DARK else _COLOURS["dim"]


def _name(shown: tuple[_Shown, ...]) -> str:
    return "a" + "_".join(f"{round(span.from_s * 1000)}-{round(span.to_s * 1000)}" for span in shown)


def _key_frames(all_shown: object, length: float) -> str:
    rules: list[str] = []
    for shown in dict.fromkeys(all_shown):  # type: ignore[call-overload]
        name = _name(shown)
        steps = ["0%{visibility:hidden}"] if shown[0].from_s > 0 else []
        for span in shown:
            steps.append(f"{100 * span.from_s / length:.3f}%{{visibility:visible}}")
            if span.to_s < length:
                steps.append(f"{100 * span.to_s / length:.3f}%{{visibility:hidden}}")
        rules.append(f"@keyframes {name}{{{''.join(steps)}}}.{name}{{animation:{name} {length:g}s step-end infinite}}")
    return f"@media (prefers-reduced-motion:no-preference){{{''.join(rules)}}}"


_BUTTONS: Final = ((22, "#ff5f57"), (42, "#febc2e"), (62, "#28c840"))
_STYLE: Final = (
    ".back{fill:#10151c}"
    "text{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre}"
    ".t{font:13px system-ui,sans-serif;fill:#9aa7b4;text-anchor:middle}"
    ".h{visibility:hidden}"
)
