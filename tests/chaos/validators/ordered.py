"""Ordered: for one user, a suite never sees an older presence after a newer one, also across edges."""

from __future__ import annotations

from tests.chaos.history import History, Look
from tests.chaos.record import Record, Shown


def ordered(record: Record) -> list[str]:
    """Judge that what each suite is shown of each user goes forward in Graph's history, and was there at all."""
    history = History(record)
    places: dict[tuple[str, str], int] = {}
    faults = []
    for line in record.of(Shown):
        if line.status or not history.of(line.user):
            continue
        look = Look(line.availability, line.activity, line.number)
        found = history.first_place(line.user, look, places.get((line.suite, line.user), 0))
        if found is not None:
            places[line.suite, line.user] = found
            continue
        was_there = history.first_place(line.user, look) is not None
        what = "goes backwards to" if was_there else "is shown what never was:"
        faults.append(f"{line.suite}: {history.name(line.user)} {what} {' '.join(look)} at {line.at:.2f}")
    return faults
