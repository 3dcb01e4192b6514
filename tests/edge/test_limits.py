"""The limits of a connection that an operator sets, met by a real client; `tests/abuse` has what strangers do to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from presence_api.v1 import presence_service_pb2 as pb
from relay.edge.address_limit import AddressLimit
from relay.edge.settings import EdgeSettings, edge_settings
from relay.ops.clock import SYSTEM
from relay.settings.load import load
from tests.abuse.http2 import Kind, frame, peer, tls_of
from tests.edge.suite import Request
from tests.edge.worker import name
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import eventually


def test_what_the_operator_sets_is_what_the_edge_has() -> None:
    given = {
        "keepalive": timedelta(seconds=21),
        "keepalive_timeout": timedelta(seconds=11),
        "ping_interval": timedelta(seconds=9),
        "connection_age": timedelta(seconds=4),
        "connections_per_address": 7,
        "streams_per_connection": 8,
        "metadata_bytes": 2048,
    }
    settings = load((), {"edge": {**given, "trusted_proxies": "192.0.2.1, 198.51.100.0/24"}})
    edge = edge_settings(settings.edge, settings.watch, settings.poll)
    assert {name: getattr(edge, name) for name in given} == given
    assert edge.trusted_proxies == ("192.0.2.1", "198.51.100.0/24")


async def test_more_calls_than_a_connection_may_have_wait_for_one_that_ends(worker, start_edge, connect, suite) -> None:
    """gRPC's clients open a further connection or wait, and no call fails."""
    edge = await start_edge(streams_per_connection=2)
    channel = await connect(edge)
    first = [await suite(channel=channel).open(name(0)).ready() for _ in range(2)]
    third = suite(channel=channel).open(name(0))
    await eventually(lambda: edge.statistics().streams == 2)
    assert third.responses == []
    await first[0].kill()
    await third.ready()


@pytest.mark.parametrize("size", [2_000, 200_000])
async def test_metadata_beyond_the_limit_is_refused(worker, start_edge, connect, suite, size: int) -> None:
    """In words by the edge; by gRPC's own client when the server told it that it takes no such thing."""
    edge = await start_edge(metadata_bytes=1024)
    channel = await connect(edge)
    refused = await suite(channel=channel, metadata=[("x-trace", "x" * size)]).open(name(0)).ending()
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await suite(channel=channel).open(name(0)).ready()


async def test_a_message_beyond_the_limit_ends_its_stream_alone(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(message_bytes=1 << 20)
    channel = await connect(edge)
    stays = await suite(channel=channel).open(name(0)).ready()
    long = Request(start=pb.WatchStart(subscribe_users=["x" * 1000] * 2_000))
    assert (await suite(channel=channel).open_raw(long).ending()).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stays.error is None


async def test_a_connection_takes_new_streams_only_until_its_age(worker, start_edge, authority, suite) -> None:
    """The client is told, and opens another connection; the streams of the old one go on."""
    edge = await start_edge(connection_age=timedelta(milliseconds=200))
    async with FaultProxy(("127.0.0.1", edge.port)) as balancer:
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        options = [("grpc.enable_http_proxy", 0)]
        async with grpc.aio.secure_channel(f"localhost:{balancer.port}", credentials, options) as channel:
            old = await suite(channel=channel).open(name(0)).ready()

            async def opens_another() -> bool:
                await (await suite(channel=channel).open(name(0)).ready()).kill()
                return balancer.accepted > 1

            await eventually(opens_another)
            assert old.error is None


async def test_a_suite_may_ping_as_often_as_the_setting_says(start_edge, authority) -> None:
    tls = tls_of(authority.cert_pem.bytes())
    tls.check_hostname = False
    edge = await start_edge(ping_interval=timedelta(milliseconds=100))
    async with peer(edge.port, tls=tls) as patient:
        for n in range(6):
            patient.send(frame(Kind.PING, b"%08d" % n))
            await eventually(lambda n=n: _answers(patient) == n + 1)
            await asyncio.sleep(0.15)
        assert not patient.closed.is_set()
        patient.send(frame(Kind.PING, b"hurry up") * 6)
        async with asyncio.timeout(30):
            await patient.closed.wait()


async def test_an_address_has_so_many_connections_and_the_newest_beyond_are_closed(
    worker, start_edge, connect, suite
) -> None:
    edge = await start_edge(connections_per_address=3, trusted_proxies=())
    stream = await suite(channel=await connect(edge)).open(name(0)).ready()
    with capture_logs() as logs, _connected(edge.port, "127.0.0.2", 3) as first:
        with _connected(edge.port, "127.0.0.2", 2) as beyond:
            await eventually(lambda: all(map(_is_closed, beyond)))
        assert not any(map(_is_closed, first)), "whoever was there first stays"
        await eventually(lambda: any(line["event"] == "edge_address_limit_reached" for line in logs))
        assert {line.get("address") for line in logs if line["event"] == "edge_address_limit_reached"} == {"127.0.0.2"}
    await stream.change([name(1)])
    await eventually(lambda: name(1) in stream.resolved)
    assert stream.error is None, "another address is another matter"


@pytest.mark.parametrize("trusted", ["127.0.0.2", "127.0.0.0/8"])
async def test_a_balancers_address_has_no_limit_of_its_own(trusted: str) -> None:
    with _listening() as listens:
        port = listens.getsockname()[1]
        settings = EdgeSettings(connections_per_address=2, trusted_proxies=(trusted,))
        limit = AddressLimit(port, settings, SYSTEM)
        with _connected(port, "127.0.0.2", 5) as balancers, _accepted(listens, 5):
            assert limit.look() == ""
            assert not any(map(_is_closed, balancers))


async def test_places_of_connections_that_have_gone_are_free_again() -> None:
    with _listening() as listens:
        port = listens.getsockname()[1]
        limit = AddressLimit(port, EdgeSettings(connections_per_address=2, trusted_proxies=()), SYSTEM)
        for _ in range(3):
            with _connected(port, "127.0.0.3", 2) as clients, _accepted(listens, 2):
                assert limit.look() == ""
                assert not any(map(_is_closed, clients))


def _answers(one: Any) -> int:
    return sum(1 for kind, flags, _, _ in one.seen if kind == Kind.PING and flags & 1)


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listens:
        yield listens


@contextmanager
def _connected(port: int, source: str, count: int) -> Iterator[list[socket.socket]]:
    """Connections from an address of this machine."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5, source_address=(source, 0)))
            for _ in range(count)
        ]


@contextmanager
def _accepted(listens: socket.socket, count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(listens.accept()[0])
        yield


def _is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return not one.recv(1000, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
