"""The rule over what suites saw finds a step backwards, and nothing else."""

from __future__ import annotations

from tests.soak.views import Claim, Seen, Truth, backwards, stale_as_fresh

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


def claim(contact: float, shown: tuple[str, str]) -> Claim:
    return Claim(contact + 1, "console", contact, 5.0, {"ada": shown})


def test_what_was_over_for_longer_than_an_interval_before_the_contact_time_is_no_longer_fresh():
    truth = {"ada": [Truth(*BUSY, "1", since=0.0), Truth(*AWAY, "2", since=100.0)]}
    assert stale_as_fresh(truth, [claim(104.0, BUSY), claim(300.0, AWAY), claim(50.0, BUSY)], slack_s=1.0) == []
    found = stale_as_fresh(truth, [claim(107.0, BUSY)], slack_s=1.0)
    assert len(found) == 1
    assert "console: at 108.00 ada is shown as ('Busy', 'InACall'), over since 100.00" in found[0]


def test_a_presence_that_came_back_is_fresh():
    truth = {"ada": [Truth(*BUSY, "1"), Truth(*AWAY, "2", since=100.0), Truth(*BUSY, "3", since=200.0)]}
    assert stale_as_fresh(truth, [claim(300.0, BUSY)], slack_s=1.0) == []
    assert len(stale_as_fresh(truth, [claim(300.0, AWAY)], slack_s=1.0)) == 1
