"""The rules, from records that are written by hand."""

from __future__ import annotations

import ast
import inspect
import random
from dataclasses import replace

import pytest

from relay.dev.conformance import rules
from relay.dev.conformance.checklist import RESUMING, RULES, judge, passes
from relay.dev.conformance.record import CANCELLED, Episode, SeenCall, SeenStart
from relay.dev.conformance.rules import Judged
from relay.dev.conformance.scenarios import SCENARIOS

NAMES = {"ada@c.example": "id-a", "ben@c.example": "id-b"}


def call(number: int, opened_s: float, ended_s: float | None = None, **fields) -> SeenCall:
    """A stream that was told everything, and resumed unless it is the first."""
    start = SeenStart(subscribed=[*NAMES]) if number == 0 else SeenStart(token=f"t{number - 1}", held=dict(NAMES))
    given = {
        "start": start,
        "told": dict(NAMES),
        "tokens": [(opened_s + 0.1, f"t{number}")],
        "complete_s": opened_s + 0.1,
        "ending": CANCELLED if ended_s else "",
    }
    return SeenCall(number, opened_s, ended_s=ended_s, **(given | fields))


def episode(*calls: SeenCall, scenario: str = "cut", done_s=(10.0,), **fields) -> Episode:
    """What happened at 10 s to a suite with these streams; a stream is on a connection that came with it."""
    given = {"connections": [one.opened_s for one in calls], "ended_s": 60.0, "began_s": 5.0}
    return Episode(scenario=scenario, calls=calls, done_s=done_s, **(given | fields))


def cuts(*waits: float) -> Episode:
    """Breaks every ten seconds, each followed by a stream after a wait."""
    done = [10.0 * (n + 1) for n in range(len(waits))]
    opened = [0.0, *(at + wait for at, wait in zip(done, waits, strict=True))]
    calls = [call(n, at, ended_s=10.0 * (n + 1) if n < len(waits) else None) for n, at in enumerate(opened)]
    return episode(*calls, done_s=done)


RESUMED = episode(call(0, 1.0, 10.0), call(1, 10.3))


def resumed(**start) -> Episode:
    """As RESUMED, with another start of the second stream."""
    given = {"token": "t0", "held": dict(NAMES)}
    return episode(call(0, 1.0, 10.0), call(1, 10.3, start=SeenStart(**(given | start))))


def drained(ending: str = CANCELLED, ended_s: float | None = 12.0, opened_s: float = 11.0) -> Episode:
    """A stream that was asked at 10.1 s to leave within 2 s."""
    first = call(0, 1.0, ended_s, ending=ending, drain_s=10.1, drain_delay_s=2.0)
    return episode(first, call(1, opened_s), scenario="drain")


def gone(*tries: float, window_s: float = 30.0) -> Episode:
    """A relay that was away from 10 s on, and when the suite tried."""
    calls = (call(0, 1.0, 10.0), call(1, 10.0 + window_s + 1))
    return episode(*calls, connections=[1.0, *tries], limit_s=window_s, over_s=10.0 + window_s, scenario="gone")


def old_token() -> Episode:
    """A stream that had been given a newer token long before."""
    first = call(0, 1.0, 10.0, tokens=[(1.1, "old"), (4.0, "t0")])
    return episode(first, call(1, 10.3, start=SeenStart(token="old", held=dict(NAMES))))


def before_the_reset() -> Episode:
    """A token from before a reset at 10 s, after a break at 15 s."""
    first = call(0, 1.0, 15.0, tokens=[(1.1, "t0"), (10.2, "new")])
    return episode(first, call(1, 15.3), done_s=(15.0,), kept_s=(10.0, 15.0), scenario="reset")


def just_given() -> Episode:
    """The same, but the newer one was given at the moment of the break."""
    first = call(0, 1.0, 10.0, tokens=[(1.1, "old"), (9.9, "t0")])
    return episode(first, call(1, 10.3, start=SeenStart(token="old", held=dict(NAMES))))


def renamed(held: dict[str, str], asked: tuple[str, ...] = ()) -> Episode:
    """Ada's name came to stand for somebody else, Ben's for nobody."""
    new = {"ada@c.example": "id-new", "ben@c.example": "UNKNOWN_REASON_NOT_FOUND"}
    after = call(1, 10.3, start=SeenStart(token="t0", held=held, subscribed=[*asked]))
    return episode(call(0, 1.0, 10.0, told=new), after, renamed=new, scenario="rename")


