"""An edge that stops, or moves its streams, behind a TCP balancer: nobody who follows `drain` is without a stream or sees an error.

Suites here have one channel, as most do. Streams of the same channel share a connection, so what is shown is that the edge lets
go of connections before it asks anybody to leave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from relay.edge import sockets
from relay.edge.server import EdgeServer
from suite import events as ev
from suite.client import PresenceClient
from suite.explain import Ending, Remedy
from tests.abuse.http2 import Kind, frame, peer, tls_of
from tests.edge.suite import SuiteStream
from tests.edge.worker import name, user
from tests.support.clock import SteppedClock
from tests.support.fault_proxy import Delay, FaultProxy
from tests.support.waiting import eventually

GUIDE = (Path(__file__).parents[2] / "docs/suites.md").read_text(encoding="utf-8")
AGE = timedelta(milliseconds=200)
DELAY = timedelta(seconds=5)
"""Of a drain; 25 ages of a connection, far more than it needs, because this machine may be busy."""


@pytest.fixture
async def edges(start_edge: Callable[..., Any]) -> list[EdgeServer]:
    """Two edges on one store: all go to the first, until it refuses connections."""
    return [await start_edge(connection_age=AGE, drain_delay=DELAY) for _ in range(2)]


@pytest.fixture
async def balancer(edges: list[EdgeServer]) -> AsyncIterator[FaultProxy]:
    first, second = (("127.0.0.1", edge.port) for edge in edges)
    async with FaultProxy(first, others=[second]) as balancer:
        yield balancer


def leads_to(balancer: FaultProxy, edge: EdgeServer) -> None:
    """From now on all go to this edge, whether it accepts them or not."""
    balancer.upstream, balancer.others = ("127.0.0.1", edge.port), ()


@pytest.fixture
async def dial(balancer: FaultProxy, authority: trustme.CA) -> AsyncIterator[Callable[[], grpc.aio.Channel]]:
    """Open a channel to the balancer; each has connections of its own."""
    async with AsyncExitStack() as stack:
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())

        async def open_channel() -> grpc.aio.Channel:
            options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
            channel = grpc.aio.secure_channel(f"localhost:{balancer.port}", credentials, options=options)
            return await stack.enter_async_context(channel)

        yield open_channel


def drained(stream: SuiteStream) -> bool:
    return "drain" in stream.events()


@pytest.mark.fault("L1", "V12")
async def test_a_drain_is_followed_on_one_channel_to_another_edge(worker, edges, balancer, dial, suite) -> None:
    await worker.users(1)
    channel = await dial()
    first = [await suite(channel=channel).open(name(0)).ready() for _ in range(2)]
    before = balancer.opened[
        edges[0].port
    ]  # more than one, when the second stream came after the first connection's age
    stopping = asyncio.create_task(edges[0].drain())
    for old in first:
        await old.until(lambda old=old: drained(old))
    second = [await suite(channel=channel).open(resume_token=o.token, held_users=o.held()).ready() for o in first]
    ended = {old.error.reason for old in first if old.error is not None}
    assert ended <= {"ERROR_REASON_SHUTDOWN"}, "the old ones go on until their time is over"
    assert edges[1].statistics().streams == 2
    assert balancer.opened[edges[0].port] == before, "the draining edge gets no other connection"
    await worker.found({user(0): "moved"})
    for new in second:
        await new.shows({user(0): "moved"})
    for old in first:
        await old.kill()
    await stopping


@pytest.mark.fault("L1")
async def test_a_stream_that_is_moved_for_its_age_lands_on_another_connection(
    worker, start_edge, edges, balancer, dial, suite
) -> None:
    moving = await start_edge(connection_age=AGE, drain_delay=DELAY, max_stream_age=timedelta(seconds=1))
    leads_to(balancer, moving)
    channel = await dial()
    old = await suite(channel=channel).open(name(0)).ready()
    leads_to(balancer, edges[1])
    await old.until(lambda: drained(old))
    await suite(channel=channel).open(resume_token=old.token, held_users=old.held()).ready()
    assert old.error is None
    assert edges[1].statistics().streams == 1


@pytest.mark.fault("V12")
async def test_a_draining_edge_refuses_connections_at_once_and_serves_what_is_on_its_way(
    worker, start_edge, connect, suite
) -> None:
    """On a connection that is still young, whose client may not have been told yet, another stream is served like any."""
    long = timedelta(minutes=1)
    edge = await start_edge(
        clock := SteppedClock(), connection_age=timedelta(hours=1), drain_delay=long, blocked_write=timedelta(hours=1)
    )
    channel = await connect(edge)
    stays = await suite(channel=channel).open(name(0)).ready()
    stopping = asyncio.create_task(edge.drain())
    await eventually(lambda: edge.statistics().is_draining)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", edge.port)
    late = await suite(channel=channel).open(name(0)).ready()
    assert not drained(stays)
    assert not drained(late)
    clock.advance(long.total_seconds() * 2 / 3)  # by then every connection must have been told
    for stream in (stays, late):
        await stream.until(lambda stream=stream: drained(stream))
    clock.advance(long.total_seconds())
    for stream in (stays, late):
        assert (await stream.ending()).reason == "ERROR_REASON_SHUTDOWN"
    await stopping


@pytest.mark.fault("L2")
async def test_a_stream_that_comes_after_every_connection_was_told_is_refused_in_words(
    worker, start_edge, connect, suite
) -> None:
    """A client that does not heed GOAWAY opens one all the same."""
    long = timedelta(minutes=1)
    edge = await start_edge(
        clock := SteppedClock(), connection_age=timedelta(hours=1), drain_delay=long, blocked_write=timedelta(hours=1)
    )
    channel = await connect(edge)
    stays = await suite(channel=channel).open(name(0)).ready()
    stopping = asyncio.create_task(edge.drain())
    await eventually(lambda: edge.statistics().is_draining)
    clock.advance(long.total_seconds() * 2 / 3)  # by then every connection must have been told
    await stays.until(lambda: drained(stays))
    late = suite(channel=channel).open(name(0))
    ended = await late.ending()
    assert late.responses == [], "it was not begun only to be moved"
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN")
    clock.advance(long.total_seconds())
    await stopping


@pytest.mark.fault("L2")
async def test_whoever_opens_streams_all_through_a_drain_never_hears_cancelled(edges, balancer, dial, key) -> None:
    """Each channel opens a stream every few milliseconds, and every byte travels 10 ms: some are always on their way."""
    balancer.delay_s = Delay(0.01, 0.01)
    channels = [await dial() for _ in range(3)]
    opened: list[SuiteStream] = []
    stopped = asyncio.Event()

    async def open_one(channel: grpc.aio.Channel) -> None:
        opened.append(stream := SuiteStream(channel, key).open())
        await asyncio.sleep(0.2)
        await stream.kill()

    async def go_on(channel: grpc.aio.Channel) -> None:
        async with asyncio.TaskGroup() as group:
            while not stopped.is_set():
                group.create_task(open_one(channel))
                await asyncio.sleep(0.02)

    going = asyncio.gather(*(go_on(channel) for channel in channels))
    await eventually(lambda: balancer.opened[edges[0].port] >= 2 * len(channels))
    await edges[0].__aexit__()
    stopped.set()
    await going
    assert edges[1].port in balancer.opened
    assert [stream.error for stream in opened if stream.error is not None and not drained(stream)] == []


@pytest.mark.fault("L1", "V12")
async def test_the_suite_library_moves_without_a_gap_or_an_error(worker, edges, balancer, key, authority) -> None:
    """Also when the balancer sends its first try back to the edge that stops, which refuses it."""
    await worker.users(1)
    seen: list[ev.Event] = []
    ca_pem = authority.cert_pem.bytes()
    async with PresenceClient(f"localhost:{balancer.port}", key, ca_pem=ca_pem, users=[name(0)]) as client:

        async def watch() -> None:
            async for event in client.events():
                seen.append(event)  # noqa: PERF401 as it comes

        watching = asyncio.create_task(watch())
        await eventually(lambda: any(isinstance(event, ev.SnapshotComplete) for event in seen))
        leads_to(balancer, edges[0])  # as long as nobody told the balancer
        stopping = asyncio.create_task(edges[0].drain())
        await eventually(lambda: edges[0].statistics().leaving)
        leads_to(balancer, edges[1])
        await eventually(lambda: edges[1].statistics().streams)
        await stopping
        await worker.found({user(0): "moved"})
        await eventually(
            lambda: any(a.presence and a.presence.raw_activity == "moved" for a in client.answers.values())
        )
        assert not [event for event in seen if isinstance(event, ev.Disconnected)]
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@pytest.mark.fault("L8")
async def test_too_many_pings_end_the_connection_and_mean_resume(edge, authority) -> None:
    """No code of the relay's is possible here: clients make one up from the GOAWAY, each its own. The guide lists them."""
    tls = tls_of(authority.cert_pem.bytes())
    tls.check_hostname = False
    async with peer(edge.port, tls=tls) as impatient:
        impatient.send(frame(Kind.PING, b"hurry up") * 6)
        async with asyncio.timeout(30):
            await impatient.closed.wait()
        goaway = next(payload for kind, _, _, payload in impatient.seen if kind == Kind.GOAWAY)
    assert goaway[4:] == (11).to_bytes(4) + b"too_many_pings", "11 is ENHANCE_YOUR_CALM"
    for code, text in (
        (grpc.StatusCode.UNAVAILABLE, "Too many pings"),
        (grpc.StatusCode.UNAVAILABLE, "Connection dropped"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Bandwidth exhausted or memory limit exceeded"),
    ):
        assert text in GUIDE
        assert Ending(code, text).remedy is Remedy.BACK_OFF


@pytest.mark.fault("L1")
def test_an_edge_that_cannot_list_its_descriptors_drains_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sockets, "_DESCRIPTORS", tmp_path / "missing")
    sockets.stop_listening(1)
    assert sockets.has_connections(1)
