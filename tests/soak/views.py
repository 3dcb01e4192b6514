"""Rules over what suites saw, judged by the local cloud's own history of what there was to see.

Each function returns what breaks its rule, a sentence each; none when it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Truth:
    """How somebody was to be seen from some instant on; `number` is Microsoft's sequence number."""

    availability: str
    activity: str
    number: str
    since: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a suite was told of somebody; `number` is empty where Microsoft says none."""

    at: float
    suite: str
    user: str
    availability: str
    activity: str
    number: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A suite was told that the tenant is well, and when Microsoft last confirmed what is held.

    Attributes:
        at: when it was told, in seconds since 1970, as `contact`.
        suite: which.
        contact: the contact time.
        every_s: how often each user is read.
        shown: user -> availability and activity that it showed as certain.
    """

    at: float
    suite: str
    contact: float
    every_s: float
    shown: Mapping[str, tuple[str, str]]


def stale_as_fresh(history: Mapping[str, Sequence[Truth]], claims: Iterable[Claim], *, slack_s: float) -> list[str]:
    """What is shown as fresh was still so within one interval, and `slack_s`, before the contact time.

    Args:
        history: user -> how they were to be seen, in order.
        claims: what suites were told.
        slack_s: for a read to be under way, and an answer to a suite.
    """
    faults = []
    for claim in claims:
        least = claim.contact - claim.every_s - slack_s
        for user, shown in claim.shown.items():
            truths = history.get(user, ())
            over = [later.since for truth, later in pairwise(truths) if (truth.availability, truth.activity) == shown]
            is_last = bool(truths) and (truths[-1].availability, truths[-1].activity) == shown
            if over and not is_last and max(over) < least:
                faults.append(
                    f"{claim.suite}: at {claim.at:.2f} {user} is shown as {shown}, over since {max(over):.2f}, "
                    f"with a contact time of {claim.contact:.2f} and an interval of {claim.every_s:.1f} s"
                )
    return faults


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
