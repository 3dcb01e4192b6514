"""The picture of one change's trace, drawn from the spans of real processes: `python -m tests.monitoring.waterfall`.

It runs a local cloud, a webhook, two workers and an edge as in production, lets a person take a call, and writes
`docs/operate/trace.svg` from what a collector received.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from tests.chaos import scene
from tests.chaos.processes import Relay, at_work
from tests.chaos.record import Record
from tests.support.otlp import CollectedSpan, Collector, collecting
from tests.support.waiting import eventually

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "operate" / "trace.svg"
WRITES: Final = 2
"""Suites that watch the person."""
LANES: Final = {"webhook": ("#eef1fb", "#3d6fb6"), "worker": ("#fff4ef", "#c2573a"), "edge": ("#eef7f0", "#2f7d4f")}
"""Role -> colours of its spans: their fill, their frame."""
_PATIENCE_S: Final = 150.0
_CALLS: Final = 40
_TRACES: Final = 5
"""Traces of which the one of middle duration is drawn."""

_WIDTH, _LEFT, _ROW, _TOP = 1080, 380, 26, 96
_SCALE_MS: Final = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def draw(spans: Sequence[CollectedSpan]) -> str:
    """Return an SVG with a bar for each span of one trace, parents above children.

    Raises:
        ValueError: there is none, or one has no parent among the others although it is not the first.
    """
    rows = _in_order(spans)
    begun = min(span.begun_ns for span, _ in rows)
    whole_ms = max(max(span.ended_ns for span, _ in rows) - begun, 1) / 1e6
    height = _TOP + _ROW * len(rows) + 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="Segoe UI, Helvetica, Arial, sans-serif" font-size="13" role="img" aria-labelledby="title desc">',
        '<title id="title">The trace of one change</title>',
        f'<desc id="desc">{escape(_described(rows, begun))}</desc>',
        f'<rect width="{_WIDTH}" height="{height}" rx="14" fill="#ffffff"/>',
        *_legend(rows),
        *_axis(whole_ms, height),
    ]
    for number, (span, depth) in enumerate(rows):
        parts += _bar(span, depth, _TOP + _ROW * number, begun, whole_ms)
    return "\n".join([*parts, "</svg>", ""])


def _in_order(spans: Sequence[CollectedSpan]) -> list[tuple[CollectedSpan, int]]:
    """Return the spans with their depths, children behind their parents and in the order of their beginnings."""
    children: dict[str, list[CollectedSpan]] = {}
    for span in sorted(spans, key=lambda span: span.begun_ns):
        children.setdefault(span.parent_id, []).append(span)
    rows: list[tuple[CollectedSpan, int]] = []

    def add(parent_id: str, depth: int) -> None:
        for span in children.get(parent_id, ()):
            rows.append((span, depth))
            add(span.span_id, depth + 1)

    add("", 0)
    if not rows or len(rows) != len(spans):
        raise ValueError(f"{len(rows)} of {len(spans)} spans have their parents")
    return rows


def _described(rows: Sequence[tuple[CollectedSpan, int]], begun: int) -> str:
    told = (
        f"{span.name} ({span.roles}): from {(span.begun_ns - begun) / 1e6:.1f} to {(span.ended_ns - begun) / 1e6:.1f} ms"
        for span, _ in rows
    )
    return "; ".join(told)


def _legend(rows: Sequence[tuple[CollectedSpan, int]]) -> list[str]:
    parts = ['<text x="24" y="34" font-size="16" font-weight="600" fill="#27303c">One change, span by span</text>']
    seen = dict.fromkeys(span.roles for span, _ in rows)
    for number, role in enumerate(role for role in LANES if role in seen):
        fill, frame = LANES[role]
        x = 24 + 110 * number
        parts.append(f'<rect x="{x}" y="50" width="14" height="14" rx="3" fill="{fill}" stroke="{frame}"/>')
        parts.append(f'<text x="{x + 20}" y="62" fill="#44546a">{role}</text>')
    return parts


def _axis(whole_ms: float, height: int) -> list[str]:
    step = next((each for each in _SCALE_MS if whole_ms / each <= 8), _SCALE_MS[-1])
    parts = []
    for number in range(int(whole_ms / step) + 1):
        x = _at(number * step, whole_ms)
        parts.append(f'<path d="M{x:.1f} {_TOP - 12}V{height - 20}" stroke="#e3e8ef"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{_TOP - 18}" fill="#5b6675" text-anchor="middle" font-size="12">{number * step:g} ms</text>'
        )
    return parts


def _bar(span: CollectedSpan, depth: int, y: int, begun: int, whole_ms: float) -> list[str]:
    fill, frame = LANES.get(span.roles, ("#f5f7fa", "#5b6675"))
    from_ms, took_ms = (span.begun_ns - begun) / 1e6, (span.ended_ns - span.begun_ns) / 1e6
    x, width = _at(from_ms, whole_ms), max(2.0, _at(from_ms + took_ms, whole_ms) - _at(from_ms, whole_ms))
    took = f"{took_ms:.1f} ms"
    # Behind the bar where there is room, else before it.
    label = (
        f'<text x="{x + width + 6:.1f}" y="{y + 14}"'
        if x + width < _WIDTH - 90
        else f'<text x="{x - 6:.1f}" y="{y + 14}" text-anchor="end"'
    )
    return [
        f'<text x="{24 + 14 * depth}" y="{y + 14}" fill="#27303c">{escape(span.name)}</text>',
        f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="16" rx="3" fill="{fill}" stroke="{frame}"/>',
        f'{label} fill="#44546a" font-size="12">{took}</text>',
    ]


def _at(ms: float, whole_ms: float) -> float:
    return _LEFT + ms / whole_ms * (_WIDTH - _LEFT - 40)


async def record(folder: Path) -> list[CollectedSpan]:
    """Return the spans of one change that a notification announced, from real processes."""
    with collecting() as collector:
        settings = {
            **scene.SETTINGS,
            "RELAY_TELEMETRY_OTLP_ENDPOINT": collector.url,
            "RELAY_TELEMETRY_TRACE_SHARE": "1",
            "RELAY_POLL_INTERVAL": "5s",
            "RELAY_POLL_RECONCILE_INTERVAL": "60s",
        }
        switches = {"notification_sequence_numbers": True}
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(
                at_work(folder, speed=scene.SPEED, switches=switches, settings=settings)
            )
            return await _change(relay, collector)


async def _change(relay: Relay, collector: Collector) -> list[CollectedSpan]:
    world = scene.Scene(relay, Record(), [relay.address])
    await world.begin()
    who = scene.CONTOSO[2]  # whom two suites watch
    raws = [("Busy", "InACall"), ("Available", "Available")] * _CALLS

    async def trace() -> list[list[CollectedSpan]]:
        await world.show(who, *raws.pop())
        await eventually(lambda: not world.wrong(), timeout=_PATIENCE_S)
        await asyncio.sleep(1.5)  # spans travel once a second
        found = announced(collector)
        return found if len(found) >= _TRACES else []

    try:
        found = await eventually(trace, timeout=_PATIENCE_S, explain=lambda: {span.name for span in collector.spans})
        return sorted(found, key=_took_ns)[len(found) // 2]
    finally:
        for name in list(world.consoles):
            await world.go(name)


def announced(collector: Collector) -> list[list[CollectedSpan]]:
    """Return the traces of notifications that were accepted as they were, as far as they are whole."""
    found = []
    for first in collector.named("POST /notifications/{route_id}"):
        spans = collector.trace_of(first)
        names = [span.name for span in spans]
        if names.count("relay.edge.write") == WRITES and "relay.worker.read" not in names:
            found.append(spans)
    return found


def _took_ns(spans: Sequence[CollectedSpan]) -> int:
    return max(span.ended_ns for span in spans) - min(span.begun_ns for span in spans)


def main() -> None:
    """Record a change, and write its picture to the docs, or to the file that is named."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    with tempfile.TemporaryDirectory() as folder:
        spans = asyncio.run(record(Path(folder)))
    file.write_text(draw(spans))


if __name__ == "__main__":
    main()
