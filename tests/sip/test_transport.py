"""Connections that strangers open, and ours: bounds, keep-alives, reuse."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from suite.sip.admission import RateLimit
from suite.sip.errors import SipUnreachable
from suite.sip.flows import SipProtocol, TransportLimits
from suite.sip.message import MessageLimits
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent, SubscriptionTrouble, SubscriptionWish
from suite.sip.subscriptions import Notification
from suite.sip.user_agent import UserAgent, UserAgentSettings
from tests.sip.peers import peer
from tests.sip.test_notifier import WISH, Served, served, states, subscribe
from tests.support.loopback import LoopbackServer
from tests.support.valkey import free_port
from tests.support.waiting import eventually

NUMBERS = itertools.count()


def limited(**values: object) -> UserAgentSettings:
    return UserAgentSettings(limits=replace(TransportLimits(), **values))  # type: ignore[arg-type]


@asynccontextmanager
async def connected(place: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return all that still comes; fails if the connection stays open."""
    async with asyncio.timeout(30):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"x" * 40_000,
        subscribe().to_bytes().replace(b"Content-Length: 0\r\n", b""),
        subscribe().to_bytes().replace(b"Content-Length: 0", b"Content-Length: 99999999"),
    ],
    ids=["http", "tls", "endless", "no-length", "long"],
)
async def test_a_stream_that_cannot_be_read_on_is_closed(data: bytes):
    async with served("tcp") as place, connected(place) as (reader, writer):
        writer.write(data)
        said = await until_closed(reader)
        assert not said or said.startswith(b"SIP/2.0 4")
        assert place.agent.transport.counts["unreadable"] == 1


async def test_half_a_message_is_not_waited_for_for_ever():
    async with served("tcp", settings=limited(half_message_s=0.1)) as place, connected(place) as (reader, writer):
        writer.write(subscribe().to_bytes()[:50])
        await until_closed(reader)
        assert place.agent.transport.counts["half_message"] == 1


async def test_a_silent_connection_is_closed():
    async with served("tcp", settings=limited(idle_s=0.1)) as place, connected(place) as (reader, _):
        await until_closed(reader)
        assert place.agent.transport.counts["idle"] == 1


async def test_connections_beyond_the_bound_are_closed_and_the_others_live():
    async with served("tcp", settings=limited(connections_of_an_address=1)) as place:
        async with connected(place) as (reader, writer):
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"
            async with connected(place) as (refused, _):
                await until_closed(refused)
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"
        await eventually(lambda: not place.agent.transport._streams)
        async with connected(place) as (reader, writer):
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"


async def test_connections_count_before_their_handshake():
    async with served("tls", settings=limited(connections_of_an_address=2)) as place, UserAgent() as phone:
        silent = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(2)]
        with pytest.raises(SipUnreachable):
            await Subscriber(phone).fetch(place.server, WISH)
        assert place.agent.transport.counts["connections"] == 1
        for _, writer in silent:
            writer.close()
        await eventually(lambda: not place.agent.transport._securing)
        assert isinstance(await Subscriber(phone).fetch(place.server, WISH), Notification)


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
async def test_an_address_that_is_given_up_can_be_had_again_and_connections_stay(protocol: SipProtocol):
    async with served(protocol) as place, UserAgent() as phone:
        transport, address = place.agent.transport, ("127.0.0.1", place.port)
        assert isinstance(await Subscriber(phone).fetch(place.server, WISH), Notification)
        for _ in range(2):
            transport.unlisten(protocol, *address)
            with pytest.raises(OSError):
                await asyncio.open_connection(*address)
            assert len(transport._streams) == 1
            assert await place.agent.listen(protocol, *address, tls=place.tls) == address
        async with UserAgent() as other:
            assert isinstance(await Subscriber(other).fetch(place.server, WISH), Notification)


async def test_a_connection_and_a_name_that_nobody_waits_for_any_more_fail_without_a_word():
    errors: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    async with UserAgent() as phone:
        server = SipServer.at("no-such-name.invalid:5060")
        waiting = [
            asyncio.create_task(phone.transport.flow_to("tcp", "127.0.0.1", free_port())),
            asyncio.create_task(server.targets()),
        ]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        await eventually(lambda: not phone.transport._connecting)
        await eventually(lambda: server._finding.task is not None and server._finding.task.done())
        server._finding.task = None
        gc.collect()
    assert errors == []


