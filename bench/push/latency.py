"""The time until a change that Graph notifies at once is shown: 200 a second, with sequence numbers and without."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import report
from bench.load.changes import change_people
from bench.load.rig import cloud, relay_beside
from bench.load.world import CLIENT_ID, Organisation, organisations
from bench.processes import cpu_s
from bench.push.cloud import Account
from bench.push.judge import Ages, ages
from bench.push.recorder import Recorder
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import Sequence

GRAPH_MS: Final = 50
_START_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """The options of the push-latency benchmark.

    Attributes:
        sizes: users of each tenant; each has as many grants as its users need for subscriptions.
        rate: changes a second, all tenants together.
        seconds: duration of one run.
        with_ms, without_ms: required p99 with and without sequence numbers, excluding Graph's read.
    """

    sizes: tuple[int, ...] = (500, 500, 500, 500)
    rate: float = 200.0
    seconds: float = 30.0
    with_ms: float = 150.0
    without_ms: float = 500.0


def run(options: LatencyOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("push-latency")
    points = [
        (sizes, numbered)
        for sizes in dict.fromkeys([options.sizes, (sum(options.sizes),)])
        for numbered in (True, False)
    ]
    rows = [_run(options, sizes, numbered, verdict) for sizes, numbered in points]
    head = [
        "tenants",
        "sequence numbers",
        "changes/s",
        "seen",
        "p50 ms",
        "p99 ms",
        "most ms",
        "unseen",
        "announced",
        "relay CPU",
    ]
    report.table(
        f"a change, announced at once by Graph (whose reads take {GRAPH_MS} ms), until a suite shows it", head, rows
    )
    return verdict.say()


def _run(options: LatencyOptions, sizes: Sequence[int], numbered: bool, verdict: report.Verdict) -> list[object]:  # noqa: FBT001
    world = [Organisation(each.number, each.people, -(-each.people // 650)) for each in organisations(sizes)]
    switches = {
        "graph_latency_ms": GRAPH_MS, "notification_delay_s": (0, 0), "notification_sequence_numbers": numbered,
    }  # fmt: skip
    with cloud(world, **switches) as site, relay_beside(site, push=True) as relay:
        account = Account(site.control, {user for each in world for user in each.users})
        with Recorder(relay, [each.names for each in world]) as suites:
            suites.until_all_are_shown(sum(sizes), _START_S)
            until_covered(account, sum(sizes))
            account.begin()
            before_shown = suites.take()
            before = cpu_s(relay.pids.values())
            began = time.monotonic()
            people = [name for each in world for name in each.names]
            loop.run(change_people(site, people, options.rate, options.seconds))
            took_s = time.monotonic() - began
            spent = sum(cpu_s(relay.pids.values()).values()) - sum(before.values())
            time.sleep(1.0)
            account.follow()
            found = ages(account.changes, [*before_shown, *suites.take()], time.time())
            return _row(options, sizes, numbered, verdict, found, account, took_s, spent)


def _row(
    options: LatencyOptions, sizes: Sequence[int], numbered: bool, verdict: report.Verdict, found: Ages, account: Account,  # noqa: FBT001
    took_s: float, spent: float,
) -> list[object]:  # fmt: skip
    name = f"{len(sizes)} tenants, {'with' if numbered else 'without'} numbers"
    limit_ms = options.with_ms if numbered else options.without_ms + GRAPH_MS
    p99 = 1000 * found.at(0.99)
    verdict.ratios[f"{name}: p99 ms"] = round(p99, 1)
    verdict.must[f"{name}: p99 <= {limit_ms:g} ms"] = p99 <= limit_ms
    verdict.must[f"{name}: every change is shown"] = not (found.unseen or found.waiting)
    counts = account.control.get("notifications").raise_for_status().json()["counts"]
    return [
        len(sizes), "yes" if numbered else "no", len(account.changes) / took_s, len(found.seen), 1000 * found.at(0.5), p99,
        1000 * found.longest, found.unseen + len(found.waiting), counts["delivered"], f"{spent / took_s:.0%}",
    ]  # fmt: skip


def until_covered(account: Account, users: int, client_id: str = CLIENT_ID, timeout_s: float = 60.0) -> None:
    """Wait until the relay's subscriptions cover `users` users, and it has read them once more since.

    Raises:
        TimeoutError: they do not cover them in time.
    """
    deadline = time.monotonic() + timeout_s
    while (covered := account.covered(client_id)) < users:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{covered} of {users} users are in a subscription after {timeout_s:g} s")
        time.sleep(0.2)
    time.sleep(2.0)