def refused(*opened_s: float) -> Episode:
    """A stream that was refused at 11 s with a wait of 1 s, and what came then."""
    no = call(1, 10.9, 11.0, retry_s=1.0, ending="ERROR_REASON_BUSY", complete_s=None, tokens=[])
    return episode(call(0, 1.0, 10.0), no, *(call(n + 2, at) for n, at in enumerate(opened_s)))


PASSES = [
    (rules.valid_requests, RESUMED),
    (rules.names_users, RESUMED),
    (rules.keeps_requests_open, RESUMED),
    (rules.keeps_requests_open, episode(call(0, 1.0, method="StreamPresence", half_closed_s=1.0))),
    (rules.resumes, RESUMED),
    (rules.resumes, just_given()),
    (rules.holds_users, RESUMED),
    (rules.holds_users, resumed(held={}, token="", subscribed=[*NAMES])),
    (rules.waits, cuts(0.1, 0.4, 0.2, 0.3, 0.05)),
    (rules.waits, cuts(0.01, 0.01, 0.4, 0.01, 0.02)),
    (rules.waits_at_random, cuts(0.1, 0.4, 0.2)),
    (rules.comes_back, RESUMED),
    (rules.obeys_retry_info, refused(12.2)),
    (rules.does_not_hammer, gone(10.2, 11, 13, 17, 25, 39)),
    (rules.does_not_hammer, gone(*(10.2 + n / 3 for n in range(9)), window_s=3.0)),
    (rules.leaves, drained()),
    (rules.moves_in_time, drained()),
    (rules.moves_in_time, drained(ended_s=10.2, opened_s=10.7)),
    (rules.keeps_stream, episode(call(0, 1.0), kept_s=(10.0, 20.0))),
    (rules.keeps_stream, episode(call(0, 1.0, 20.0), call(1, 20.5), kept_s=(10.0, 20.0))),
    (rules.is_patient, RESUMED),
    (rules.follows_names, renamed({"ada@c.example": "id-new", "ben@c.example": "UNKNOWN_REASON_NOT_FOUND"})),
    (rules.follows_names, renamed({}, ("ada@c.example", "ben@c.example"))),
    (rules.notices_silence, RESUMED),
    (rules.stops, episode(call(0, 1.0, 10.0))),
]
FAILS = [
    (rules.valid_requests, episode(call(0, 6.0, 7.0, ending="ERROR_REASON_ACTION_EXPECTED")), "no valid change"),
    (rules.names_users, episode(call(0, 1.0, start=SeenStart())), "no users"),
    (rules.keeps_requests_open, episode(call(0, 1.0, 1.2, half_closed_s=1.2, ending="OK")), "half-closed 0.20 s"),
    (rules.resumes, resumed(token="", subscribed=[*NAMES], held={}), "without a resume token"),
    (rules.resumes, resumed(token="mine"), "never gave"),
    (rules.resumes, old_token(), "old resume token"),
    (rules.resumes, before_the_reset(), "old resume token"),
    (rules.holds_users, resumed(held={}, subscribed=[*NAMES]), "no held users"),
    (rules.holds_users, resumed(held={"ada@c.example": "id-a"}), "no longer requests ben@c.example"),
    (rules.holds_users, resumed(held={**NAMES, "ben@c.example": "id-x"}), "ben@c.example as a different user"),
    (rules.waits, cuts(0.01, 0.02, 0.01, 0.01, 0.03), "at once"),
    (rules.waits_at_random, cuts(1.0, 1.01, 1.0, 1.02, 1.0), "the same"),
    (rules.comes_back, replace(RESUMED, calls=RESUMED.calls[:1], trouble="nobody came"), "nobody came"),
    (rules.obeys_retry_info, refused(11.3), "came back after 0.30 s"),
    (rules.does_not_hammer, gone(*(10.2 + n for n in range(29))), "29 times"),
    (rules.leaves, drained("ERROR_REASON_SHUTDOWN"), "stayed"),
    (rules.leaves, drained("", None), "stayed"),
    (rules.moves_in_time, drained(opened_s=19.0), "after 8.9 s"),
    (rules.keeps_stream, episode(call(0, 1.0), call(1, 11.0), kept_s=(10.0, 20.0)), "opened 1 stream"),
    (rules.is_patient, episode(call(0, 1.0, 10.0), call(1, 10.3, 11.0), call(2, 11.5)), "2 streams"),
    (rules.follows_names, renamed(dict(NAMES)), "ada@c.example now stands for another user"),
    (rules.follows_names, renamed({"ada@c.example": "id-new", "ben@c.example": "id-b"}), "ben@c.example now stands for no user"),
    (rules.follows_names, renamed({"ada@c.example": "id-new"}), "no longer requests"),
    (rules.notices_silence, episode(call(0, 1.0), limit_s=120.0), "within 120 s"),
    (rules.stops, episode(call(0, 1.0, 10.0), call(1, 12.0, 12.1)), "connected 1 time"),
    (rules.stops, episode(call(0, 1.0, 10.0), connections=[1.0, 12.0, 13.0]), "connected 2 times"),
]  # fmt: skip


