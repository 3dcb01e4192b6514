"""Subscriptions of ours at servers that do what they should not."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import pytest_asyncio

from suite.sip.challenges import DigestClient
from suite.sip.digest import Challenge, Login
from suite.sip.errors import SipRefusal, SipTimeout, SipUnreachable
from suite.sip.headers import Headers
from suite.sip.message import SipMessage, SipRequest, SipResponse
from suite.sip.replies import reply
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent, SubscriptionTrouble, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd, retry_s
from suite.sip.transactions import Timers
from suite.sip.user_agent import UserAgent, UserAgentSettings
from tests.sip.peers import Peer, Script, peer
from tests.support.valkey import free_port
from tests.support.waiting import eventually

QUICK = UserAgentSettings(timers=Timers(t1=0.02, t2=0.1, t4=0.1))
"""Gives up after 1.3 s: only for servers that do not answer, for a slow machine may take as long for an answer."""
_BRANCHES = itertools.count()
WISH = SubscriptionWish(uri="sip:ada@pbx.example", own_uri="sip:suite@pbx.example")


@asynccontextmanager
async def subscribing(settings: UserAgentSettings | None = None) -> AsyncIterator[Subscriber]:
    async with UserAgent(settings) as agent:
        await agent.listen("udp", "127.0.0.1")
        subscriber = Subscriber(agent, per_s=1000)
        yield subscriber
        await subscriber.close()


@pytest_asyncio.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    async with subscribing() as made:
        yield made


@pytest_asyncio.fixture
async def impatient() -> AsyncIterator[Subscriber]:
    """A subscriber that soon gives up waiting for an answer."""
    async with subscribing(QUICK) as made:
        yield made


def accepted(request: SipRequest, *fields: tuple[str, str]) -> SipResponse:
    return reply(request, 200, "OK", ("Contact", "<sip:ada@127.0.0.1>"), *fields, to_tag="server")


def notify(request: SipRequest, state: str = "active;expires=60", number: int = 1, **changes: str) -> SipRequest:
    """The NOTIFY that belongs to a SUBSCRIBE, but for the changes."""
    headers = request.headers
    said = {
        "via": f"SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKn{next(_BRANCHES)};rport",
        "from": f"{headers.first('to')};tag=server",
        "to": headers.first("from") or "",
        "call-id": headers.first("call-id") or "",
        "cseq": f"{number} NOTIFY",
        "event": "presence",
        "subscription-state": state,
    }
    fields = {**said, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return SipRequest(method="NOTIFY", uri="sip:suite@127.0.0.1", headers=Headers.of(*fields.items()))


def begin(subscriber: Subscriber, port: int, **changes: object) -> list[SubscriptionEvent]:
    events: list[SubscriptionEvent] = []
    server = SipServer.at(f"127.0.0.1:{port}", digest=DigestClient(Login(user="suite", password="x")))
    begun = subscriber.subscribe(server, replace(WISH, **changes), events.append)  # type: ignore[arg-type]
    begun.state.share = 0.2  # refreshes early: a slow machine has the rest of the time for it
    return events


async def end_of(subscriber: Subscriber, script: Script, **changes: object) -> tuple[SubscriptionEnd, Peer]:
    """Subscribe at a server, and return how that ends."""
    async with peer(script) as server:
        events = begin(subscriber, server.port, **changes)
        await eventually(lambda: events and isinstance(events[-1], SubscriptionEnd))
        end = events[-1]
        assert isinstance(end, SubscriptionEnd)
        assert [each for each in events if isinstance(each, SubscriptionEnd)] == [end]
        return end, server


async def test_a_server_that_takes_the_subscription_and_tells_nothing_is_given_up(subscriber: Subscriber):
    events: list[SubscriptionEvent] = []
    async with peer(lambda request: [accepted(request)]) as server:
        begun = subscriber.subscribe(SipServer.at(f"127.0.0.1:{server.port}"), WISH, events.append)
        begun.state.patience_s = 0.1  # not by the timers: they hold for the answer too
        await begun.ended()
    end = events[-1]
    assert isinstance(end, SubscriptionEnd)
    assert (end.reason, retry_s(end)) == ("silent", 30.0)


async def test_a_server_that_does_not_answer_is_given_up(impatient: Subscriber):
    end, server = await end_of(impatient, lambda _: [])
    assert end.reason == "no_answer"
    assert (len(server.requests), server.repeats > 0) == (1, True)


@pytest.mark.parametrize(
    ("status", "fields", "reason", "wait"),
    [
        (403, (), "refused", None),
        (404, (), "refused", None),
        (489, (), "refused", None),
        (481, (), "gone", 0.0),
        (503, (("Retry-After", "7 (maintenance)"),), "refused", 7.0),
        (503, (), "refused", 60.0),
        (302, (("Contact", "<sip:ada@127.0.0.1:1>"),), "refused", None),
    ],
)
async def test_a_refusal_ends_it_and_says_when_to_try_again(
    subscriber: Subscriber, status: int, fields: tuple[tuple[str, str], ...], reason: str, wait: float | None
):
    end, server = await end_of(subscriber, lambda request: [reply(request, status, "No", *fields)])
    assert (end.reason, retry_s(end)) == (reason, wait)
    assert len(server.requests) == 1


@pytest.mark.parametrize("stale", [False, True])
async def test_a_login_that_is_refused_with_ever_new_nonces_does_not_loop(subscriber: Subscriber, stale: bool):
    numbers = iter(range(1000))

    def script(request: SipRequest) -> list[SipMessage | bytes]:
        challenge = Challenge(realm="r", nonce=f"n{next(numbers)}", stale=stale).written()
        return [reply(request, 407, "Proxy Authentication Required", ("Proxy-Authenticate", challenge))]

    end, server = await end_of(subscriber, script)
    assert (end.reason, end.status, retry_s(end)) == ("denied", 407, None)
    assert len(server.requests) == (3 if stale else 2)


async def test_a_subscription_that_is_too_short_is_asked_for_again_once(subscriber: Subscriber):
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        return [reply(request, 423, "Interval Too Brief", ("Min-Expires", "90"))]

    end, server = await end_of(subscriber, script, expires_s=60)
    assert [each.headers.first("expires") for each in server.requests] == ["60", "90"]
    assert end.status == 423


async def test_a_notify_may_come_before_the_answer(subscriber: Subscriber):
    async with peer(lambda request: [notify(request), accepted(request)]) as server:
        events = begin(subscriber, server.port)
        await eventually(lambda: len(events) == 2)
        assert isinstance(events[0], Notification)
        await eventually(lambda: [each.status for each in server.responses] == [200])


async def test_a_notify_of_nobodys_subscription_is_answered_481(subscriber: Subscriber):
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        return [
            accepted(request),
            notify(request, call_id="other"),
            notify(request, number=2, to="<sip:suite@pbx.example>;tag=other"),
            notify(request, number=3, to="<sip:suite@pbx.example>"),
            notify(request, number=4, **{"from": "<sip:ada@pbx.example>;tag=fork"}),
            notify(request, number=5, event="dialog"),
        ]

    async with peer(script) as server:
        events = begin(subscriber, server.port)
        await eventually(lambda: [each.status for each in server.responses] == [481] * 5)
        assert not any(isinstance(each, Notification) for each in events)


async def test_a_notify_from_another_address_is_refused(subscriber: Subscriber):
    async with peer(lambda request: [accepted(request)]) as server, peer(host="127.0.0.2") as other:
        events = begin(subscriber, server.port)
        [request] = await eventually(lambda: server.requests)
        port = int((request.headers.values("via")[0].partition(";")[0]).rpartition(":")[2])
        assert (await other.answer(notify(request), ("127.0.0.1", port))).status == 403
        assert (await server.answer(notify(request, number=2), ("127.0.0.1", port))).status == 200
        assert sum(isinstance(each, Notification) for each in events) == 1


async def test_an_older_notify_and_one_without_a_state_change_nothing(subscriber: Subscriber):
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        return [accepted(request), notify(request, number=5), notify(request, number=4), notify(request, "", number=6)]

    async with peer(script) as server:
        events = begin(subscriber, server.port)
        await eventually(lambda: sorted(each.status for each in server.responses) == [200, 200, 400])
        assert sum(isinstance(each, Notification) for each in events) == 1


@pytest.mark.parametrize(
    ("state", "reason", "wait"),
    [
        ("terminated;reason=deactivated", "deactivated", 0.0),
        ("terminated;reason=probation;retry-after=9", "probation", 9.0),
        ("terminated;reason=giveup", "giveup", 30.0),
        ("Terminated ; Reason = rejected", "rejected", None),
        ("terminated;reason=noresource", "noresource", None),
        ("terminated", "ended", 30.0),
    ],
)
async def test_the_reason_of_the_end_says_when_to_try_again(
    subscriber: Subscriber, state: str, reason: str, wait: float | None
):
    end, _ = await end_of(subscriber, lambda request: [accepted(request), notify(request, state)])
    assert (end.reason, retry_s(end)) == (reason, wait)


async def test_a_refresh_that_is_answered_481_ends_it(subscriber: Subscriber):
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        if "tag=server" in (request.headers.first("to") or ""):
            return [reply(request, 481, "Subscription Does Not Exist")]
        return [accepted(request, ("Expires", "5")), notify(request)]

    end, server = await end_of(subscriber, script)
    assert end.reason == "gone"
    assert len({each.headers.first("call-id") for each in server.requests}) == 1


async def test_answers_to_other_requests_are_dropped(subscriber: Subscriber):
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        other = request.headers.with_first("via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKforged")
        return [reply(request.with_headers(other), 403, "Forged"), accepted(request), notify(request)]

    async with peer(script) as server:
        events = begin(subscriber, server.port)
        await eventually(lambda: len(events) == 2)
        assert subscriber.agent.transactions.dropped_responses == 1


async def test_a_fetch_returns_one_state_or_says_why_not(subscriber: Subscriber, impatient: Subscriber):
    async with peer(lambda request: [accepted(request), notify(request, "terminated;reason=timeout")]) as server:
        assert (await subscriber.fetch(SipServer.at(f"127.0.0.1:{server.port}"), WISH)).is_end
        assert server.requests[0].headers.first("expires") == "0"
    for asking, script, error in (
        (impatient, lambda request: [accepted(request)], SipTimeout),
        (impatient, lambda _: [], SipTimeout),
        (subscriber, lambda request: [reply(request, 404, "Not Found")], SipRefusal),
    ):
        async with peer(script) as server:  # type: ignore[arg-type]
            with pytest.raises(error):
                await asking.fetch(SipServer.at(f"127.0.0.1:{server.port}"), WISH)


async def test_nothing_listens_there(subscriber: Subscriber):
    with pytest.raises(SipUnreachable):
        await subscriber.fetch(SipServer.at(f"127.0.0.1:{free_port()}", "tcp"), WISH)


async def test_trouble_at_a_refresh_is_told_and_ends_with_the_time(impatient: Subscriber):
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        if "tag=server" in (request.headers.first("to") or ""):
            return []
        return [accepted(request, ("Expires", "5")), notify(request, "active;expires=5")]

    async with peer(script) as server:
        events = begin(impatient, server.port)
        await eventually(lambda: any(isinstance(each, SubscriptionTrouble) for each in events))
        await eventually(lambda: isinstance(events[-1], SubscriptionEnd))
        end = events[-1]
        assert isinstance(end, SubscriptionEnd)
        assert end.reason == "expired"


async def test_a_bug_in_a_listener_does_not_end_the_subscription(
    subscriber: Subscriber, caplog: pytest.LogCaptureFixture
):
    told: list[SubscriptionEvent] = []

    def listener(event: SubscriptionEvent) -> None:
        told.append(event)
        raise ValueError("bug")

    async with peer(lambda request: [accepted(request), notify(request), notify(request, number=2)]) as server:
        subscriber.subscribe(SipServer.at(f"127.0.0.1:{server.port}"), WISH, listener)
        await eventually(lambda: [each.status for each in server.responses] == [200, 200])
        await eventually(lambda: len(told) == 3)
    assert any(each.name == "suite.sip.subscriber" for each in caplog.records)