async def test_who_speaks_no_tls_loses_the_connection():
    async with served("tls", settings=limited(connect_s=0.2)) as place:
        for said in (b"", b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"):
            async with connected(place) as (reader, writer):
                writer.write(said)
                await until_closed(reader)
        assert not place.agent.transport._securing


async def test_many_first_requests_share_one_socket():
    async with UserAgent() as phone:
        flows = await asyncio.gather(*(phone.transport.flow_to("udp", "127.0.0.1", 9) for _ in range(20)))
        assert len(set(flows)) == len(phone.transport._udp) == 1


@pytest.mark.long
async def test_a_peer_that_does_not_read_loses_its_connection():
    settings = limited(unsent_bytes=100_000, requests_per_s=1e6, burst=1e6)
    async with served("tcp", settings=settings) as place, connected(place) as (_, writer):
        number = 0
        while place.agent.transport.counts["unsent"] == 0:
            number += 1
            via = f"SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{number};rport"
            with suppress(OSError):
                writer.write(subscribe(method="OPTIONS", via=via, call_id=f"{number}{'x' * 6000}").to_bytes())
            await asyncio.sleep(0)
        assert number < 100_000


async def test_over_the_rate_a_connection_waits_and_loses_nothing():
    settings = limited(requests_per_s=1, burst=5)  # the sixth waits, unless a machine takes a second for five
    async with served("tcp", settings=settings) as place, connected(place) as (reader, writer):
        for number in range(6):
            via = f"SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{number};rport"
            writer.write(subscribe(method="OPTIONS", via=via, call_id=str(number)).to_bytes())
        said = b""
        while said.count(b"SIP/2.0 200 OK") < 6:
            said += await reader.read(65536)
        assert place.agent.transport.counts["rate"] > 0


async def test_a_large_body_is_taken_and_one_over_the_limit_is_answered_413():
    settings = UserAgentSettings(limits=TransportLimits(message=MessageLimits(body_bytes=1000)))
    async with served("tcp", settings=settings) as place, connected(place) as (reader, writer):
        writer.write(subscribe().to_bytes().replace(b"Content-Length: 0\r\n\r\n", b"Content-Length: 2000000\r\n\r\n"))
        assert (await until_closed(reader)).startswith(b"SIP/2.0 413 ")


async def test_only_servers_of_ours_send_long_bodies():
    body = b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000
    async with served("tcp") as place:
        async with connected(place) as (reader, writer):
            writer.write(subscribe().to_bytes().replace(b"Content-Length: 0\r\n\r\n", body))
            assert (await until_closed(reader)).startswith(b"SIP/2.0 413 ")
        place.agent.transport.trusted.add("127.0.0.1")
        async with connected(place) as (reader, writer):
            writer.write(subscribe(method="NOTIFY").to_bytes().replace(b"Content-Length: 0\r\n\r\n", body))
            assert (await reader.readuntil(b"\r\n")).startswith(b"SIP/2.0 405 ")


async def test_the_rate_holds_for_all_requests_of_a_server_but_its_notifies():
    """Its address may be forged on UDP."""
    async with served(settings=limited(requests_per_s=0.001, burst=2)) as place, peer() as server:
        place.agent.transport.trusted.add("127.0.0.1")
        for method in ["NOTIFY"] * 20 + ["OPTIONS"] * 20:
            via = f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{next(NUMBERS)};rport"
            server.send(subscribe(method=method, via=via, call_id=via), ("127.0.0.1", place.port))
        await eventually(lambda: place.agent.transport.counts["rate"] == 18)
        await eventually(lambda: len(server.responses) == 22)


async def test_a_long_request_counts_as_many():
    async with served(settings=limited(requests_per_s=0.001, burst=20)) as place, peer() as stranger:
        via = "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKlong;rport"
        long = subscribe(*[("X", "," * 5000)] * 4, method="OPTIONS", via=via, call_id="long")
        assert (await stranger.answer(long, ("127.0.0.1", place.port))).status == 200
        stranger.send(subscribe(method="OPTIONS"), ("127.0.0.1", place.port))
        await eventually(lambda: place.agent.transport.counts["rate"] == 1)


async def test_datagrams_that_answer_nothing_are_not_even_read():
    async with served() as place, peer() as stranger:
        for data in (
            b"SIP/2.0 nonsense",
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK" + b"0" * 32 + b"\r\n\r\n",
        ):
            stranger.send(data, ("127.0.0.1", place.port))
        await eventually(lambda: place.agent.transactions.dropped_responses == 2)
        assert place.agent.transport.counts["unreadable"] == 0


class PingOnce(LoopbackServer):
    """Answers the first ping of a connection, and none after it."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n")
        await reader.read()


async def test_a_server_that_answers_no_more_pings_is_left():
    async with PingOnce() as server, UserAgent(limited(ping_s=0.05)) as agent:
        flow = await agent.transport.flow_to("tcp", "127.0.0.1", server.port)
        assert await agent.transport.flow_to("tcp", "127.0.0.1", server.port) is flow
        await eventually(lambda: flow.is_closed)
        assert agent.transport.counts["silent"] == 1


async def test_many_requests_share_one_connection_and_its_end_ends_them():
    class Taking(LoopbackServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            while sum(asked) < 20:
                asked.append((await reader.read(65536)).count(b"SUBSCRIBE sip:"))

    connections: list[asyncio.StreamWriter] = []
    asked: list[int] = []
    async with Taking() as server, UserAgent() as agent:
        subscriber = Subscriber(agent)
        address = SipServer.at(f"127.0.0.1:{server.port}", "tcp")
        ended = await asyncio.gather(*(subscriber.fetch(address, WISH) for _ in range(20)), return_exceptions=True)
        assert [type(each) for each in ended] == [SipUnreachable] * 20
        assert len(connections) == 1


async def test_a_lost_connection_is_made_anew_and_the_subscription_lives_on():
    events: list[SubscriptionEvent] = []
    async with served("tcp") as place, UserAgent() as phone:
        Subscriber(phone).subscribe(place.server, WISH, events.append)
        await eventually(lambda: states(events) == ["available"])
        place.shown.states["ada"] = "away"
        for flow in list(place.agent.transport._streams):
            flow.close()
        await eventually(lambda: states(events) == ["available", "away"])
        assert len(place.notifier) == 1


async def test_a_large_request_goes_over_tcp_though_the_protocol_is_udp():
    async with served("udp", port=free_port()) as place, UserAgent() as phone:
        await place.agent.listen("tcp", "127.0.0.1", place.port)
        wish = SubscriptionWish(
            uri=WISH.uri, own_uri=WISH.own_uri, accept=("application/pidf+xml", *["x/" + "y" * 50] * 30)
        )
        assert isinstance(await Subscriber(phone).fetch(place.server, wish), Notification)
        assert len(place.agent.transport._streams) == 1


async def test_a_name_and_ipv6_addresses_are_understood():
    assert (SipServer.at("pbx.example").port, SipServer.at("pbx.example", "tls").port) == (5060, 5061)
    assert (SipServer.at("[::1]:5070").host, SipServer.at("[::1]:5070").port) == ("::1", 5070)
    assert await SipServer.at("localhost").addresses()
    with pytest.raises(SipUnreachable):
        await SipServer.at("no-such-name.invalid").addresses()
    for bad in ("", ":5060", "x:0", "x:99999", "x:y", "[::1"):
        with pytest.raises(ValueError):
            SipServer.at(bad)


def test_the_rate_is_held_for_each_address_and_few_are_kept():
    limit = RateLimit(per_s=10, burst=2, addresses=3)
    assert [limit.wait_s("a", 0.0) > 0 for _ in range(3)] == [False, False, True]
    assert limit.wait_s("b", 0.0) == 0
    assert limit.wait_s("a", 0.1) == 0
    for number in range(100):
        limit.wait_s(str(number), 1.0)
    assert len(limit._buckets) == 3


async def test_leaving_a_user_agent_leaves_no_connection_behind():
    async with served("tls") as place:
        async with UserAgent() as phone:
            await Subscriber(phone).fetch(place.server, WISH)
            assert phone.transport._streams
        assert not phone.transport._streams
        async with UserAgent() as phone:
            await phone.transport.flow_to("tcp", "127.0.0.1", place.port)  # one that says nothing to a TLS port
        assert not phone.transport._streams


async def test_a_user_agent_that_was_left_connects_to_nobody():
    events: list[SubscriptionEvent] = []
    async with served("tcp") as place:
        async with UserAgent() as phone:
            subscriber = Subscriber(phone)
            subscriber.subscribe(place.server, WISH, events.append)
            await eventually(lambda: len(events) == 2)  # accepted, and told
        # The subscription hears that its connection is gone, and wants a new one.
        await eventually(lambda: isinstance(events[-1], SubscriptionTrouble))
        for protocol in ("tcp", "udp"):
            with pytest.raises(SipUnreachable):
                await phone.transport.flow_to(protocol, "127.0.0.1", place.port)
        await subscriber.close()
