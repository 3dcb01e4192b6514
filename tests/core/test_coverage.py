"""Who goes into which subscription: the weightiest, and as few moves as can be."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.core.presence import UserId
from relay.core.push.coverage import WORTH_A_MOVE, Rates, assign_users, weight
from relay.core.push.subscription import MAX_USERS


def users(count: int, prefix: str = "u") -> list[UserId]:
    return [UserId(f"{prefix}{number:04}") for number in range(count)]


def even(members: list[UserId]) -> dict[UserId, float]:
    return dict.fromkeys(members, 1.0)


def test_a_small_tenant_is_covered_whole():
    assert set(assign_users(even(users(40)), {"a": ()})["a"]) == set(users(40))


def test_650_fit_into_one_and_the_weightiest_go_first():
    weights = {user: float(number) for number, user in enumerate(users(2000))}
    chosen = assign_users(weights, {"a": ()})["a"]
    assert set(chosen) == set(users(2000)[-MAX_USERS:])


def test_a_second_grant_adds_as_many_and_moves_nobody():
    first = assign_users(even(users(2000)), {"a": ()})
    both = assign_users(even(users(2000)), {"a": first["a"], "b": ()})
    assert both["a"] == first["a"]
    assert len(both["b"]) == MAX_USERS
    assert not set(both["a"]) & set(both["b"])


def test_who_is_watched_no_longer_makes_room_and_moves_nobody_else():
    inside = assign_users(even(users(10)), {"a": ()}, 10)["a"]
    assert set(assign_users(even(users(10)[3:]), {"a": inside}, 10)["a"]) == set(users(10)[3:])
    filled = assign_users(even([*users(10)[3:], *users(5, "new")]), {"a": inside}, 10)["a"]
    assert set(users(10)[3:]) <= set(filled)
    assert len(filled) == 10


def test_only_who_is_worth_much_more_takes_somebodys_place():
    weights = even(users(10))
    inside = {"a": tuple(users(10))}
    slightly = {**weights, UserId("x"): WORTH_A_MOVE * 0.9}
    assert assign_users(slightly, inside, 10)["a"] == tuple(users(10))
    much = {**weights, UserId("x"): WORTH_A_MOVE * 1.1, UserId("u0004"): 0.5}
    chosen = assign_users(much, inside, 10)["a"]
    assert set(chosen) == {*users(10), UserId("x")} - {UserId("u0004")}


def test_those_who_come_first_are_filled_first():
    chosen = assign_users(even(users(12)), {"new": (), "old": tuple(users(4))}, 8)
    assert set(chosen["old"]) == set(users(4))
    assert set(chosen["new"]) == set(users(12)[4:])


@given(
    st.dictionaries(st.integers(0, 40), st.floats(0.01, 100), max_size=40),
    st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=3),
    st.integers(1, 12),
)
@settings(max_examples=2 * settings.default.max_examples)
def test_nobody_is_in_two_and_nobody_who_stays_worth_it_is_moved(weighing, members, size):
    weights = {UserId(str(user)): value for user, value in weighing.items()}
    inside = {str(n): tuple(dict.fromkeys(UserId(str(user)) for user in some)) for n, some in enumerate(members)}
    chosen = assign_users(weights, inside, size)
    placed = [user for some in chosen.values() for user in some]
    assert len(placed) == len(set(placed)) == min(len(weights), size * len(inside))
    assert set(placed) <= weights.keys()
    assert all(len(some) <= size for some in chosen.values())
    # Choosing again with nothing changed changes nothing.
    assert assign_users(weights, chosen, size) == chosen


def test_who_is_watched_by_more_or_changes_more_weighs_more():
    assert weight(2, 1.0) > weight(1, 1.0)
    assert weight(1, 2.0) > weight(1, 1.0)
    assert weight(0, 0.0) > 0


def test_changes_of_long_ago_count_less():
    rates = Rates()
    rates.changed([UserId("a"), UserId("a")], 0.0)
    assert rates.of(UserId("a"), 0.0) == 2.0
    assert rates.of(UserId("a"), 3600.0) == 1.0
    rates.forget([UserId("a")])
    assert rates.of(UserId("a"), 3600.0) == 0.0
