"""The rules over subscriptions find what breaks them, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.lives import Life, Read, in_two_at_once, left, life_of, reads_of, two_at_once, unread, unrenewed

ADA, BEN = "aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002"
MINUTE = 60.0


def life(
    name: str,
    begin: float,
    end: float | None,
    *renewals: float,
    users: tuple[str, ...] = (ADA, BEN),
    account: str = "x",
) -> Life:
    """Times in minutes; the world goes at the speed of life."""
    return Life(
        id=name,
        grant=("contoso", "app", account),
        users=frozenset(users),
        created_s=begin * MINUTE,
        ended_s=None if end is None else end * MINUTE,
        how="" if end is None else "deleted",
        renewed_s=tuple(at * MINUTE for at in (begin, *renewals)),
        created_utc=begin * MINUTE,
        ended_utc=None if end is None else end * MINUTE,
    )


def test_one_after_the_other_is_fine_and_two_at_once_are_found():
    first, second = life("1", 0, 10), life("2", 10, None)
    assert two_at_once([second, first]) == []
    assert two_at_once([first, replace(second, created_s=9 * MINUTE)]) == ["2 began at 540.0 while 1 was live"]
    assert two_at_once([replace(first, ended_s=None), second]) == ["2 began at 600.0 while 1 was live"]
    assert two_at_once([first, life("2", 5, None, account="y")]) == []


def test_a_user_who_is_in_two_at_once_is_found():
    first = life("1", 0, 10)
    assert in_two_at_once([first, life("2", 10, None, account="y")]) == []
    assert in_two_at_once([first, life("2", 5, None, account="y", users=(BEN,))]) == ["1 users are in 1 and in 2"]
    assert in_two_at_once([life("1", 0, None), life("2", 5, None, account="y", users=())]) == []


def test_one_that_is_renewed_in_time_is_fine_and_a_gap_of_more_than_45_minutes_is_found():
    assert unrenewed([life("1", 0, None, 30, 60)], 100 * MINUTE) == []
    assert unrenewed([life("1", 0, 46)], 200 * MINUTE) == ["1 was not renewed for 46.0 minutes from 0.0 on"]
    assert unrenewed([life("1", 0, None, 30)], 76 * MINUTE) == ["1 was not renewed for 46.0 minutes from 1800.0 on"]
    assert unrenewed([life("1", 0, None, 30, 77)], 80 * MINUTE) == ["1 was not renewed for 47.0 minutes from 1800.0 on"]


def test_time_in_which_nobody_could_renew_does_not_count():
    late = life("1", 0, None, 50)
    assert len(unrenewed([late], 60 * MINUTE)) == 1
    assert unrenewed([late], 60 * MINUTE, excused=[(10 * MINUTE, 16 * MINUTE)]) == []
    assert len(unrenewed([late], 60 * MINUTE, excused=[(10 * MINUTE, 14 * MINUTE)])) == 1
    assert len(unrenewed([late], 60 * MINUTE, excused=[(51 * MINUTE, 59 * MINUTE)])) == 1


def test_one_that_is_left_behind_is_found():
    assert left([life("1", 0, 10)], "contoso", 11 * MINUTE) == []
    assert left([life("1", 0, None)], "fabrikam", 11 * MINUTE) == []
    assert left([life("1", 0, None)], "contoso", 11 * MINUTE) == ["1 is still live at 660.0"]
    assert left([life("1", 0, 12)], "contoso", 11 * MINUTE) == ["1 is still live at 660.0"]


def test_users_who_are_not_read_after_a_move_are_found():
    moved = [life("1", 0, 10), life("2", 10, None)]
    both, one = frozenset({ADA, BEN}), frozenset({ADA})
    well = [Read(1.0, both), Read(601.0, one), Read(602.0, both)]
    assert unread(moved, well, within_s=5, now=700) == []
    assert unread(moved, well[:2], within_s=5, now=700) == [
        "1 users of 1 were not read after it was deleted",
        "1 users of 2 were not read after it was made",
    ]
    assert unread(moved, well[:1], within_s=5, now=602) == []  # there is time yet
    late = [Read(1.0, both), Read(607.0, both)]
    assert len(unread(moved, late, within_s=5, now=700)) == 2


def test_one_that_ended_before_its_users_could_be_read_is_judged_by_its_end():
    brief = [replace(life("1", 0, None), ended_s=2.0, ended_utc=2.0, how="expired")]
    assert unread(brief, [], within_s=5, now=700) == []


def test_subscriptions_and_reads_are_taken_from_what_the_cloud_tells():
    raw = {
        "id": "1",
        "tenant": "contoso",
        "app": "app",
        "creator": "x",
        "resource": f"communications/presences?$filter=id in ('{ADA}','{BEN.upper()}')",
        "created_s": 5.0,
        "ended_s": 9.0,
        "events": [
            {"what": "created", "at_s": 5.0, "utc": 105.0},
            {"what": "renewed", "at_s": 7.0, "utc": 107.0},
            {"what": "ghost", "at_s": 9.0, "utc": 109.0},
        ],
    }
    found = life_of(raw)
    assert found.users == {ADA, BEN}
    assert (found.renewed_s, found.how, found.created_utc, found.ended_utc) == ((5.0, 7.0), "ghost", 105.0, 109.0)
    path = "/v1.0/communications/getPresencesByUserId"
    entries = [
        {"path": path, "status": 200, "ids": [ADA], "utc": 1.0},
        {"path": path, "status": 429, "ids": [ADA], "utc": 2.0},
        {"path": "/v1.0/me", "status": 200, "ids": None, "utc": 3.0},
    ]
    assert reads_of(entries) == [Read(1.0, frozenset({ADA}))]
