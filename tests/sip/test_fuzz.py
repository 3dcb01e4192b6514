"""Every listener survives what a grammar fuzzer sends: it answers on, tells no error of its own, and keeps little."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest

from suite.sip.challenges import DigestServer
from suite.sip.errors import MalformedMessage
from suite.sip.flows import TransportLimits
from suite.sip.message import StreamParser, parse_datagram
from suite.sip.publish_door import PublishDoor
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber
from suite.sip.transactions import Timers
from suite.sip.user_agent import UserAgentSettings
from suite.sip.watchers import NotifierLimits
from tests.sip.grammar import Grammar
from tests.sip.peers import peer
from tests.sip.test_notifier import PIDF, WISH, Served, Shown, served, subscribe

pytestmark = pytest.mark.long

UNLIMITED = TransportLimits(requests_per_s=1e9, burst=1e9, half_message_s=1.0)
QUICK = UserAgentSettings(timers=Timers(t1=0.01, t2=0.02, t4=0.02), limits=UNLIMITED, most_transactions=2000)
FEW = NotifierLimits(watchers=200, watchers_of_an_address=200)


def test_the_parsers_read_or_refuse_every_message():
    grammar = Grammar(1)
    refused = 0
    for _ in range(3000):
        data = grammar.message()
        parser = StreamParser()
        try:
            parser.feed(data)
            assert parse_datagram(parse_datagram(data).to_bytes())
        except MalformedMessage:
            refused += 1
    assert 100 < refused < 2500  # neither all nor none


async def batch(place: Served, tcp_port: int, grammar: Grammar, messages: int) -> None:
    """Send messages by datagrams and by streams, then ask whether the listener is still there."""
    async with peer() as stranger:
        for _ in range(messages):
            with suppress(OSError):
                stranger.send(grammar.message(), ("127.0.0.1", place.port))
            await asyncio.sleep(0)
        for _ in range(messages // 10):
            await stream(tcp_port, grammar)
        via = f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKalive{time.monotonic_ns()};rport"
        async with asyncio.timeout(20):
            while not any(each.headers.first("call-id") == "alive" for each in stranger.responses):
                stranger.send(subscribe(method="OPTIONS", via=via, call_id="alive"), ("127.0.0.1", place.port))
                await asyncio.sleep(0.05)


async def stream(port: int, grammar: Grammar) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(OSError):
        for piece in grammar.stream(8):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def fuzz(seed: int, batches: int, seconds: float = 0.0) -> None:
    """Fuzz a user agent that does everything: at least so many batches, and so long."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    door = DigestServer(realm="teams", password_of={"ada": "secret"}.get)
    shown = Shown(states={"ada": "available", "": "x"}, door=door if seed % 2 else None)
    grammar, process, began, done, memory = Grammar(seed), psutil.Process(), time.monotonic(), 0, 0
    async with served(shown=shown, limits=FEW, settings=QUICK) as place:
        _, tcp_port = await place.agent.listen("tcp", "127.0.0.1")
        publishing = PublishDoor(place.agent, shown, {"presence": PIDF})
        subscriber = Subscriber(place.agent)
        subscriber.subscribe(SipServer.at("127.0.0.1:9"), WISH, lambda _: None)
        while done < batches or time.monotonic() - began < seconds:
            await batch(place, tcp_port, grammar, 200)
            done += 1
            shown.over.clear()
            shown.published_states.clear()
            if done == batches:
                memory = process.memory_info().rss
            assert errors == []
            assert len(place.notifier) <= 200
            assert len(place.agent.transactions) <= 4000
        assert process.memory_info().rss < memory + 64 * 2**20
        publishing.close()
        await subscriber.close()
    assert errors == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_listeners_survive_a_grammar_fuzzer(seed: int):
    await fuzz(seed, batches=5)


@pytest.mark.soak
@pytest.mark.timeout(5400)
async def test_the_listeners_survive_a_grammar_fuzzer_for_an_hour():
    await fuzz(int(time.time()) | 1, batches=50, seconds=3600)
