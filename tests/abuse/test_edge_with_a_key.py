"""What a suite sends is counted before anything is made of it, and nothing is left of a stream that was refused."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from presence_api.v1 import presence_pb2
from relay.edge.errors import forget_frames
from relay.edge.name_budget import KeyBudgets
from relay.edge.requests import OnlyRequest, Requests, StartRequest
from relay.edge.settings import EdgeSettings
from relay.edge.stream.stream import Stream
from relay.errors import ActionExpected, StartExpected, TooManyUsers
from relay.ops.clock import SYSTEM
from tests.abuse import http2
from tests.abuse.http2 import Kind, bearing, call, frame, message, peer
from tests.abuse.measured import rows
from tests.edge.suite import Request, pb
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(60)
SOAK = [pytest.mark.soak, pytest.mark.timeout(1800)]
LIMITS = rows("With a suite key")
METHOD = "/relay.api.presence.v1.PresenceService/WatchPresence"


def delimited(field: int, payload: bytes) -> bytes:
    """A field of bytes on the wire."""
    size, length = b"", len(payload)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([field << 3 | 2]) + size + bytes([length]) + payload


async def read_out(stream: Any) -> None:
    """Read until the stream ends."""
    while await stream.read() is not grpc.aio.EOF:
        pass


def channel_to(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)])


@pytest.mark.long
@pytest.mark.finding(8)
@pytest.mark.parametrize("entry", [b"\x0a\x00", b"\x12\x00"], ids=["names", "held"])
async def test_a_message_of_two_million_empty_names_is_refused_by_their_number(attacked, worker, key, entry) -> None:
    raw = delimited(1, entry * ((4 << 20) // 2 - 8))
    async with channel_to(attacked.port) as channel:
        for _ in range(8):
            stream = channel.stream_stream(METHOD)(metadata=[bearing(key)])
            await stream.write(raw)
            with pytest.raises(grpc.aio.AioRpcError, match="may name 10000 users"):
                await stream.read()
        await attacked.serves(worker, key)
    assert attacked.grown < LIMITS["sends a message of 2 million empty names"].bytes


@pytest.mark.finding(5)
async def test_a_start_of_names_of_65536_characters_is_refused_at_once(attacked, worker, key) -> None:
    part = Request(start=pb.WatchStart(subscribe_users=[f"{n}" + "x" * 65_535 for n in range(60)], more_follows=True))
    async with channel_to(attacked.port) as channel:
        for _ in range(20):
            stream = channel.stream_stream(METHOD)(metadata=[bearing(key)])
            await stream.write(part.SerializeToString())
            with pytest.raises(grpc.aio.AioRpcError, match="longer than 1024 characters"):
                await stream.read()
        await attacked.serves(worker, key)
    assert attacked.grown < LIMITS["sends a start of names of 65,536 characters"].bytes


@pytest.mark.finding(5)
async def test_a_start_of_names_that_can_be_nobodys_has_a_budget(attacked, worker, key) -> None:
    async with channel_to(attacked.port) as channel:
        stream = channel.stream_stream(METHOD)(metadata=[bearing(key)])
        for part in range(2):
            names = [f"{part}-{n}" + "x" * 1000 for n in range(900)]
            await stream.write(
                Request(start=pb.WatchStart(subscribe_users=names, more_follows=True)).SerializeToString()
            )
        with pytest.raises(grpc.aio.AioRpcError, match="1048576 characters together"):
            await stream.read()
    assert attacked.grown < LIMITS["sends a start of names of 65,536 characters"].bytes


@pytest.mark.finding(3)
async def test_a_withheld_start_is_given_up_by_its_connection_and_bounded_by_its_tenant(attacked, worker, key) -> None:
    size, number = (4 << 20) - 100, 20
    body = message(b"x" * (size - 1000), size)
    async with peer(attacked.port) as one:
        for n in range(number):
            one.headers(2 * n + 1, call(http2.STREAM, bearing(key)))
            for at in range(0, len(body), 16_384):
                await one.flood(frame(Kind.DATA, body[at : at + 16_384], 2 * n + 1))
        await attacked.serves(worker, key)
        assert attacked.grown < number * LIMITS["withholds the end of a start"].bytes


# ------------------------------------------------------------------ remains


@pytest.mark.finding(8)
async def test_nothing_is_left_of_a_stream_that_was_refused(worker, channel, key, monkeypatch) -> None:
    """No cycle holds it, which only a late collection would break."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    made = Stream.__init__

    def noted(self: Stream, *args: Any) -> None:
        made(self, *args)
        alive.add(self)

    monkeypatch.setattr(Stream, "__init__", noted)
    too_many = Request(start=pb.WatchStart(subscribe_users=[""] * 10_001)).SerializeToString()
    gc.collect()
    gc.disable()
    try:
        for method in ("WatchPresence", "StreamPresence"):
            for sent in (b"\xff\xff\xff", b"", too_many):
                stream = channel.stream_stream(METHOD.replace("WatchPresence", method))(metadata=[bearing(key)])
                await stream.write(sent)
                with pytest.raises(grpc.aio.AioRpcError):
                    await stream.read()
        stream = channel.stream_stream(METHOD)(metadata=[bearing(key)])
        await stream.write(Request(start=pb.WatchStart()).SerializeToString())
        await stream.read()
        await stream.write(b"\xff")
        with pytest.raises(grpc.aio.AioRpcError):
            await read_out(stream)
        for _ in range(5):
            stream = channel.stream_stream(METHOD)(metadata=[bearing(key)])
            await stream.write(Request(start=pb.WatchStart()).SerializeToString())
            await stream.read()
            await stream.write(b"\xff")
            stream.cancel()  # nobody is told why it was refused
        await eventually(lambda: not alive)
    finally:
        gc.enable()


