"""Newest unsent value per key, oldest dirty key first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.core.watching.outbox import Outbox

KEYS = st.sampled_from("abcd")
PUTS = st.tuples(st.just("put"), KEYS)
TAKES = st.tuples(st.just("take"), st.integers(1, 5))
DISCARDS = st.tuples(st.just("discard"), KEYS)


@given(st.lists(PUTS | TAKES | DISCARDS))
def test_any_interleaving_takes_the_newest_value_of_each_key_in_the_order_in_which_keys_became_dirty(
    steps: list[tuple[str, Any]],
) -> None:
    outbox: Outbox[str, int] = Outbox()
    expected: dict[str, int] = {}
    for value, (step, argument) in enumerate(steps):
        if step == "put":
            assert outbox.put(argument, value) == (argument in expected)
            expected[argument] = value
        elif step == "discard":
            outbox.discard(argument)
            expected.pop(argument, None)
        else:
            taken = list(expected.items())[:argument]
            assert outbox.take(argument) == taken
            for key, _ in taken:
                del expected[key]
        assert len(outbox) == len(expected)
    assert outbox.take(100) == list(expected.items())


@given(st.lists(st.one_of(KEYS, st.none())))
def test_a_reader_ends_with_the_newest_value_of_every_key_however_it_takes(puts: list[str | None]) -> None:
    outbox: Outbox[str, int] = Outbox()
    shown: dict[str, int] = {}
    newest: dict[str, int] = {}
    for value, key in enumerate(puts):
        if key is None:
            shown.update(outbox.take(1))
        else:
            outbox.put(key, value)
            newest[key] = value
    while len(outbox):
        shown.update(outbox.take(2))
    assert shown == newest


def test_a_replaced_value_keeps_its_place_so_that_none_starves() -> None:
    outbox: Outbox[str, int] = Outbox()
    for value, key in enumerate("aaabca"):
        outbox.put(key, value)
    assert outbox.take(1) == [("a", 5)]
    outbox.put("a", 6)
    assert outbox.take(10) == [("b", 3), ("c", 4), ("a", 6)]


def test_it_holds_one_value_for_a_key_however_many_are_put() -> None:
    outbox: Outbox[str, int] = Outbox()
    for value in range(1000):
        outbox.put("a", value)
    assert len(outbox) == 1


def test_taking_from_an_empty_one_gives_nothing() -> None:
    assert Outbox[str, int]().take(10) == []


def test_clearing_forgets_everything_unsent() -> None:
    outbox: Outbox[str, int] = Outbox()
    outbox.put("a", 1)
    outbox.clear()
    assert outbox.take(10) == []
