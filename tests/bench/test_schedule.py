"""The schedule of the fan-out: both sides get the same."""

from __future__ import annotations

import pytest

from bench.fanout.schedule import MEASURED, USERS, Items, Point, changes

POINTS = [
    Point(tenants=100, suites=5, rate=100_000),
    Point(tenants=20, suites=10, rate=100_000, pages=True),
    Point(tenants=3, suites=2, rate=70),
]


def flat(point: Point, gather_s: float = 0.0) -> list[tuple[int, int, float]]:
    return [
        (each.tenant, user, due) for each in changes(point, 1, range(point.tenants), gather_s) for user, due in each.due
    ]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_gathering_changes_nothing_but_when_they_are_dealt_with(point: Point):
    assert sorted(flat(point)) == sorted(flat(point, 0.05))


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_as_many_deliveries_come_as_are_expected(point: Point):
    assert len(flat(point)) * point.suites == point.deliveries(1) == pytest.approx(point.rate, rel=0.1)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_nothing_is_dealt_with_before_it_happened_or_long_after(point: Point):
    for each in changes(point, 1, range(point.tenants), 0.05):
        assert all(0 <= each.after_s - due <= 0.05 + point.period_s for _, due in each.due)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_no_user_changes_twice_within_the_time_that_answers_are_gathered(point: Point):
    last: dict[tuple[int, int], float] = {}
    for tenant, user, due in flat(point):
        assert due - last.get((tenant, user), -1.0) > 0.5
        last[tenant, user] = due


def test_each_item_carries_its_stamp_once():
    items = Items()
    for user in (0, USERS - 1):
        assert items.item(user, MEASURED, 123).count(f"{MEASURED}{123:019d}".encode()) == 1
