"""Rules over what suites saw, judged by the local cloud's own history of what there was to see.

Each function returns what breaks its rule, a sentence each; none when it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Truth:
    """How somebody was to be seen from some instant on; `number` is Microsoft's sequence number."""

    availability: str
    activity: str
    number: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a suite was told of somebody; `number` is empty where Microsoft says none."""

    at: float
    suite: str
    user: str
    availability: str
    activity: str
    number: str = ""


def backwards(history: Mapping[str, Sequence[Truth]], seen: Iterable[Seen]) -> list[str]:
    """No suite sees somebody's older presence after a newer one, nor one that never was.

    What is seen is explained by the earliest place in history that is not before the last one. Where the same presence comes
    back and no number tells which one it is, that is the most lenient explanation.

    Args:
        history: user -> how they were to be seen, in order.
        seen: what suites were told, in order.
    """
    places: dict[tuple[str, str], int] = {}
    faults = []
    for each in seen:
        truths = history.get(each.user, ())
        place = places.get((each.suite, each.user), 0)
        found = next((at for at in range(place, len(truths)) if _is(truths[at], each)), None)
        if found is None:
            was_there = any(_is(truth, each) for truth in truths)
            what = "goes backwards to" if was_there else "is shown what never was:"
            faults.append(f"{each.suite}: {each.user} {what} {each.availability}/{each.activity} {each.number}")
        else:
            places[each.suite, each.user] = found
    return faults


def _is(truth: Truth, seen: Seen) -> bool:
    if seen.number and truth.number and seen.number != truth.number:
        return False
    return (truth.availability, truth.activity) == (seen.availability, seen.activity)
