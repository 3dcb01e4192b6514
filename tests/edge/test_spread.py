"""Streams spread: over the time of a drain, and over new edges by their age. By the rules alone, without a clock."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from datetime import timedelta

import pytest

from relay.edge.settings import EdgeSettings
from relay.edge.stream.clocks import LEAST_DRAIN_S, Clocks, DrainReason, Due

SETTINGS = EdgeSettings(blocked_write=timedelta(days=1), progress_default=timedelta(days=1))
AGE_S = SETTINGS.max_stream_age.total_seconds()
STREAMS = 2_000


@pytest.fixture(autouse=True)
def _looks_only_when_anything_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each stream is looked at every five seconds of its hour."""
    monkeypatch.setattr("relay.edge.stream.clocks._BEAT_S", math.inf)


def next_due(clocks: Clocks, now: float, *but: Due) -> tuple[float, Due]:
    """The next time at which anything is due on a stream that is well, and what it is."""
    while True:
        now = clocks.next_after(now)
        due = clocks.due(now, has_started=True, writing_since=0)
        if due not in (Due.NOTHING, *but):
            return now, due


def test_suites_of_an_edge_that_stops_leave_evenly_over_the_time_of_the_drain() -> None:
    delays = []
    for _ in range(STREAMS):
        clocks = Clocks(SETTINGS)
        clocks.begin(0.0, None)
        clocks.shut_down(after=100.0, leave_by=110.0)
        at, due = next_due(clocks, 99.0)
        told = clocks.leave(at, due)
        assert told is not None
        delay_s, reason = told
        assert (at, reason) == (100.0, DrainReason.REASON_SHUTDOWN)
        assert next_due(clocks, at, Due.LEAVE_SHUTDOWN) == (pytest.approx(at + delay_s), Due.END_SHUTDOWN)
        delays.append(delay_s)
    assert min(delays) >= LEAST_DRAIN_S
    assert max(delays) <= 10.0
    in_each_second = Counter(int(delay_s) for delay_s in delays)
    assert all(0.05 * STREAMS < in_each_second[second] < 0.15 * STREAMS for second in range(10))


def test_streams_that_began_together_have_spread_over_new_edges_after_one_age() -> None:
    """All at one edge, as after the end of the others; then there are four, and a balancer that chooses at random."""
    at: dict[int, int] = dict.fromkeys(range(STREAMS), 0)
    moves: list[float] = []
    order = itertools.count()
    queue: list[tuple[float, int, int, Clocks]] = []

    def begin(stream: int, now: float) -> None:
        clocks = Clocks(SETTINGS)
        clocks.begin(now, None)
        leaves_at, due = next_due(clocks, now)
        assert due is Due.LEAVE_REBALANCE
        heapq.heappush(queue, (leaves_at, next(order), stream, clocks))

    for stream in at:
        begin(stream, 0.0)
    until = 1.1 * AGE_S + SETTINGS.drain_delay.total_seconds()
    while queue[0][0] <= until:
        now, _, stream, clocks = heapq.heappop(queue)
        told = clocks.leave(now, Due.LEAVE_REBALANCE)
        assert told is not None
        moves.append(now)
        at[stream] = random.randrange(4)
        begin(stream, now + told[0])
    assert len(moves) == STREAMS, "each has moved once, and none twice"
    shares = Counter(at.values())
    assert all(0.2 * STREAMS < shares[edge] < 0.3 * STREAMS for edge in range(4))
    # An age is an hour, give or take a tenth: twelve minutes for all to move, none of which has more than its share.
    assert min(moves) >= 0.9 * AGE_S
    in_each_minute = Counter(int(moved // 60) for moved in moves)
    assert max(in_each_minute.values()) < 1.5 * STREAMS / 12
