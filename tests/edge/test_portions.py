"""Changes of a large tenant are handed out in portions, and leave others their turn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.edge.hub.portions import portions
from tests.edge.suite import SuiteStream
from tests.edge.worker import PlayedWorker, user
from tests.support.passes import watched_passes

READS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)))
"""(partition, work of an entry)."""


def same(work: int) -> int:
    return work


@given(READS, st.integers(1, 50))
def test_every_entry_is_in_one_portion_and_in_its_partitions_order(read: list[tuple[int, int]], most: int) -> None:
    given_out = [pair for portion in portions(read, same, most) for pair in portion]
    for number in range(5):
        assert [pair for pair in given_out if pair[0] == number] == [pair for pair in read if pair[0] == number]


@given(READS, st.integers(1, 50))
def test_a_portion_is_no_more_work_than_allowed_unless_it_is_one_entry(read: list[tuple[int, int]], most: int) -> None:
    for portion in portions(read, same, most):
        assert len(portion) <= 1 or sum(work for _, work in portion) <= most


@given(READS, st.integers(1, 50))
def test_no_partition_waits_for_one_with_more_work(read: list[tuple[int, int]], most: int) -> None:
    total, last = Counter[int](), defaultdict[int, int](int)
    for number, work in read:
        total[number] += work
    out = list(portions(read, same, most))
    for place, portion in enumerate(out):
        last.update((number, place) for number, _ in portion)
    first = {number: place for place, portion in reversed(list(enumerate(out))) for number, _ in portion}
    for small in total:
        for large in total:
            if total[small] < total[large] and sum(total.values()) > most:
                assert last[small] <= first[large]


async def test_a_pass_of_the_event_loop_hands_out_no_more_than_a_portion(
    start_edge: Callable[..., Any], connect: Callable[..., Any], worker: PlayedWorker, key: str
) -> None:
    edge = await start_edge(deliveries_at_once=10, read_pause=timedelta(seconds=1))
    names = await worker.users(10)
    async with SuiteStream(await connect(edge), key) as suite:
        await suite.open(*names).ready()
        await worker.found({user(0): "before"})
        await suite.shows({user(0): "before"})
        with watched_passes() as passes:
            for turn in range(20):  # while the edge pauses
                await worker.found({user(n): f"{turn}-{n}" for n in range(10)})
            await suite.shows({user(n): f"19-{n}" for n in range(10)})
    assert passes.most["Watch.on_answers"] == 1