def _names(cases) -> list[str]:
    return [case[0].__name__ for case in cases]


@pytest.mark.parametrize(("rule", "seen"), PASSES, ids=_names(PASSES))
def test_a_suite_that_does_as_the_guide_says_passes(rule, seen: Episode):
    assert rule(seen).verdict is Judged.PASS, rule(seen).why


@pytest.mark.parametrize(("rule", "seen", "why"), FAILS, ids=_names(FAILS))
def test_a_suite_that_does_not_fails_and_is_told_why(rule, seen: Episode, why: str):
    found = rule(seen)
    assert found.verdict is Judged.FAIL
    assert why in found.why


def test_each_rule_is_asked_in_some_scenario_and_has_a_case_that_passes_and_one_that_fails():
    asked = {rule for of in RULES.values() for rule in of} | {rules.valid_requests}
    public = {
        one
        for name, one in vars(rules).items()
        if inspect.isfunction(one) and not name.startswith("_") and [*inspect.signature(one).parameters] == ["episode"]
    }
    assert asked == public == {rule for rule, _ in PASSES} == {rule for rule, _, _ in FAILS}
    assert set(RULES) == set(SCENARIOS)
    assert all(ast.literal_eval(repr(rule.__doc__)).startswith(("It ", "Its ", "The ")) for rule in asked)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_is_held_against_a_suite_in_a_scenario_that_was_not_played(scenario: str):
    checks = judge(episode(scenario=scenario, done_s=(), trouble="no stream was opened within 75 s"))
    assert {check.verdict for check in checks} == {Judged.UNSEEN}
    assert not passes(checks), "nobody passes by staying away"


def test_a_simple_client_is_not_asked_to_resume():
    seen = resumed(token="", held={}, subscribed=[*NAMES])
    assert Judged.FAIL in {check.verdict for check in judge(seen)}
    rest = judge(seen, simple=True)
    assert Judged.FAIL not in {check.verdict for check in rest}
    assert len(rest) == len(judge(seen)) - len(RESUMING)


@pytest.mark.parametrize("window_s", [3.0, 30.0, 300.0])
def test_a_suite_that_tries_four_times_a_second_is_told_so(window_s: float):
    steady = [10.1 + n / 4 for n in range(int(window_s * 4) - 1)]
    assert rules.does_not_hammer(gone(*steady, window_s=window_s)).verdict is Judged.FAIL


def test_chance_fails_hardly_any_suite_that_waits_as_the_guide_says():
    chance, failed, runs = random.Random(16), 0, 2_000

    def fails(rule, seen: Episode) -> bool:
        return rule(seen).verdict is Judged.FAIL

    for _ in range(runs):
        tries, wait = [10.0], 0.5
        while tries[-1] < 40.0:
            tries.append(tries[-1] + chance.uniform(0, wait) + 0.001)
            wait = min(30.0, 2 * wait)
        breaks = cuts(*(chance.uniform(0, 0.5) for _ in range(5)))
        failed += fails(rules.does_not_hammer, gone(*tries[1:-1]))
        failed += fails(rules.waits, breaks) or fails(rules.waits_at_random, breaks)
    assert failed <= runs * 0.003
