"""Never silently stale: presence that was not confirmed for three intervals is reported as such."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tests.chaos.history import History
from tests.chaos.record import Connected, Disconnected, OfSuite, Record, Told
from tests.chaos.validators.calm import CalmTime
from tests.chaos.view import View

UNDER_WAY_S: Final = 3.0
"""For a read to be under way, and an answer to a suite."""
GRACE_S: Final = 2.0
"""`RELAY_EDGE_STALE_GRACE`: what an edge allows beyond three intervals."""
SILENT_S: Final = 40.0
"""How long a suite may think that it is connected and hear nothing: pings end such a stream after 30 s."""


def never_silently_stale(record: Record) -> list[str]:
    """Judge each time at which a suite was told that what it shows is fresh, and each time in which it was told nothing."""
    history = History(record)
    faults = []
    for suite, lines in record.by_suite().items():
        faults += [f"{suite}: {fault}" for fault in _stale(lines, history, CalmTime(record), record.slack_s)]
        faults += [f"{suite}: {fault}" for fault in _silent(lines, record.slack_s)]
    return faults


def _stale(lines: Iterable[OfSuite], history: History, calm: CalmTime, slack_s: float) -> Iterable[str]:
    view = View()
    for line in lines:
        view.feed(line)
        if not isinstance(line, Told) or not view.is_well or not line.contact:
            continue
        allowed_s = line.every_s + UNDER_WAY_S + slack_s
        age_s = line.at - line.contact
        if calm.holds(line.at) and age_s > 3 * line.every_s + GRACE_S + allowed_s:
            yield f"at {line.at:.2f} it is told that all is well, confirmed {age_s:.1f} s before"
        for user, look in view.looks.items():
            over = history.over_since(user, look)
            if over is not None and over < line.contact - allowed_s:
                yield (
                    f"at {line.at:.2f} {history.name(user)} is shown as {' '.join(look)}, over since {over:.2f}, "
                    f"with a contact time of {line.contact:.2f} and an interval of {line.every_s:.1f} s"
                )


def _silent(lines: Iterable[OfSuite], slack_s: float) -> Iterable[str]:
    heard: float | None = None
    for line in lines:
        if isinstance(line, Connected):
            heard = line.at
        if heard is not None and line.at - heard > SILENT_S + slack_s:
            yield f"it heard nothing for {line.at - heard:.1f} s from {heard:.2f} on, and was connected"
        if heard is not None:
            heard = None if isinstance(line, Disconnected) else line.at
