"""Broken HTTP/2 from a grammar, in plain text and over TLS: the edge lives, stays small, serves others, and tells no traceback."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from random import Random

import pytest

from tests.abuse.edge_process import EdgeProcess
from tests.abuse.http2 import peer
from tests.abuse.http2_grammar import conversation

pytestmark = pytest.mark.long

MIB = 1024 * 1024
GROWTH = 96 * MIB
"""What gRPC keeps for a moment of a few connections at once; see `docs/limits.md` on what it leaves open."""
_AT_ONCE = 20
_WITHIN_S = 1.0
"""In which others are served; asserted by the long run only."""


async def send(edge: EdgeProcess, seed: int) -> None:
    """One connection's bytes, in pieces of any size; some wait for what comes, some go at once."""
    random = Random(seed)
    text, pieces = conversation(random), random.choice([1, 1, 3, 20])
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(5), peer(edge.port, greet=False, tls=edge.tls) as one:
            if random.random() < 0.7:
                one.listen()
            size = len(text) // pieces + 1
            for at in range(0, len(text), size):
                if not await one.flood(text[at : at + size]):
                    return
                await asyncio.sleep(0)
            if random.random() < 0.2:
                with suppress(TimeoutError):
                    await asyncio.wait_for(one.closed.wait(), 0.2)


async def bombard(edge: EdgeProcess, worker, key: str, *, seed: int, count: int, is_timed: bool) -> None:  # type: ignore[no-untyped-def]
    for first in range(seed, seed + count, _AT_ONCE):
        await asyncio.gather(*(send(edge, one) for one in range(first, min(first + _AT_ONCE, seed + count))))
        if (first - seed) % 500 == 0:
            began = time.monotonic()
            await edge.serves(worker, key)
            took_s = time.monotonic() - began
            assert not is_timed or took_s < _WITHIN_S, f"seeds to {first + _AT_ONCE}: served after {took_s:.2f} s"
            assert edge.process.poll() is None, f"seeds {first} to {first + _AT_ONCE}"
            assert edge.grown < GROWTH, f"seeds to {first + _AT_ONCE}: {edge.grown / MIB:.0f} MiB"
    edge.is_well()


@pytest.mark.finding(3)
@pytest.mark.timeout(120)
async def test_broken_http2_hurts_nobody(attacked_either_way: EdgeProcess, worker, key) -> None:
    await bombard(attacked_either_way, worker, key, seed=0, count=80, is_timed=False)


@pytest.mark.soak
@pytest.mark.finding(3)
@pytest.mark.timeout(1800)
async def test_broken_http2_by_the_ten_thousand_hurts_nobody(attacked_either_way: EdgeProcess, worker, key) -> None:
    await bombard(attacked_either_way, worker, key, seed=1_000, count=20_000, is_timed=True)
