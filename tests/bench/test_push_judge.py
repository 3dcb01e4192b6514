"""What suites were shown beside what was so: the arithmetic of the benchmarks of notifications."""

from __future__ import annotations

import pytest

from bench.push.cloud import live_at_once, longest_unrenewed_s
from bench.push.judge import Sighting, ages, round_robin

FREE, BUSY = ("Available", "Available"), ("Busy", "InACall")


def ada(at: float, state: tuple[str, str]) -> Sighting:
    return Sighting(at, "ada", state)


def test_a_change_is_as_old_as_it_was_when_it_was_shown():
    found = ages([ada(10, BUSY), ada(20, FREE)], [ada(1, FREE), ada(12, BUSY), ada(21, FREE)], 30)
    assert found.seen == [2, 1]
    assert (found.unseen, found.waiting, found.longest) == (0, [], 2)


def test_a_change_that_was_over_before_it_was_shown_is_counted():
    found = ages([ada(10, BUSY), ada(20, FREE)], [ada(1, FREE), ada(25, BUSY), ada(26, FREE)], 30)
    assert found.unseen == 1


def test_nothing_is_to_be_shown_of_a_change_back_to_what_is_shown():
    found = ages([ada(10, BUSY), ada(20, FREE)], [ada(1, FREE)], 300)
    assert (found.seen, found.unseen, found.waiting) == ([], 1, [])


def test_a_last_change_that_is_not_shown_waits_until_the_end():
    found = ages([ada(10, BUSY)], [ada(1, FREE), Sighting(11, "ben", BUSY)], 300)
    assert (found.waiting, found.longest) == ([290], 290)


def test_reads_that_go_round_see_a_change_at_the_users_next_turn():
    changes = [ada(10, BUSY), Sighting(10, "ben", BUSY), ada(25, FREE), ada(26, BUSY)]
    found = round_robin(changes, ["ada", "ben"], 1, 20, 100)  # she is read at 20 and 40, he at 10 and 30
    assert found.seen == [10, 0]
    assert found.unseen == 1


def life(creator: str, created: float, ended: float | None, *renewed: float) -> dict[str, object]:
    events = [{"what": "renewed", "at_s": at} for at in renewed]
    return {"creator": creator, "created_s": created, "ended_s": ended, "events": events}


@pytest.mark.parametrize(
    ("lives", "most"),
    [
        ([life("a", 0, 10), life("a", 10, None)], 1),
        ([life("a", 0, 11), life("a", 10, None)], 2),
        ([life("a", 0, None), life("b", 0, None)], 1),
        ([], 0),
    ],
)
def test_live_subscriptions_of_one_account_are_counted_at_each_instant(lives: list[dict[str, object]], most: int):
    assert live_at_once(lives) == most


def test_the_longest_time_without_renewal_is_found():
    assert longest_unrenewed_s([life("a", 0, 100, 30, 90), life("b", 50, None, 80)], 120) == 60
