"""Notifications that are lost for hours, and notifications that stop without notice."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench import report
from bench.load.rig import cloud, relay_beside
from bench.load.world import CLIENT_ID, Organisation
from bench.push.cloud import PATIENT, RENEWED_WITHIN_S, UNHURRIED, Account, live_at_once, longest_unrenewed_s
from bench.push.judge import ages
from bench.push.latency import until_covered
from bench.push.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.load.rig import Site
    from bench.push.judge import Ages, Sighting

SCENES: Final = ("loss", "silence")
RECONCILE_S: Final = 60.0
FOUND_WITHIN_S: Final = 240.0
FULL_RATE_S: Final = 5.0
_START_S: Final = 3600.0
_FOLLOW_S: Final = 300.0
_LOOK_S: Final = 1.0
_PAGE: Final = 650


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleOptions:
    """The options of the push-trouble benchmark.

    Attributes:
        people, grants: people and grants of the tenant.
        scenes: the scenes to run.
        hours: duration of the loss.
        loss: share of lost notifications.
        allowed_s: time until a change is shown, in addition to the interval in force.
    """

    people: int = 2000
    grants: int = 4
    scenes: tuple[str, ...] = SCENES
    hours: float = 8.0
    loss: float = 0.05
    allowed_s: float = 1.0


@dataclass(frozen=True, slots=True)
class _Scene:
    site: Site
    account: Account
    suites: Recorder
    before: list[Sighting]
    subscriptions: int
    known: frozenset[str]
    """Ids of the subscriptions that were created at the start, before all users were known."""

    def ages(self) -> Ages:
        """Return the ages of changes when they were shown, until now."""
        self.account.follow()
        return ages(self.account.changes, [*self.before, *self.suites.take()], time.time())


def run(options: TroubleOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("push-trouble")
    if "loss" in options.scenes:
        with _scene(options) as scene:
            _lose(scene, options, verdict)
    if "silence" in options.scenes:
        with _scene(options) as scene:
            _fall_silent(scene, verdict)
    return verdict.say()


@contextmanager
def _scene(options: TroubleOptions) -> Iterator[_Scene]:
    """Run a tenant whose people live a day, and a relay that gets notifications of their changes."""
    world = [Organisation(0, options.people, options.grants)]
    with ExitStack() as stack:
        site = stack.enter_context(cloud(world, "--day", notification_sequence_numbers=True, **PATIENT))
        relay = stack.enter_context(relay_beside(site, push=True, apart=True, groups=UNHURRIED))
        suites = stack.enter_context(Recorder(relay, [world[0].names]))
        account = Account(site.control, {user for each in world for user in each.users})
        suites.until_all_are_shown(options.people, _START_S)
        subscriptions = -(-options.people // _PAGE)
        until_covered(account, options.people, timeout_s=_START_S)
        account.begin()
        known = frozenset(life["id"] for life in account.subscriptions(CLIENT_ID))
        yield _Scene(site, account, suites, suites.take(), subscriptions, known)


def _lose(scene: _Scene, options: TroubleOptions, verdict: report.Verdict) -> None:
    _fault(scene, kind="loss", probability=options.loss)
    began = time.time()
    while (left := began + options.hours * 3600 - time.time()) > 0:
        time.sleep(min(left, _FOLLOW_S))
        scene.account.follow()
        report.say(f"{(time.time() - began) / 3600:.2f} h: {len(scene.account.changes):,} changes")
    found = scene.ages()
    counts = scene.site.control.get("notifications").raise_for_status().json()["counts"]
    lives = scene.account.subscriptions(CLIENT_ID)
    made = sum(life["id"] not in scene.known for life in lives)
    unrenewed_s = longest_unrenewed_s(lives, scene.account.now_s())
    limit_s = RECONCILE_S + options.allowed_s
    report.table(
        f"{options.loss:.0%} of the notifications lost for {options.hours:g} hours",
        ["changes", "announced", "lost", "requests", "median s", "p99 s", "longest s", "over before seen", "made anew"],
        [[
            len(scene.account.changes), counts["announced"], counts["lost"], sum(scene.account.of(CLIENT_ID).values()),
            found.at(0.5), found.at(0.99), found.longest, found.unseen, made,
        ]],
    )  # fmt: skip
    verdict.ratios |= {"loss: longest s": round(found.longest, 2), "loss: subscriptions made anew": made}
    verdict.must |= {
        "loss: no subscription made anew": not made,
        f"loss: every change that lasts is shown within {limit_s:g} s": found.longest <= limit_s,
        "loss: one live subscription for a grant": live_at_once(lives) <= 1,
        "loss: none unrenewed for 45 minutes": unrenewed_s <= RENEWED_WITHIN_S,
    }


def _fall_silent(scene: _Scene, verdict: report.Verdict) -> None:
    """Silence one of the subscriptions until it is replaced."""
    victim = scene.account.subscriptions(CLIENT_ID)[0]
    _fault(scene, kind="silence", subscription=victim["id"])
    began = time.time()
    found_s = _until(lambda: _life(scene, victim["id"])["ended_s"] is not None, began, 2 * FOUND_WITHIN_S)
    healed_s = _until(lambda: len(_live(scene)) == scene.subscriptions, began, 4 * FOUND_WITHIN_S)
    time.sleep(_FOLLOW_S)
    found = scene.ages()
    report.table(
        "one subscription falls silent", ["found after s", "healed after s", "longest s of a change"],
        [[found_s, healed_s, found.longest]],
    )  # fmt: skip
    verdict.ratios |= {"silence: found after s": round(found_s, 1), "silence: healed after s": round(healed_s, 1)}
    verdict.must |= {
        f"silence: found within {FOUND_WITHIN_S:g} s": found_s <= FOUND_WITHIN_S,
        "silence: healed": len(_live(scene)) == scene.subscriptions,
        "silence: one live subscription for a grant": live_at_once(scene.account.subscriptions(CLIENT_ID)) <= 1,
        f"silence: no change is unseen for {RECONCILE_S + 1:g} s": found.longest <= RECONCILE_S + 1,
    }


def _fault(scene: _Scene, **fault: Any) -> None:
    scene.site.control.post("notifications/faults", json=fault).raise_for_status()


def _life(scene: _Scene, subscription_id: str) -> dict[str, Any]:
    return next(life for life in scene.account.subscriptions(CLIENT_ID) if life["id"] == subscription_id)


def _live(scene: _Scene) -> list[dict[str, Any]]:
    return [life for life in scene.account.subscriptions(CLIENT_ID) if life["ended_s"] is None]


def _until(holds: Callable[[], bool], began: float, most_s: float) -> float:
    """Return the seconds from `began` until the condition holds; `most_s` if it did not hold by then."""
    while not holds():
        if time.time() - began > most_s:
            return most_s
        time.sleep(_LOOK_S)
    return time.time() - began
