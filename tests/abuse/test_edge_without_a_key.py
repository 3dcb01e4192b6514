"""Whoever has no suite key costs the edge what `docs/limits.md` says, and suites are served meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.abuse import http2
from tests.abuse.edge_process import EdgeProcess, edge_process
from tests.abuse.http2 import Kind, Peer, call, frame, message, peer
from tests.abuse.measured import rows
from tests.support.waiting import eventually

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.finding(3), pytest.mark.timeout(60)]
SOAK = [pytest.mark.soak, pytest.mark.timeout(1800)]
LIMITS = rows("Edge (gRPC)")
MADE_UP = "psk_{:016x}_" + "A" * 43


async def open_many(one: Peer, path: str, number: int, *fields: http2.Field, body: bytes = b"") -> None:
    """Open this many streams, whatever the other side says."""
    for stream in range(1, 2 * number, 2):
        one.headers(stream, call(path, *fields))
        if body:
            one.data(stream, body)
        if stream % 100 == 99:
            await one.flood(b"")


def answered(one: Peer) -> int:
    """How many streams are over."""
    return len(
        {stream for kind, flags, stream, _ in one.seen if kind == Kind.RST_STREAM or (kind, flags & 1) == (1, 1)}
    )


MANY = [1000, pytest.param(10_000, marks=SOAK)]


@pytest.mark.parametrize("number", MANY)
async def test_few_watch_health_without_a_key_and_the_others_are_refused(attacked, worker, key, number: int) -> None:
    async with peer(attacked.port) as one:
        await open_many(one, http2.HEALTH_WATCH, number, body=message(b""))
        await eventually(lambda: answered(one) == number - 64, 30)
        await attacked.serves(worker, key)
        assert attacked.grown < LIMITS["opens 10,000 streams of `Health/Watch`"].bytes
        await is_healthy(attacked)


@pytest.mark.parametrize("number", MANY)
@pytest.mark.parametrize("path", [http2.REFLECTION, http2.WATCH, http2.STREAM, "/no.such/Method"])
async def test_streams_without_a_key_are_ended(attacked, worker, key, path: str, number: int) -> None:
    async with peer(attacked.port) as one:
        await open_many(one, path, number)
        await attacked.serves(worker, key)
        await eventually(lambda: answered(one) == number, 30)
        assert attacked.grown < LIMITS["opens 10,000 streams of reflection or presence"].bytes


@pytest.mark.finding(13)
async def test_metadata_that_is_no_text_writes_one_line_and_none_of_it(attacked, worker, key) -> None:
    async with peer(attacked.port) as one:
        await open_many(one, http2.HEALTH_CHECK, 300, ("x-odd", "\xae\xffodd-text"), body=message(b""))
        await eventually(lambda: answered(one) == 300, 30)
    told = [line for line in attacked.log.read_text().splitlines() if "cygrpc" in line]
    assert len(told) <= 1
    assert "odd-text" not in "".join(told)


@pytest.mark.long
async def test_made_up_keys_keep_no_known_suite_out(attacked, worker, key) -> None:
    number = 10
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(attacked.port)) for _ in range(number)]
        fields = [http2.bearing(MADE_UP.format(n)) for n in range(200)]
        for n, field in enumerate(fields):
            for one in peers:
                one.headers(2 * n + 1, call(http2.WATCH, field))
        await attacked.serves(worker, key)
        await eventually(lambda: all(answered(one) == len(fields) for one in peers), 30)
    assert attacked.grown < number * LIMITS["sends made-up keys"].bytes


@pytest.mark.parametrize("path", [http2.STREAM, http2.WATCH, http2.HEALTH_CHECK])
async def test_messages_whose_end_is_withheld_are_read_few_at_a_time_and_given_up(attacked, worker, key, path) -> None:
    size = (4 << 20) - 100
    body = message(b"x" * (size - 1000), size)
    highest = 0

    async def withhold(one: Peer) -> None:
        one.headers(1, call(path))
        for at in range(0, len(body), 16_384):
            if not await one.flood(frame(Kind.DATA, body[at : at + 16_384], 1)):
                return
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(attacked.port)) for _ in range(40)]
        await asyncio.gather(*map(withhold, peers))
        highest = attacked.grown
        await is_healthy(attacked)
        await attacked.serves(worker, key)
        await eventually(lambda: all(answered(one) or one.closed.is_set() for one in peers), 20)
        highest = max(highest, attacked.grown)
    assert highest < LIMITS["withholds the end of 40 messages of 4 MiB"].bytes


@pytest.mark.parametrize(
    ("kilobytes", "what"),
    [(20, "sends 100 kB of metadata"), (100, "sends 100 kB of metadata"), (8000, "sends 8 MB of metadata")],
)
async def test_long_metadata_is_refused(attacked, worker, key, kilobytes: int, what: str) -> None:
    number = 5
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(attacked.port)) for _ in range(number)]
        for one in peers:
            one.headers(1, call(http2.HEALTH_WATCH, *[(f"x-{n}", "v" * 10_000) for n in range(kilobytes // 10)]))
        await eventually(lambda: all(answered(one) or one.closed.is_set() for one in peers), 20)
        await attacked.serves(worker, key)
    limit = LIMITS[what]
    assert attacked.grown < limit.bytes * (number if "each" in limit.memory else 1)


@pytest.mark.parametrize("is_one_field", [True, False])
async def test_a_header_list_without_an_end_closes_the_connection(attacked, is_one_field: bool) -> None:
    async with peer(attacked.port) as one:
        begun = one.block(call(http2.HEALTH_WATCH))
        more = b"v" * 16_384 if is_one_field else one.block([("x-a", "v" * 16_000)])
        one.send(frame(Kind.HEADERS, begun + (b"\x00\x03x-a\x7f\xff\xff\xff\x0f" if is_one_field else b""), 1))
        sent = 0
        while await one.flood(frame(Kind.CONTINUATION, more, 1)):
            sent += len(more)
            assert sent < 64 << 20
            await asyncio.sleep(0)
    assert attacked.grown < LIMITS["sends a header list without an end"].bytes


FLOODS: dict[str, Callable[[Peer], bytes]] = {
    "ping": lambda _: frame(Kind.PING, b"12345678") * 1000,
    "settings": lambda _: frame(Kind.SETTINGS) * 1000,
    "long settings": lambda _: frame(Kind.SETTINGS, b"\0\x04\0\0\xff\xff" * 2000),
    "priority": lambda _: frame(Kind.PRIORITY, b"\0\0\0\0\1", 7) * 1000,
    "window": lambda _: frame(Kind.WINDOW_UPDATE, b"\0\0\0\1") * 1000,
    "unknown": lambda _: frame(0xFA, b"x" * 16_000),
    "padding": lambda _: frame(Kind.DATA, b"\xff" + bytes(255), 1, 0x8) * 100,
    "empty data": lambda _: frame(Kind.DATA, b"", 1) * 1000,
    "closed streams": lambda _: frame(Kind.RST_STREAM, b"\0\0\0\x08", 1) * 1000,
}


@pytest.mark.long
@pytest.mark.parametrize("megabytes", [1, pytest.param(64, marks=SOAK)])
@pytest.mark.parametrize("reads", [True, False], ids=["read", "unread"])
async def test_floods_of_frames_cost_nobody_else_anything(attacked, worker, key, reads: bool, megabytes: int) -> None:
    for what, made in FLOODS.items():
        async with peer(attacked.port, greet=False) as one:
            one.send(http2.PREFACE + frame(Kind.SETTINGS))
            one.headers(1, call(http2.HEALTH_WATCH))
            if reads:
                one.listen()
            data, sent = made(one), 0
            while sent < megabytes << 20:
                try:
                    async with asyncio.timeout(1):
                        if not await one.flood(data):
                            break
                except TimeoutError:  # it is read no further
                    break
                sent += len(data)
                await asyncio.sleep(0)
            await attacked.serves(worker, key)
        assert attacked.grown < LIMITS[next(row for row in LIMITS if row.startswith("floods frames"))].bytes, what


@pytest.mark.parametrize("number", [5000, pytest.param(200_000, marks=SOAK)])
@pytest.mark.parametrize("with_key", [False, True])
async def test_streams_that_are_reset_as_soon_as_they_are_opened_cost_nobody_else_anything(
    attacked, worker, key, number: int, with_key: bool
) -> None:
    async with peer(attacked.port) as one:
        block = one.block(call(http2.WATCH, *([http2.bearing(key)] if with_key else [])))
        for at in range(0, number, 100):
            streams = [2 * n + 1 for n in range(at, at + 100)]
            cancelled = [frame(Kind.HEADERS, block, n, 4) + frame(Kind.RST_STREAM, b"\0\0\0\x08", n) for n in streams]
            if not await one.flood(b"".join(cancelled)):
                break
        await attacked.serves(worker, key)
    assert attacked.grown < LIMITS[next(row for row in LIMITS if row.startswith("floods frames"))].bytes


@pytest.mark.long
@pytest.mark.parametrize("number", [200, pytest.param(900, marks=SOAK)])
@pytest.mark.parametrize("does", ["silent", "greets"])
async def test_connections_that_say_nothing_are_closed(
    attacked_either_way, worker, key, does: str, number: int
) -> None:
    edge = attacked_either_way
    greets = does == "greets"
    what = "begins HTTP/2 and makes no call" if greets else "connects and says nothing"
    tls = edge.tls if greets else None  # a silent one says nothing of TLS either
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer(edge.port, greet=greets, tls=tls)) for _ in range(number)]
        for one in peers if not greets else ():
            one.listen()
        log.info("%s, %s: %.1f KiB each", what, "plain" if edge.tls is None else "TLS", edge.grown / number / 1024)
        assert edge.grown < number * LIMITS[what].bytes
        await edge.serves(worker, key)
        await eventually(lambda: all(one.closed.is_set() for one in peers), 30)


@pytest.mark.long
async def test_connections_beyond_the_limit_are_closed_and_make_room_when_they_go(
    valkey, tmp_path, worker, key
) -> None:
    await worker.users(1)
    with edge_process(valkey, tmp_path, RELAY_EDGE_CONNECTIONS="20") as edge:
        async with AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(peer(edge.port)) for _ in range(30)]
            await eventually(lambda: sum(one.closed.is_set() for one in peers) >= 10)
            assert sum(not one.closed.is_set() for one in peers) == 20
        await edge.serves(worker, key)
        edge.is_well()


async def is_healthy(edge: EdgeProcess) -> None:
    """A probe without a key is answered."""
    async with peer(edge.port) as one:
        one.headers(1, call(http2.HEALTH_CHECK))
        one.data(1, message(b""), http2.END_STREAM)
        await eventually(lambda: any(kind == Kind.DATA for kind, *_ in one.seen))
        answers: list[Any] = [payload for kind, _, _, payload in one.seen if kind == Kind.DATA]
        assert answers[0][5:] == b"\x08\x01"
