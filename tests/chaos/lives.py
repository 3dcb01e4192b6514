"""Rules over the local cloud's journal of subscriptions: what must hold at every instant, whoever made and deleted them.

Each function returns what breaks its rule, a sentence each; none when it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

FLOOR_S: Final = 45 * 60.0
"""Graph raises a shorter life to this, and counts on a fresh token by then."""
_ID = re.compile(r"'([0-9a-fA-F-]{36})'|presences/([0-9a-fA-F-]{36})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One subscription. Times are the world's seconds; those in `utc` seconds since 1970.

    Attributes:
        id: Graph's name for it.
        grant: whose: tenant, application and account.
        users: object ids in lower case.
        created_s: when it began.
        ended_s: when it ended; None while it is live.
        how: how it ended: `deleted`, `expired`, `ghost`; empty while it is live.
        renewed_s: when it was made or renewed, in order.
        created_utc: when it began.
        ended_utc: when it ended.
    """

    id: str
    grant: tuple[str, str, str]
    users: frozenset[str]
    created_s: float
    ended_s: float | None
    how: str
    renewed_s: tuple[float, ...]
    created_utc: float = 0.0
    ended_utc: float | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """One bulk read that Graph answered; `at` in seconds since 1970."""

    at: float
    users: frozenset[str]


def life_of(raw: Mapping[str, Any]) -> Life:
    """A subscription as the cloud's control surface tells it."""
    events = raw["events"]
    is_over = raw["ended_s"] is not None
    return Life(
        id=raw["id"],
        grant=(raw["tenant"], raw["app"], raw["creator"]),
        users=frozenset((first or second).lower() for first, second in _ID.findall(raw["resource"])),
        created_s=raw["created_s"],
        ended_s=raw["ended_s"],
        how=events[-1]["what"] if is_over else "",
        renewed_s=tuple(event["at_s"] for event in events if event["what"] in {"created", "renewed", "reauthorised"}),
        created_utc=events[0]["utc"],
        ended_utc=events[-1]["utc"] if is_over else None,
    )


def reads_of(entries: Iterable[Mapping[str, Any]]) -> list[Read]:
    """The bulk reads among the journal's requests, which must have been keeping ids."""
    return [
        Read(entry["utc"], frozenset(each.lower() for each in entry["ids"]))
        for entry in entries
        if entry["ids"] and entry["status"] == 200 and "getPresencesByUserId" in entry["path"]
    ]


def two_at_once(lives: Iterable[Life]) -> list[str]:
    """No grant ever has two live subscriptions."""
    own: dict[tuple[str, str, str], list[Life]] = {}
    for life in sorted(lives, key=lambda life: life.created_s):
        own.setdefault(life.grant, []).append(life)
    return [
        f"{second.id} began at {second.created_s:.1f} while {first.id} was live"
        for each in own.values()
        for first, second in pairwise(each)
        if first.ended_s is None or first.ended_s > second.created_s
    ]


def in_two_at_once(lives: Sequence[Life]) -> list[str]:
    """No user is in two live subscriptions of a tenant: one of the two would be wasted."""
    faults = []
    for number, first in enumerate(lives):
        for second in lives[number + 1 :]:
            both = first.users & second.users
            if both and first.grant[0] == second.grant[0] and _overlap(first, second):
                faults.append(f"{len(both)} users are in {first.id} and in {second.id}")
    return faults


def unrenewed(
    lives: Iterable[Life], now_s: float, *, most_s: float = FLOOR_S, excused: Iterable[tuple[float, float]] = ()
) -> list[str]:
    """No subscription goes `most_s` without renewal.

    Args:
        lives: the subscriptions.
        now_s: until when to look.
        most_s: the limit.
        excused: (from, to) within which nobody could have renewed; that time does not count.
    """
    windows = list(excused)
    faults = []
    for life in lives:
        end = life.ended_s if life.ended_s is not None else now_s
        for before, after in pairwise([*life.renewed_s, end]):
            nobody = sum(max(0.0, min(after, to) - max(before, since)) for since, to in windows)
            if after - before - nobody > most_s:
                faults.append(f"{life.id} was not renewed for {(after - before) / 60:.1f} minutes from {before:.1f} on")
    return faults


def left(lives: Iterable[Life], tenant: str, now_s: float) -> list[str]:
    """A tenant that is not read has no live subscription."""
    return [
        f"{life.id} is still live at {now_s:.1f}"
        for life in lives
        if life.grant[0] == tenant and (life.ended_s is None or life.ended_s > now_s)
    ]


def unread(lives: Iterable[Life], reads: Sequence[Read], *, within_s: float, now: float) -> list[str]:
    """After each move every user of the subscription is read once: of one deleted, because they are announced no longer; of
    one made, because what happened in the gap was not announced. Both count for a grant that went on to another.

    Args:
        lives: the subscriptions.
        reads: the bulk reads, in order.
        within_s: real seconds in which it must happen.
        now: seconds since 1970; a move later than `within_s` before is not judged.
    """
    faults = []
    for life in lives:
        moves = {"made": life.created_utc}
        if life.how == "deleted" and life.ended_utc is not None:
            moves["deleted"] = life.ended_utc
        for what, at in moves.items():
            soon = at + within_s
            if soon > now or (what == "made" and life.ended_utc is not None and life.ended_utc < soon):
                continue
            found: set[str] = set()
            for read in reads:
                if at <= read.at <= soon:
                    found |= read.users
            if missing := life.users - found:
                faults.append(f"{len(missing)} users of {life.id} were not read after it was {what}")
    return faults


def _overlap(first: Life, second: Life) -> bool:
    begin = max(first.created_s, second.created_s)
    ends = [life.ended_s for life in (first, second) if life.ended_s is not None]
    return all(end > begin for end in ends)
