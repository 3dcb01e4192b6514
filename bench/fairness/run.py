"""Small tenants next to one noisy neighbour after the other, in one worker and one edge.

People of the small tenants change all the time. The age of a change when the suite receives it, and the number of reads of these
tenants, are measured without and with the neighbour, in turn, so that other load on the machine affects both.
The instants of changes and reads are the local cloud's own. One small tenant shares its partition with the neighbour.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bench import report
from bench.fairness.freshness import Compared, Freshness
from bench.fairness.neighbours import NEIGHBOURS, Neighbour, in_trouble
from bench.fairness.suite import NoisySuite
from bench.load.changes import change_people
from bench.load.lateness import look_idly
from bench.load.rig import cloud, relay_beside
from bench.load.world import Organisation
from bench.processes import Child, ChildFailed, cpu_s
from bench.push.cloud import Account
from bench.push.judge import Sighting, ages
from bench.push.recorder import Recorder
from relay.graph.presence.presences import PATH
from relay.ops import loop
from relay.store.presence.presences import Presences
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.load.lateness import Lateness
    from bench.load.rig import Relay, Site

MOST_RATIO: Final = 1.1
QUIET_MS: Final = 10.0
"""If an idle process is later than this in one of twenty samples, the result is unreliable: a tenth of a change's age is 50 ms."""
_PROCESSES: Final = ("edge", "worker", "valkey", "cloud")
_INTERVAL_S: Final = 1.0
_LINGER: Final = timedelta(seconds=1)
"""Short, so that the relay drops a neighbour soon after its suite has left, before the next measurement."""
_START_S: Final = 60.0
_JOIN_S: Final = 240.0
_FORGET_S: Final = 120.0
_SETTLE_S: Final = 3.0
_SWAPPED: Final = 10
"""A suite that changes its list watches one in this many users of its organisation at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessOptions:
    """The options of the fairness benchmark.

    Attributes:
        neighbours: names of the neighbours.
        rounds: number of measurements without and with each.
        seconds: duration of each measurement.
        large_seconds: duration of those with the large tenant, whose names take most of a minute to be resolved.
        small: number of small tenants, of `people` each.
        users: users of the large tenant.
        medium: users of the other neighbours.
        rate: changes a second of the small tenants' people.
    """

    neighbours: Sequence[Neighbour] = NEIGHBOURS
    rounds: int = 3
    seconds: float = 30.0
    large_seconds: float = 90.0
    small: int = 5
    people: int = 30
    users: int = 100_000
    medium: int = 5_000
    rate: float = 40.0


def run(options: FairnessOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    found = measure(options)
    rows: list[list[object]] = []
    for name, each in found.items():
        for label, side in (("without", each.alone), (f"beside {name}", each.beside)):
            rows.append(
                [label, len(side.ages), report.median(side.ages), report.quantile(side.ages, 0.95), side.unseen,
                 side.reads / side.due if side.due else 0.0, *(round(side.busy_ms.get(p, 0.0)) for p in ("edge", "worker"))]
            )  # fmt: skip
        rows.append(["ratio", "", each.ratio(0.5), each.ratio(0.95), "", each.reads, "", ""])
    head = ["small tenants", "changes", "p50 s", "p95 s", "unseen", "reads/interval", "edge busy ms", "worker busy ms"]
    report.table(f"age of a change when its suite has it; polled every {_INTERVAL_S:g} s", head, rows)
    report.table(
        "cores in use", ["small tenants", *_PROCESSES],
        [[label, *(side.cores(process) for process in _PROCESSES)] for name, each in found.items()
         for label, side in (("without", each.alone), (f"beside {name}", each.beside))],
    )  # fmt: skip
    report.table(
        "what the neighbours did", ["", "changes of the list", "reconnects"],
        [[name, each.changes, each.reconnects] for name, each in found.items()],
    )  # fmt: skip
    for name, each in found.items():
        took = ", ".join(f"{process} {ms:.0f} ms" for process, ms in each.beside.collection_ms.items())
        report.say(f"beside {name}: the longest collection of garbage: {took}")
        for (process, place), times in each.beside.places.most_common(6):
            report.say(f"beside {name}: the {process} was late {times} times at {place}")
    return _judged(found).say()


def _ms(found: Freshness) -> str:
    return ", ".join(f"{name} {busy_ms:.0f} ms" for name, busy_ms in found.busy_ms.items())


def _judged(found: Mapping[str, Compared]) -> report.Verdict:
    verdict = report.Verdict("fairness")
    idle_ms = max((side.idle_ms for each in found.values() for side in (each.alone, each.beside)), default=0.0)
    verdict.ratios["idle_late_ms"] = round(idle_ms, 1)
    verdict.must["the machine is quiet enough"] = idle_ms <= QUIET_MS
    for name, each in found.items():
        p50, p95 = each.ratio(0.5), each.ratio(0.95)
        verdict.ratios[name] = {
            "p50": round(p50, 3), "p95": round(p95, 3), "reads": round(each.reads, 3),
            "edge_busy_ms": round(each.beside.busy_ms.get("edge", 0.0)),
            "worker_busy_ms": round(each.beside.busy_ms.get("worker", 0.0)),
        }  # fmt: skip
        verdict.must[f"{name}: p50 is at most {MOST_RATIO:g} times that without"] = p50 <= MOST_RATIO
        verdict.must[f"{name}: p95 is at most {MOST_RATIO:g} times that without"] = p95 <= MOST_RATIO
        verdict.must[f"{name}: every change is seen"] = not each.beside.unseen
    return verdict


def measure(options: FairnessOptions) -> dict[str, Compared]:
    """Return the measurements without and with each neighbour, by its name."""
    noisy = {True: Organisation(0, options.users), False: Organisation(1, options.medium)}
    small = _small(options, noisy.values())
    world = [*noisy.values(), *small]
    groups: dict[str, Any] = {
        "poll": {"interval": timedelta(seconds=_INTERVAL_S)}, "watch": {"linger": _LINGER, "unknown_linger": _LINGER},
    }  # fmt: skip
    with (
        cloud(world) as site,
        relay_beside(site, watched=True, each_role=True, apart=True, groups=groups) as relay,
        ExitStack() as stack,
    ):
        suites = {
            is_large: stack.enter_context(NoisySuite(relay, key))
            for is_large, key in zip(noisy, relay.suite_keys, strict=False)
        }
        quiet = replace(relay, suite_keys=relay.suite_keys[len(noisy) :])
        recorder = stack.enter_context(Recorder(quiet, [each.names for each in small]))
        recorder.until_all_are_shown(options.small * options.people, _START_S)
        idle = stack.enter_context(Child(look_idly))
        bench = _Bench(options, site, relay, small, recorder, idle)
        return {
            each.name: bench.compare(each, noisy[each.is_large], suites[each.is_large]) for each in options.neighbours
        }


def _small(options: FairnessOptions, noisy: Sequence[Organisation] | Any) -> list[Organisation]:
    """Return small organisations, one in the partition of each noisy one, the others in any."""
    shared = {keys.partition_of(each.tenant_id) for each in noisy}
    found: list[Organisation] = []
    number = 2
    while len(found) < options.small:
        each = Organisation(number, options.people)
        number += 1
        partition = keys.partition_of(each.tenant_id)
        if partition in shared or len(found) + len(shared) < options.small:
            shared.discard(partition)
            found.append(each)
    return found


class _Bench:
    """The measurements of one run."""

    def __init__(
        self,
        options: FairnessOptions,
        site: Site,
        relay: Relay,
        small: Sequence[Organisation],
        recorder: Recorder,
        idle: Child,
    ) -> None:
        self._options = options
        self._site = site
        self._relay = relay
        self._small = small
        self._recorder = recorder
        self._idle = idle
        self._pids = {**relay.pids, "cloud": site.pid}
        self._users = {user for each in small for user in each.users}
        self._shown: dict[str, Sighting] = {}

    def compare(self, neighbour: Neighbour, each: Organisation, suite: NoisySuite) -> Compared:
        """Measure without and with a neighbour, in turn."""
        found, options = Compared(), self._options
        for _ in range(options.rounds):
            found.alone.add(self._freshness(options.seconds))
            suite.open(each.names, each.people // _SWAPPED if neighbour.changes_a_second else each.people)
            if not neighbour.is_large:
                suite.until_shown(each.people // _SWAPPED if neighbour.changes_a_second else each.people, _JOIN_S)
            suite.stir(neighbour.changes_a_second, neighbour.reconnect_s)
            with in_trouble(self._site.control, neighbour, each):
                found.beside.add(self._freshness(options.large_seconds if neighbour.is_large else options.seconds))
                if neighbour.is_large and (shown := suite.shown()) < each.people:
                    report.say(f"the large tenant has only {shown} of its users")
            changes, reconnects = suite.close()
            found.changes += changes
            found.reconnects += reconnects
            self._until_forgotten(each)
        report.say(
            f"{neighbour.name}: p50 {found.ratio(0.5):.3f}, p95 {found.ratio(0.95):.3f} times that without; "
            f"event loops busy for {_ms(found.alone)} without, {_ms(found.beside)} beside it"
        )
        return found

    def _freshness(self, seconds: float) -> Freshness:
        """Measure for `seconds`."""
        account = Account(self._site.control, self._users)
        account.begin()
        before = self._taken()
        for child in (*self._relay.children.values(), self._idle):
            child.ask("lateness", timeout_s=_START_S)
        spent, began = cpu_s(self._pids.values()), time.time()
        people = [name for each in self._small for name in each.names]
        loop.run(change_people(self._site, people, self._options.rate, seconds))
        ended, after = time.time(), cpu_s(self._pids.values())
        idle_ms = self._idle.ask("lateness", timeout_s=_START_S).late_ms(0.95)
        time.sleep(2 * _INTERVAL_S)  # until the last changes have been read
        account.follow()
        seen = ages(account.changes, [*before, *self._taken()], time.time())
        late: dict[str, Lateness] = {
            name: child.ask("lateness", timeout_s=_START_S) for name, child in self._relay.children.items()
        }
        return Freshness(
            ages=seen.seen, unseen=seen.unseen + len(seen.waiting), reads=self._reads(began, ended),
            due=(ended - began) / _INTERVAL_S * len(self._small),
            busy_ms={name: max((lag.thread for lag in each.lags), default=0.0) for name, each in late.items()},
            collection_ms={name: each.longest_collection_ms for name, each in late.items()},
            cpu_s={name: after[pid] - spent[pid] for name, pid in self._pids.items()},
            took_s=ended - began,
            idle_ms=idle_ms,
            places=Counter({(name, place): times for name, each in late.items() for place, times in each.places.items()}),
        )  # fmt: skip

    def _taken(self) -> list[Sighting]:
        """Return the states that suites received since the last call, after the earlier ones."""
        before, new = list(self._shown.values()), self._recorder.take()
        self._shown.update((each.user, each) for each in new)
        return [*before, *new]

    def _reads(self, began: float, ended: float) -> int:
        """Return the number of bulk reads of the small tenants that the cloud answered."""
        count = 0
        for each in self._small:
            asked: dict[str, str | float] = {
                "tenant": each.tenant_id,
                "path": PATH,
                "since": began,
                "status": 200,
                "limit": 20_000,
            }
            entries = self._site.control.get("journal", params=asked).raise_for_status().json()["entries"]
            count += sum(entry["utc"] <= ended for entry in entries)
        return count

    def _until_forgotten(self, each: Organisation) -> None:
        """Wait until the worker has dropped a tenant, and late changes have arrived."""
        deadline = time.monotonic() + _FORGET_S
        while left := loop.run(self._left_of(each)):
            if time.monotonic() > deadline:
                raise ChildFailed(f"{left} names of a neighbour are still kept {_FORGET_S:g} s after its suite left")
            time.sleep(1.0)
        time.sleep(_SETTLE_S)

    async def _left_of(self, each: Organisation) -> int:
        async with Store(StoreSettings(url=self._relay.redis_url)) as store:
            return len(await Presences(store).load_directory(each.tenant_id))
