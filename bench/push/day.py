"""The same day of 2,000 users with notifications and without: the number of requests to Graph, and the age of changes when shown.

Two relays with an application each read one world: one subscribes, the other polls every five seconds. A third figure is computed
from the same changes: their age if the first relay's number of requests were spent on polling only, with reads that take no time.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.load.rig import cloud, relay_beside
from bench.load.world import CLIENT_ID, OTHER_CLIENT_ID, Organisation
from bench.push.cloud import PATIENT, RENEWED_WITHIN_S, UNHURRIED, Account, live_at_once, longest_unrenewed_s
from bench.push.judge import ages, round_robin
from bench.push.latency import until_covered
from bench.push.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.push.judge import Ages

PAGE: Final = 650
_START_S: Final = 3600.0
_FOLLOW_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOptions:
    """The options of the push-day benchmark.

    Attributes:
        people, grants: people and grants of the tenant.
        hours: length of the day, which begins at half past nine.
        numbered: with sequence numbers, without, or both in turn.
        fewer: minimum ratio of polling's requests to those with notifications.
        fresher: minimum ratio of the ages of changes with round-robin polling, at the same number of requests.
    """

    people: int = 2000
    grants: int = 4
    hours: float = 24.0
    numbered: tuple[bool, ...] = (True, False)
    seed: int = 1
    fewer: float = 10.0
    fresher: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The result of one day.

    Attributes:
        seconds: its duration.
        changes: number of changes of people.
        pushed, polled: requests of the relay that subscribes and of the one that polls.
        seen, polled_seen: ages of changes at their suites.
        round: ages with round-robin polling, at as many requests as `pushed`.
        live, unrenewed_s: see `cloud.live_at_once` and `cloud.longest_unrenewed_s`.
    """

    seconds: float
    changes: int
    pushed: dict[str, int]
    polled: dict[str, int]
    seen: Ages
    polled_seen: Ages
    round: Ages
    live: int
    unrenewed_s: float


def run(options: DayOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("push-day")
    for numbered in options.numbered:
        day = live(options, numbered=numbered)
        _tell(options, day, numbered, verdict)
    return verdict.say()


def live(options: DayOptions, *, numbered: bool) -> Day:
    """Run the relay for one day and return its result."""
    world = [Organisation(0, options.people, options.grants)]
    flags = ("--day", "--nights", "--seed", str(options.seed))
    with ExitStack() as stack:
        site = stack.enter_context(cloud(world, *flags, notification_sequence_numbers=numbered, **PATIENT))
        pushing = stack.enter_context(relay_beside(site, push=True, apart=True, groups=UNHURRIED))
        polling = stack.enter_context(relay_beside(site, client_id=OTHER_CLIENT_ID, apart=True, groups=UNHURRIED))
        recorders = [stack.enter_context(Recorder(relay, [world[0].names])) for relay in (pushing, polling)]
        account = Account(site.control, {user for each in world for user in each.users})
        for recorder in recorders:
            recorder.until_all_are_shown(options.people, _START_S)
        until_covered(account, options.people, timeout_s=_START_S)
        account.begin()
        shown, polled_shown = (recorder.take() for recorder in recorders)
        began = time.time()
        for share in _passing(options.hours * 3600):
            account.follow()
            report.say(f"{share:.0%}: {len(account.changes):,} changes, {account.of(CLIENT_ID)}")
        account.follow()
        until = time.time()
        shown += recorders[0].take()
        polled_shown += recorders[1].take()
        lives, now_s = account.subscriptions(CLIENT_ID), account.now_s()
    users = world[0].users
    changes = [change for change in account.changes if change.at <= until]
    pushed = account.of(CLIENT_ID)
    every_s = (until - began) * -(-len(users) // PAGE) / max(1, sum(pushed.values()))
    return Day(
        seconds=until - began, changes=len(changes), pushed=pushed, polled=account.of(OTHER_CLIENT_ID),
        seen=ages(changes, shown, until), polled_seen=ages(changes, polled_shown, until),
        round=round_robin(changes, users, PAGE, every_s, until), live=live_at_once(lives),
        unrenewed_s=longest_unrenewed_s(lives, now_s),
    )  # fmt: skip


def _passing(seconds: float) -> Iterator[float]:
    """Yield the elapsed share of a time span every few minutes."""
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(left, _FOLLOW_S))
        yield min(1.0, (time.monotonic() - began) / seconds)


def _tell(options: DayOptions, day: Day, numbered: bool, verdict: report.Verdict) -> None:  # noqa: FBT001
    pushed, polled = max(1, sum(day.pushed.values())), sum(day.polled.values())
    fewer = polled / pushed
    fresher = day.round.at(0.5) / day.seen.at(0.5) if day.seen.seen else 0.0
    name = "with numbers" if numbered else "without numbers"
    rows = [
        _row("notifications", pushed, day.pushed, day.seen),
        _row("polling every 5 s", polled, day.polled, day.polled_seen),
        _row(f"as many requests, going round (every {day.seconds * 4 / pushed:.3g} s)", pushed, {}, day.round),
    ]
    report.table(
        f"{day.seconds / 3600:.3g} hours of {options.people:,} users, {options.grants} grants, {name}: {day.changes:,} changes",
        ["", "requests", "of which", "seen", "median s", "p99 s", "longest s", "over before seen"], rows,
    )  # fmt: skip
    verdict.ratios |= {f"{name}: polling's requests": round(fewer, 2), f"{name}: going round's age": round(fresher, 2)}
    verdict.must |= {
        f"{name}: >= {options.fewer:g} times fewer requests than polling": fewer >= options.fewer,
        f"{name}: >= {options.fresher:g} times fresher than as many requests": fresher >= options.fresher,
        f"{name}: one live subscription for a grant": day.live <= 1,
        f"{name}: none unrenewed for 45 minutes": day.unrenewed_s <= RENEWED_WITHIN_S,
    }


def _row(name: str, requests: int, kinds: dict[str, int], found: Ages) -> list[object]:
    of_which = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return [name, requests, of_which, len(found.seen), found.at(0.5), found.at(0.99), found.longest, found.unseen]
