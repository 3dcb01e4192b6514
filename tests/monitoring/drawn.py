"""Draws each dashboard from a real run: `python -m tests.monitoring.drawn`, or `make dashboard-pictures`.

A relay works for some minutes, and things go wrong in it; a real Prometheus scrapes it. The pictures are drawn from what the panels' own expressions
return there.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.monitoring.boards import BOARDS
from deploy.monitoring.pictures import Fault, Found, Series, Span, draw
from deploy.monitoring.rules import ROOT
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.stages import faults
from tests.monitoring.stages.faults import Staging
from tests.monitoring.stages.world import World, world

FOLDER: Final = ROOT / "docs/operate/dashboards"
RATE_WINDOW: Final = "15s"
_CALM_S: Final = 30.0
_STEP_S: Final = 2.0
_FAULTS: Final[tuple[tuple[str, float, Staging], ...]] = (
    (
        "Graph asks to wait",
        30.0,
        faults.graph_fails(path=faults.READS, status=429, headers={"Retry-After": "10"}),
    ),
    ("both workers are killed", 15.0, faults.workers_killed),
    ("what Redis sends to the edge comes 4 s late", 30.0, faults.slow_line("edge", 4.0)),
)


async def run(at: World) -> Span:
    """Let a relay work, with faults in between; returns when it was."""
    begin, met = time.time(), []
    await asyncio.sleep(_CALM_S)
    for what, lasts_s, fault in _FAULTS:
        since = time.time()
        async with fault(at):
            await asyncio.sleep(lasts_s)
        met.append(Fault(since, time.time(), what))
        await asyncio.sleep(_CALM_S)
    return Span(begin, time.time(), met)


async def found(prometheus: Prometheus, span: Span) -> Found:
    """Return what every expression of every panel returned in that time."""
    exprs = {expr for board in BOARDS for row in board.rows.values() for panel in row for expr in panel.series.values()}
    results = {}
    for expr in exprs:
        asked = expr.replace("$__rate_interval", RATE_WINDOW).replace("$tenant", ".*")
        series = await prometheus.query_range(asked, span.begin, span.end, _STEP_S)
        results[expr] = [
            Series(each["metric"], [(float(at), float(value)) for at, value in each["values"]]) for each in series
        ]
    return results


async def main() -> None:
    """Run, and write the pictures."""
    with tempfile.TemporaryDirectory(prefix="dashboards-") as folder:
        async with world(Path(folder)) as at:
            span = await run(at)
            results = await found(at.prometheus, span)
    FOLDER.mkdir(exist_ok=True)
    for board in BOARDS:
        text = draw(board, results, span)
        (FOLDER / f"{board.name}.svg").write_text(text)
        sys.stdout.write(f"{board.name}.svg: {len(text):,} bytes\n")


if __name__ == "__main__":
    asyncio.run(main())
