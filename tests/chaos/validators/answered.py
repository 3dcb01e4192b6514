"""Answered: a name that a suite asks for has a presence, or a reason why there is none, within five seconds."""

from __future__ import annotations

from typing import Final

from tests.chaos.history import History
from tests.chaos.record import Asked, Closed, Dropped, OfSuite, Record, Resolved, Shown
from tests.chaos.validators.calm import CalmTime

ANSWERED_S: Final = 5.0


def answered(record: Record) -> list[str]:
    """Judge each name that was asked for; time in which something was wrong does not count."""
    history, calm, most_s = History(record), CalmTime(record), ANSWERED_S + record.slack_s
    end = max((line.at for lines in record.by_suite().values() for line in lines), default=0.0)
    faults = []
    for suite, lines in record.by_suite().items():
        for place, line in enumerate(lines):
            if not isinstance(line, Asked):
                continue
            for name in line.names:
                took_s = calm.seconds(line.at, _answered_at(name, history.users.get(name, ""), lines[place + 1 :], end))
                if took_s > most_s:
                    faults.append(f"{suite}: {name}, asked for at {line.at:.2f}, had no answer after {took_s:.1f} s")
    return faults


def _answered_at(name: str, user: str, later: list[OfSuite], end: float) -> float:
    """Return when a name was answered, or nobody waited for it any more."""
    for line in later:
        match line:
            case Shown(at=at, status=status) if line.user == user and status != "PENDING":
                return at
            case Resolved(at=at, status=status) if line.name == name and status not in {"", "PENDING"}:
                return at
            case Dropped(at=at, names=names) if name in names:
                return at
            case Closed(at=at):
                return at
    return end
