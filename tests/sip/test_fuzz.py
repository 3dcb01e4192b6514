"""Every listener survives what a grammar fuzzer sends: it answers on, tells no error of its own, and keeps little."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psutil
import pytest
import trustme

from suite.sip.challenges import DigestClient, DigestServer
from suite.sip.digest import Login
from suite.sip.errors import MalformedMessage, SipError
from suite.sip.flows import TransportLimits
from suite.sip.message import SipRequest, StreamParser, parse_datagram
from suite.sip.publish_door import PublishDoor
from suite.sip.replies import reply
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent
from suite.sip.subscriptions import SubscriptionEnd
from suite.sip.transactions import Timers
from suite.sip.user_agent import UserAgent, UserAgentSettings
from suite.sip.watchers import NotifierLimits
from tests.sip.grammar import Grammar
from tests.sip.peers import peer
from tests.sip.test_notifier import PIDF, WISH, Served, Shown, served, subscribe
from tests.sip.test_subscriber import notify
from tests.support.loopback import close
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

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


@dataclass(slots=True)
class Listeners:
    """The user agent that is fuzzed, and its ports beside that for UDP."""

    place: Served
    tcp_port: int
    tls_port: int
    tls: ssl.SSLContext

    async def batch(self, grammar: Grammar, messages: int) -> None:
        """Send messages by datagrams and by streams, then wait for an answer of each listener."""
        async with peer() as stranger:
            for _ in range(messages):
                with suppress(OSError):
                    stranger.send(grammar.message(), ("127.0.0.1", self.place.port))
                await asyncio.sleep(0)
            for number in range(messages // 10):
                await stream(self.tcp_port, grammar)
                if number % 4 == 0:  # a handshake costs as much as many messages
                    await stream(self.tls_port, grammar, self.tls)

            def lives() -> bool:
                via = f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKalive{time.monotonic_ns()};rport"
                asked = subscribe(method="OPTIONS", via=via, call_id="alive")
                stranger.send(asked, ("127.0.0.1", self.place.port))
                return any(each.headers.first("call-id") == "alive" for each in stranger.responses)

            await eventually(lives)
        for port, tls in ((self.tcp_port, None), (self.tls_port, self.tls)):
            await eventually(partial(pong, port, tls))


async def stream(port: int, grammar: Grammar, tls: ssl.SSLContext | None = None) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    with suppress(OSError):
        for piece in grammar.stream(8):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
    await close(writer)


async def pong(port: int, tls: ssl.SSLContext | None) -> bool:
    """Return whether a listener answers a ping."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(b"\r\n\r\n")
    try:
        return await reader.read(2) == b"\r\n"
    except OSError:
        return False
    finally:
        await close(writer)


class BadServer:
    """A server that answers SUBSCRIBEs with responses and NOTIFYs that are often not right, by UDP and TCP."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.asked = 0

    def script(self, request: SipRequest) -> list[bytes]:
        self.asked += 1
        grammar, (kind, body) = self.grammar, self.grammar.body()
        status = grammar.status()
        fields = [("Min-Expires", "90"), ("Retry-After", "1"), ("Contact", "<sip:ada@127.0.0.1:9>"), ("Expires", "5")]
        fields += [("WWW-Authenticate", each) for each in grammar.challenges()]
        told = notify(request, grammar.state(), number=self.asked, content_type=kind)
        told = replace(told, body=body)
        said = [reply(request, status, "Said", *fields, to_tag="server").to_bytes(), told.to_bytes(), grammar.message()]
        return [grammar.often_damaged(each) for each in said]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer over a connection."""
        parser = StreamParser()
        with suppress(MalformedMessage, OSError):
            while data := await reader.read(65536):
                for each in parser.feed(data):
                    if isinstance(each, SipRequest):
                        writer.write(b"".join(self.script(each)))
        await close(writer)


async def fuzz_client(grammar: Grammar, subscriber: Subscriber, rounds: int) -> None:
    """Subscribe and fetch at servers that are often wrong. However each ends, it ends, and nothing is left of it."""
    bad = BadServer(grammar)
    server = await asyncio.start_server(bad.serve, "127.0.0.1", 0)
    async with peer(bad.script) as datagrams, server:
        addresses = [(f"127.0.0.1:{datagrams.port}", "udp"), (f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "tcp")]
        logins = [DigestClient(Login(user="suite", password="x")) for _ in addresses]
        servers = [SipServer.at(*each, digest=login) for each, login in zip(addresses, logins, strict=True)]
        await asyncio.gather(*(subscribe_and_fetch(subscriber, each) for each in servers for _ in range(rounds)))
    assert bad.asked >= 2 * rounds


async def subscribe_and_fetch(subscriber: Subscriber, server: SipServer) -> None:
    events: list[SubscriptionEvent] = []
    begun = subscriber.subscribe(server, replace(WISH, resource_list=True), events.append)
    with suppress(SipError):
        await subscriber.fetch(server, WISH)
    await eventually(lambda: events)
    await begun.drop()
    assert [each for each in events if isinstance(each, SubscriptionEnd)] == events[-1:]


async def fuzz(seed: int, batches: int, seconds: float = 0.0) -> None:
    """Fuzz a user agent that does everything: at least so many batches, and so long."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    door = DigestServer(realm="teams", password_of={"ada": "secret"}.get)
    shown = Shown(states={"ada": "available", "": "x"}, door=door if seed % 2 else None)
    grammar, process, began, done, memory = Grammar(seed), psutil.Process(), time.monotonic(), 0, 0
    authority, ours, theirs = (
        trustme.CA(),
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    async with served(shown=shown, limits=FEW, settings=QUICK) as place, UserAgent(QUICK) as client:
        agent = place.agent
        _, tcp_port = await agent.listen("tcp", "127.0.0.1")
        _, tls_port = await agent.listen("tls", "127.0.0.1", tls=ours)
        listeners = Listeners(place, tcp_port, tls_port, theirs)
        publishing = PublishDoor(agent, shown, {"presence": PIDF})
        subscriber = Subscriber(client, per_s=1000)
        while done < batches or time.monotonic() - began < seconds:
            await listeners.batch(grammar, 200)
            await fuzz_client(grammar, subscriber, 10)
            done += 1
            shown.over.clear()
            shown.published_states.clear()
            if done == batches:
                memory = process.memory_info().rss
            assert errors == []
            assert len(place.notifier) <= 200
            for each in (agent, client):
                assert len(each.transactions) <= 4000
                assert each.transactions.kept_bytes <= 64 * 2**20
            assert len(publishing.publications) <= 50_000
        assert process.memory_info().rss < memory + 64 * 2**20
        publishing.close()
        await subscriber.close()
    assert errors == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_listeners_and_subscriptions_survive_a_grammar_fuzzer(seed: int, caplog: pytest.LogCaptureFixture):
    await fuzz(seed, batches=8)
    assert "This is a bug" not in caplog.text


@pytest.mark.soak
@pytest.mark.timeout(5400)
async def test_listeners_and_subscriptions_survive_a_grammar_fuzzer_for_an_hour(caplog: pytest.LogCaptureFixture):
    await fuzz(int(time.time()) | 1, batches=50, seconds=float(os.environ.get("FUZZ_SECONDS", "3600")))
    assert "This is a bug" not in caplog.text