def test_an_error_forgets_its_frames_and_those_of_what_it_came_from() -> None:
    def fails() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise StartExpected("b") from None

    with pytest.raises(StartExpected) as caught:
        fails()
    error = caught.value
    forget_frames(error)
    assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


# -------------------------------------------------------------------- fuzzing

NAMES = st.one_of(st.text(max_size=40), st.from_regex(r"[a-z]{1,8}@contoso\.com", fullmatch=True), st.just("x" * 1025))
HELD = st.builds(presence_pb2.ResolvedName, user=NAMES, user_id=st.one_of(st.none(), st.text(max_size=100)))
STARTS = st.builds(
    pb.WatchStart,
    subscribe_users=st.lists(NAMES, max_size=8),
    held_users=st.lists(HELD, max_size=4),
    resume_token=st.text(max_size=40),
    more_follows=st.booleans(),
)
CHANGES = st.builds(
    Request.Change, subscribe_users=st.lists(NAMES, max_size=8), unsubscribe_users=st.lists(NAMES, max_size=8)
)
WHOLE = st.one_of(st.builds(Request, start=STARTS), st.builds(Request, change=CHANGES), st.just(Request())).map(
    lambda request: request.SerializeToString()
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A request, with some bytes changed, taken out or put in, or with a field that nobody knows."""
    raw = bytearray(draw(WHOLE))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(raw) + draw(st.sampled_from([b"", b"\x7a\x00", b"\x7b\x7c", b"\xf8\xff\xff\xff\x0f\x01", b"\x0a\x80"]))


def take(reads: list[bytes], kind: type[Requests]) -> list[object]:
    """All that comes of these messages, the error that ended them included."""
    waiting = [*reads, grpc.aio.EOF]

    async def read() -> Any:
        return waiting.pop(0)

    async def all_of() -> list[object]:
        limits = EdgeSettings(message_users=6, stream_users=10)
        requests, found = kind(read, limits), list[object]()
        budget = KeyBudgets(limits, SYSTEM).of("key", asyncio.get_running_loop().create_future())
        try:
            found.append(await requests.start(budget))
            while requests.may_follow and (change := await requests.change(budget)) is not None:
                found.append(change)
        except (StartExpected, ActionExpected, TooManyUsers) as error:
            found.append(error)
        return found

    return asyncio.run(all_of())


def judge(reads: list[bytes]) -> None:
    for kind in (Requests, OnlyRequest):
        for one in take(reads, kind):
            if isinstance(one, StartRequest):
                names = {*one.subscribe, *one.held}
                assert len(names) <= 10
                assert max(map(len, names), default=0) <= 1024
                assert len(one.token) <= 1024


@pytest.mark.long
@pytest.mark.finding(8)
@given(st.lists(messages(), max_size=4))
def test_mutated_messages_are_taken_within_the_limits_or_refused(reads: list[bytes]) -> None:
    judge(reads)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@given(st.lists(messages(), max_size=6))
@settings(max_examples=5_000)
def test_very_many_mutated_messages_are_taken_within_the_limits_or_refused(reads: list[bytes]) -> None:
    judge(reads)


async def _send(edge: Any, key: str, draws: list[list[bytes]]) -> None:
    async with channel_to(edge.port) as channel:
        for number, reads in enumerate(draws):
            method = METHOD if number % 3 else METHOD.replace("Watch", "Stream")
            stream = channel.stream_stream(method)(metadata=[bearing(key)])
            try:
                for raw in reads:
                    await stream.write(raw)
                await stream.done_writing()
                async with asyncio.timeout(1):
                    await read_out(stream)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                pass
            finally:
                stream.cancel()


@pytest.mark.long
@pytest.mark.parametrize("number", [40, pytest.param(1000, marks=SOAK)])
async def test_mutated_messages_over_the_wire_bring_no_edge_down(attacked, worker, key, number: int) -> None:
    draws: list[list[bytes]] = []

    @given(st.lists(messages(), min_size=1, max_size=3))
    @settings(max_examples=number, database=None, suppress_health_check=list(HealthCheck))
    def collect(reads: list[bytes]) -> None:
        draws.append(reads)

    collect()
    await _send(attacked, key, draws)
    assert attacked.grown < 64 << 20
