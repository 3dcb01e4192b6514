"""WantedNames names: an edge's interest, and the linger after it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import Name
from relay.core.watching.wanted import WantedNames

ADA, BEN = Name("ada@x.example"), Name("ben@x.example")


def test_a_name_that_two_edges_want_is_new_once():
    wanted = WantedNames(10, most=1000)
    assert wanted.add("e1", [ADA]) == [ADA]
    assert wanted.add("e2", [ADA]) == []
    assert wanted.watchers(ADA) == 2


def test_a_name_lingers_after_the_last_edge_let_it_go():
    wanted = WantedNames(10, most=1000)
    wanted.add("e1", [ADA])
    wanted.remove("e1", [ADA], now=100)
    assert ADA in wanted
    assert wanted.forget_due(109.9) == []
    assert wanted.forget_due(110) == [ADA]
    assert ADA not in wanted


def test_who_comes_back_in_time_costs_nothing():
    wanted = WantedNames(10, most=1000)
    wanted.add("e1", [ADA])
    wanted.remove("e1", [ADA], now=100)
    assert wanted.add("e1", [ADA]) == []
    assert wanted.forget_due(1000) == []


def test_replacing_an_edges_names_lets_go_of_the_others():
    wanted = WantedNames(10, most=1000)
    wanted.add("e1", [ADA])
    assert wanted.replace("e1", {BEN}, now=0) == [BEN]
    assert wanted.forget_due(10) == [ADA]
    assert wanted.edges == {"e1"}


def test_names_that_an_earlier_owner_left_linger():
    wanted = WantedNames(10, most=1000)
    wanted.add("e1", [ADA])
    wanted.linger([ADA, BEN], now=0)
    assert wanted.forget_due(10) == [BEN]


names = st.lists(st.sampled_from([Name(f"{letter}@x.example") for letter in "abcde"]), max_size=5)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "replace"]), st.sampled_from(["e1", "e2"]), names), max_size=40
)


@given(steps)
def test_what_any_edge_wants_is_wanted_and_nothing_else_after_the_linger(history: list[tuple[str, str, list[Name]]]):
    wanted = WantedNames(10, most=1000)
    truth: dict[str, set[Name]] = {"e1": set(), "e2": set()}
    for now, (step, edge, some) in enumerate(history):
        if step == "add":
            wanted.add(edge, some)
            truth[edge] |= set(some)
        elif step == "remove":
            wanted.remove(edge, some, now)
            truth[edge] -= set(some)
        else:
            wanted.replace(edge, some, now)
            truth[edge] = set(some)
    wanted.forget_due(10_000)
    everybody = truth["e1"] | truth["e2"]
    assert len(wanted) == len(everybody)
    assert all(wanted.watchers(name) == (name in truth["e1"]) + (name in truth["e2"]) for name in everybody)


def test_names_that_stand_for_nobody_linger_briefly():
    wanted = WantedNames(300, most=1000, brief_s=10, is_nobody=lambda name: name == BEN)
    wanted.add("e1", [ADA, BEN])
    wanted.remove("e1", [ADA, BEN], now=0)
    assert wanted.next_due() == 10
    assert wanted.forget_due(10) == [BEN]
    assert wanted.forget_due(299) == []
    assert wanted.forget_due(300) == [ADA]


def test_beyond_the_most_the_oldest_lingering_names_are_forgotten_at_once():
    wanted = WantedNames(300, most=5)
    names = [Name(f"u{n}") for n in range(20)]
    for now, name in enumerate(names):
        wanted.add("e1", [name])
        wanted.remove("e1", [name], now)
        assert len(wanted) <= 5
    assert wanted.is_over
    assert wanted.forget_due(20) == names[:15]
    wanted.add("e1", names)  # those who are watched are never forgotten for it
    assert len(wanted) == 20
    assert wanted.forget_due(20) == []


def test_what_was_too_much_and_is_wanted_again_is_not_forgotten():
    wanted = WantedNames(300, most=1)
    wanted.add("e1", [ADA, BEN])
    wanted.remove("e1", [ADA, BEN], now=0)
    assert ADA not in wanted
    assert wanted.add("e1", [ADA]) == [ADA]
    assert wanted.forget_due(1) == [BEN]


def test_due_names_are_told_in_portions():
    wanted = WantedNames(10, most=1000)
    names = [Name(f"u{n}") for n in range(25)]
    wanted.add("e1", names)
    wanted.remove("e1", names, now=0)
    assert [len(wanted.forget_due(10, 10)) for _ in range(4)] == [10, 10, 5, 0]
