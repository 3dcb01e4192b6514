"""Resumable: nothing that changed while a suite was away is missing after it resumed, lost Redis history included."""

from __future__ import annotations

from typing import Final

from tests.chaos.history import History, Look
from tests.chaos.record import Complete, Connected, Record, Shown
from tests.chaos.view import View

AT_ONCE_S: Final = 1.0
"""How long before the stream began another suite must have been shown it: what begins at the same time may cross."""


def resumable(record: Record) -> list[str]:
    """Judge each stream at the end of its snapshot: it shows nothing older than what another suite was shown before it began."""
    history, seen = History(record), _Seen(record)
    faults = []
    for suite, lines in record.by_suite().items():
        view, began = View(), 0.0
        for line in lines:
            view.feed(line)
            if isinstance(line, Connected):
                began = line.at
            if not isinstance(line, Complete):
                continue
            for user, look in view.looks.items():
                place, least = history.last_place(user, look), seen.place(user, began - AT_ONCE_S)
                if place is not None and place < least:
                    newer = history.of(user)[least]
                    faults.append(
                        f"{suite}: resumed at {line.at:.2f}, and shows {history.name(user)} as {' '.join(look)}, though "
                        f"{newer.availability}/{newer.activity} was shown elsewhere before {began:.2f}"
                    )
    return faults


class _Seen:
    """What any suite was shown by when."""

    def __init__(self, record: Record) -> None:
        history = History(record)
        self._newest: dict[str, list[tuple[float, int]]] = {}
        for line in record.of(Shown):
            look = Look(line.availability, line.activity, line.number)
            place = history.first_place(line.user, look) if not line.status else None
            if place is None:
                continue
            steps = self._newest.setdefault(line.user, [])
            if not steps or place > steps[-1][1]:
                steps.append((line.at, place))

    def place(self, user: str, by: float) -> int:
        """Return the newest place in history that was shown by an instant; 0 when none was."""
        return max((place for at, place in self._newest.get(user, ()) if at <= by), default=0)
