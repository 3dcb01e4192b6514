"""Convergent: when changes stop and faults heal, every suite shows what Graph says, within the time of the calm."""

from __future__ import annotations

from collections.abc import Iterable

from tests.chaos.history import History
from tests.chaos.record import Calm, OfSuite, Record
from tests.chaos.view import View


def convergent(record: Record) -> list[str]:
    """Judge each calm: from its time limit to its end every suite shows, as certain, what there is to see."""
    history = History(record)
    faults = []
    for suite, lines in record.by_suite().items():
        for calm in record.of(Calm):
            faults += sorted({f"{suite}: {fault}" for fault in _wrong_in(calm, lines, history)})
    return faults


def _wrong_in(calm: Calm, lines: Iterable[OfSuite], history: History) -> Iterable[str]:
    view = View()
    start = min(calm.at + calm.within_s, calm.until)
    is_judged = False
    for line in lines:
        if line.at > calm.until:
            break
        if line.at > start:
            if not is_judged:
                yield from _wrong(view, start, history)
            is_judged = True
        view.feed(line)
        if is_judged:
            yield from _wrong(view, start, history)
    yield from _wrong(view, start, history)


def _wrong(view: View, at: float, history: History) -> Iterable[str]:
    if not view.is_open:
        return
    if not view.is_well:
        yield f"is not told that all is well {at:.2f}: {view.status or 'no status'}, connected: {view.is_connected}"
    for name, since in view.watched.items():
        user = history.users.get(name, "")
        truth = history.at(user, at)
        look = view.looks.get(view.users.get(name, ""))
        if truth is not None and since < at and (look is None or not look.fits(truth)):
            shown = look or view.answers.get(user, "nothing")
            yield f"at {at:.2f} {name} is shown as {shown}, and is {truth.availability}/{truth.activity}"
