"""The rule over what suites saw finds a step backwards, and nothing else."""

from __future__ import annotations

from tests.soak.views import Seen, Truth, backwards

BUSY, AWAY = ("Busy", "InACall"), ("Away", "Away")


def history(*shown: tuple[str, str]) -> dict[str, list[Truth]]:
    return {"ada": [Truth(*each, number=str(number)) for number, each in enumerate(shown)]}


def seen(*shown: tuple[str, ...], suite: str = "console") -> list[Seen]:
    return [Seen(0.0, suite, "ada", *each) for each in shown]


def test_all_or_some_of_what_was_in_its_order_is_fine():
    truth = history(BUSY, AWAY, ("Available", "Available"))
    assert backwards(truth, seen(BUSY, AWAY)) == []
    assert backwards(truth, seen(BUSY, ("Available", "Available"))) == []
    assert backwards(truth, seen(AWAY, AWAY)) == []  # told again when a stream begins anew


def test_an_older_presence_after_a_newer_one_is_found():
    found = backwards(history(BUSY, AWAY), seen(AWAY, BUSY))
    assert found == ["console: ada goes backwards to Busy/InACall "]


def test_a_presence_that_comes_back_is_told_by_its_number_where_there_is_one():
    truth = history(BUSY, AWAY, BUSY)
    assert backwards(truth, seen(BUSY, AWAY, BUSY)) == []
    assert backwards(truth, seen((*BUSY, "0"), (*AWAY, "1"), (*BUSY, "2"))) == []
    assert len(backwards(truth, seen((*BUSY, "2"), (*AWAY, "1")))) == 1
    assert len(backwards(truth, seen(BUSY, AWAY, BUSY, AWAY))) == 1


def test_each_suite_is_judged_for_itself():
    truth = history(BUSY, AWAY)
    assert backwards(truth, [*seen(AWAY, suite="one"), *seen(BUSY, suite="two")]) == []


def test_what_never_was_is_found():
    assert backwards(history(BUSY), seen(AWAY)) == ["console: ada is shown what never was: Away/Away "]
