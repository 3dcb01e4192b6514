"""Streams that are dead but not noticed yet, and the places that they hold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest

from presence_api.v1 import presence_service_pb2 as pb
from tests.edge.suite import SuiteStream
from tests.edge.worker import OTHER, TENANT, name
from tests.support.waiting import eventually

pytestmark = pytest.mark.fault("L5")


def program(instance_id: str) -> pb.SuiteClient:
    return pb.SuiteClient(name="console", instance_id=instance_id)


@pytest.fixture
async def full(worker: Any, start_edge: Any, connect: Any, suite: Any) -> Any:
    """An edge with two places for the tenant, taken by the programs "one" and "two"; gives the channel, both streams and the edge."""
    edge = await start_edge(streams_per_tenant=2)
    channel = await connect(edge)
    streams = [await suite(channel=channel).open(name(0), client=program(each)).ready() for each in ("one", "two")]
    return channel, *streams, edge


async def test_a_program_that_comes_back_takes_the_place_of_its_own_old_stream(full, suite) -> None:
    channel, one, two, _ = full
    again = await suite(channel=channel).open(name(0), client=program("one")).ready()
    ended = await one.ending()
    assert (ended.code, ended.reason, ended.retry_s) == (grpc.StatusCode.ABORTED, "ERROR_REASON_REPLACED", 60)
    await two.change(subscribe=[name(1)])
    await eventually(lambda: name(1) in two.resolved)
    assert again.error is None


async def test_a_place_is_taken_once_and_never_twice(full, suite) -> None:
    channel, one, *_ = full
    coming = [suite(channel=channel).open(client=program("one")) for _ in range(4)]
    await eventually(lambda: sum(stream.error is not None for stream in (one, *coming)) == 4)
    kept = [stream for stream in coming if stream.error is None]
    await kept[0].ready()
    reasons = {stream.error.reason for stream in (one, *coming) if stream.error}
    assert reasons <= {"ERROR_REASON_REPLACED", "ERROR_REASON_TOO_MANY_WATCHES"}


@pytest.mark.parametrize("instance_id", ["", "three", "one" * 100])
async def test_nobody_else_takes_a_place(full, suite, instance_id: str) -> None:
    channel, one, two, _ = full
    ended = await suite(channel=channel).open(client=program(instance_id)).ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_WATCHES")
    assert ended.metadata == {"limit": "2", "per": "tenant_at_edge"}
    assert one.error is two.error is None


async def test_an_id_counts_for_its_own_suite_key_alone(worker, full, suite) -> None:
    channel, one, two, _ = full
    colleague = (await worker.enrol(TENANT)).text
    ended = await suite(colleague, channel).open(client=program("one")).ending()
    assert ended.reason == "ERROR_REASON_TOO_MANY_WATCHES"
    stranger = (await worker.enrol(OTHER)).text
    strangers = [await suite(stranger, channel).open(client=program("one")).ready() for _ in range(3)]
    await eventually(lambda: strangers[0].error is not None)
    assert (await strangers[0].ending()).reason == "ERROR_REASON_REPLACED"
    assert one.error is two.error is None


async def test_streams_that_share_an_id_are_left_alone_while_there_is_room(worker, suite) -> None:
    streams = [await suite().open(client=program("one")).ready() for _ in range(3)]
    assert [stream.error for stream in streams] == [None] * 3


async def test_a_start_that_does_not_come_takes_no_place(full, suite) -> None:
    channel, one, _, edge = full
    silent = [suite(channel=channel).open_raw() for _ in range(2)]
    await eventually(lambda: edge.statistics().waiting_calls == 2)
    ended = await suite(channel=channel).open(client=program("one")).ending()
    assert ended.reason == "ERROR_REASON_TOO_MANY_WATCHES"  # as many wait as there are places that could be taken
    await silent[0].kill()
    await eventually(lambda: edge.statistics().waiting_calls == 1)
    await suite(channel=channel).open(client=program("one")).ready()
    assert (await one.ending()).reason == "ERROR_REASON_REPLACED"


@asynccontextmanager
async def silent_line(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A TCP relay to the port; when the event is set, it takes everything and passes on nothing, as a router does that was reset."""
    silent = asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not silent.is_set():
                    writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, on = await asyncio.open_connection("localhost", port)
        lines.extend((writer, on))
        passing.extend(asyncio.create_task(pass_on(*way)) for way in ((reader, on), (there, writer)))

    lines: list[asyncio.StreamWriter] = []
    passing: list[asyncio.Task[None]] = []
    async with await asyncio.start_server(serve, "localhost", 0) as server:
        yield server.sockets[0].getsockname()[1], silent
        for line in lines:
            line.close()
        await asyncio.gather(*passing, *(line.wait_closed() for line in lines), return_exceptions=True)


async def test_a_suite_that_vanished_without_a_word_is_noticed_by_its_pings(worker, start_edge, key, authority) -> None:
    # What the core takes by itself for the answer to a ping is a minute.
    edge = await start_edge(keepalive=timedelta(seconds=1), keepalive_timeout=timedelta(seconds=1))
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    options = [("grpc.enable_http_proxy", 0)]
    async with (
        silent_line(edge.port) as (port, silent),
        grpc.aio.secure_channel(f"localhost:{port}", credentials, options) as channel,
        SuiteStream(channel, key) as vanished,
    ):
        await vanished.open(name(0)).ready()
        assert edge.statistics().calls.get(TENANT) == 1
        silent.set()
        await eventually(lambda: not edge.statistics().calls, timeout=20)
