"""Subscriptions of others at a user agent of ours: two of ours over each protocol, and strangers by datagrams."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trustme

from suite.sip.challenges import AuthenticatedUser, DigestClient, DigestServer
from suite.sip.digest import Login
from suite.sip.errors import SipDenied, SipRefusal
from suite.sip.flows import SipProtocol, TransportLimits
from suite.sip.headers import Headers
from suite.sip.incoming import Incoming, Refusal
from suite.sip.message import SipRequest
from suite.sip.notifier import Notifier, Watcher
from suite.sip.publications import Publications, PublishedState
from suite.sip.publish_door import PublishDoor
from suite.sip.replies import reply
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionEvent, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd
from suite.sip.transactions import Timers
from suite.sip.uris import host_port
from suite.sip.user_agent import UserAgent, UserAgentSettings
from suite.sip.watchers import NotifierLimits, NotifyBody
from tests.sip.peers import peer
from tests.sip.publication import Publication
from tests.support.waiting import eventually

PIDF = "application/pidf+xml"
WISH = SubscriptionWish(uri="sip:ada@teams.example", own_uri="sip:phone@teams.example")
LIMITS = NotifierLimits(shortest_s=1)


@dataclass
class Shown:
    """States of users by the user part of the URI; who is none of them is not found."""

    states: dict[str, str] = field(default_factory=lambda: {"ada": "available"})
    door: DigestServer | None = None
    over: list[Watcher] = field(default_factory=list)
    published_states: list[bytes] = field(default_factory=list)
    per_s: float = 0.0

    def admit(self, incoming: Incoming) -> Refusal | None:
        refused = self.admit_again(incoming)
        if refused is not None:
            return refused
        user = incoming.request.uri.partition(":")[2].partition("@")[0]
        return None if user in self.states else (404, "Not Found", ())

    def admit_again(self, incoming: Incoming) -> Refusal | None:
        if self.door is not None:
            who = self.door.check(incoming.request, asyncio.get_running_loop().time())
            if not isinstance(who, AuthenticatedUser):
                return 401, "Unauthorized", tuple(who)
        return None

    def is_list(self, uri: str) -> bool:
        return False

    def pace(self, watcher: Watcher) -> float:
        return self.per_s

    def body(self, watcher: Watcher) -> NotifyBody | None:
        state = self.states[watcher.uri.partition(":")[2].partition("@")[0]]
        return NotifyBody(content_type=PIDF, body=state.encode()) if state else None

    def ended(self, watcher: Watcher) -> None:
        self.over.append(watcher)

    def published(self, state: PublishedState, replaced: PublishedState | None) -> None:
        self.published_states.append(state.body)

    def withdrawn(self, state: PublishedState) -> None:
        self.published_states.append(b"withdrawn " + state.body)


@dataclass
class Served:
    agent: UserAgent
    notifier: Notifier
    shown: Shown
    server: SipServer
    port: int
    tls: ssl.SSLContext


@asynccontextmanager
async def served(
    protocol: SipProtocol = "udp",
    *,
    shown: Shown | None = None,
    limits: NotifierLimits = LIMITS,
    settings: UserAgentSettings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    name: str = "127.0.0.1",
) -> AsyncIterator[Served]:
    """A user agent that tells states, and the address for others. `name` is that of its certificate."""
    shown = shown or Shown()
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(ours)
    authority.configure_trust(theirs)
    async with UserAgent(settings) as agent:
        _, port = await agent.listen(protocol, host, port, tls=ours)
        notifier = Notifier(agent, shown, {"presence": PIDF}, limits)
        yield Served(agent, notifier, shown, SipServer.at(host_port(host, port), protocol, tls=theirs), port, ours)
        for each in notifier:
            await each.drop()


def states(events: list[SubscriptionEvent]) -> list[str]:
    return [each.body.decode() for each in events if isinstance(each, Notification)]


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
async def test_a_phone_sees_each_change_until_it_unsubscribes(protocol: SipProtocol):
    events: list[SubscriptionEvent] = []
    async with served(protocol) as place, UserAgent() as phone:
        subscription = Subscriber(phone).subscribe(place.server, WISH, events.append)
        for state in ("away", "", "busy"):
            await eventually(lambda: states(events) and states(events)[-1] == place.shown.states["ada"])
            place.shown.states["ada"] = state
            for watcher in place.notifier:
                watcher.changed()
        await eventually(lambda: states(events) == ["available", "away", "", "busy"])
        await subscription.unsubscribe()
        await eventually(lambda: len(place.shown.over) == 1 and len(place.notifier) == 0)
    assert states(events) == ["available", "away", "", "busy", "busy"]
    assert events[-1] == SubscriptionEnd(reason="unsubscribed")


async def test_many_changes_at_once_end_with_the_newest_state():
    events: list[SubscriptionEvent] = []
    async with served() as place, UserAgent() as phone:
        Subscriber(phone).subscribe(place.server, WISH, events.append)
        await eventually(lambda: states(events))
        for number in range(500):
            place.shown.states["ada"] = str(number)
            for watcher in place.notifier:
                watcher.changed()
        await eventually(lambda: states(events)[-1] == "499")
        assert len(states(events)) < 10


async def test_a_fetch_gets_one_state_and_leaves_nothing():
    async with served() as place, UserAgent() as phone:
        got = await Subscriber(phone).fetch(place.server, WISH)
        assert (got.body, got.state) == (b"available", "terminated")
        await eventually(lambda: len(place.notifier) == 0)
        with pytest.raises(SipRefusal) as refused:
            await Subscriber(phone).fetch(place.server, replace(WISH, uri="sip:nobody@teams.example"))
        assert refused.value.status == 404


async def test_a_phone_that_never_refreshes_is_told_the_end():
    async with served() as place, peer(lambda request: [reply(request, 200, "OK")]) as phone:
        await phone.answer(subscribe(expires="1"), ("127.0.0.1", place.port))
        await eventually(
            lambda: (
                [each.headers.first("subscription-state") for each in phone.requests][-1:]
                == ["terminated;reason=timeout"]
            )
        )
        await eventually(lambda: len(place.notifier) == 0)


async def test_a_phone_that_answers_no_notify_is_forgotten():
    quick = UserAgentSettings(timers=Timers(t1=0.01, t2=0.05))
    async with served(settings=quick) as place, peer() as phone:
        await phone.answer(subscribe(), ("127.0.0.1", place.port))
        await eventually(lambda: len(place.shown.over) == 1)


@pytest.mark.parametrize("status", [481, 404, 500])
async def test_a_phone_that_refuses_a_notify_is_forgotten(status: int):
    async with served() as place, peer(lambda request: [reply(request, status, "No")]) as phone:
        await phone.answer(subscribe(), ("127.0.0.1", place.port))
        await eventually(lambda: len(place.shown.over) == 1)


async def test_all_are_told_when_we_stop():
    events: list[SubscriptionEvent] = []
    async with served() as place, UserAgent() as phone:
        Subscriber(phone).subscribe(place.server, WISH, events.append)
        await eventually(lambda: states(events))
        await place.notifier.close()
        await eventually(lambda: isinstance(events[-1], SubscriptionEnd))
        assert events[-1] == SubscriptionEnd(reason="deactivated")


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256", "MD5")])
async def test_a_login_is_asked_for(algorithms: tuple[str, ...]):
    door = DigestServer(realm="teams", password_of={"phone": "secret"}.get, algorithms=algorithms)
    async with served(shown=Shown(door=door)) as place, UserAgent() as phone:
        right = replace(place.server, digest=DigestClient(Login(user="phone", password="secret")))
        assert (await Subscriber(phone).fetch(right, WISH)).body == b"available"
        for digest in (DigestClient(None), DigestClient(Login(user="phone", password="wrong"))):
            with pytest.raises(SipDenied):
                await Subscriber(phone).fetch(replace(place.server, digest=digest), WISH)


def subscribe(*fields: tuple[str, str], expires: str = "600", **changes: str) -> SipRequest:
    """A SUBSCRIBE of a stranger, but for the changes."""
    said = {
        "via": f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{id(fields)}{id(changes)};rport",
        "from": "<sip:phone@teams.example>;tag=phone",
        "to": "<sip:ada@teams.example>",
        "call-id": "call",
        "cseq": "1 SUBSCRIBE",
        "contact": "<sip:phone@127.0.0.1:9>",
        "event": "presence",
        "expires": expires,
    }
    merged = {**said, **{name.replace("_", "-"): value for name, value in changes.items() if name != "method"}}
    method = changes.get("method", "SUBSCRIBE")
    merged["cseq"] = changes.get("cseq", f"1 {method}")
    headers = Headers.of(*((name, value) for name, value in merged.items() if value), *fields)
    return SipRequest(method=method, uri=changes.get("uri", "sip:ada@teams.example"), headers=headers)


@pytest.mark.parametrize(
    ("request_", "status", "field"),
    [
        (subscribe(method="MESSAGE"), 405, ("allow", "OPTIONS, SUBSCRIBE")),
        (subscribe(method="INVITE"), 405, ("allow", "OPTIONS, SUBSCRIBE")),
        (subscribe(method="OPTIONS"), 200, ("allow", "OPTIONS, SUBSCRIBE")),
        (subscribe(("Require", "eventlist, 100rel")), 420, ("unsupported", "100rel")),
        (subscribe(("Content-Encoding", "gzip")), 415, ("accept-encoding", "identity")),
        (subscribe(event="dialog"), 489, ("allow-events", "presence")),
        (subscribe(event=""), 489, ("allow-events", "presence")),
        (subscribe(expires="0001"), 200, ("expires", "1")),
        (subscribe(expires="999999999"), 200, ("expires", "3600")),
        (subscribe(expires="nonsense"), 200, ("expires", "3600")),
        (subscribe(accept="text/plain"), 406, ("accept", PIDF)),
        (subscribe(to="<sip:ada@teams.example>;tag=gone"), 481, None),
        (subscribe(uri="mailto:ada@teams.example"), 416, None),
        (subscribe(uri="sip:ada@te[ams"), 400, None),
        (subscribe(contact=""), 400, None),
        (subscribe(contact="<mailto:x>"), 400, None),
        (subscribe(**{"from": "<sip:phone@teams.example>"}), 400, None),
        (subscribe(**{"from": "nonsense"}), 400, None),
        (subscribe(to="<sip:y;self=1>"), 400, None),
        (subscribe(uri="sip:ben@teams.example"), 404, None),
    ],
)
async def test_requests_that_are_not_right_are_answered_so(
    request_: SipRequest, status: int, field: tuple[str, str] | None
):
    async with served() as place, peer() as stranger:
        answer = await stranger.answer(request_, ("127.0.0.1", place.port))
        assert answer.status == status
        if field is not None:
            assert answer.headers.first(field[0]) == field[1]
        assert answer.headers.first("to") != request_.headers.first("to") or status == 481


async def test_too_short_is_answered_423_with_the_shortest_time():
    async with served(limits=NotifierLimits()) as place, peer() as stranger:
        answer = await stranger.answer(subscribe(expires="59"), ("127.0.0.1", place.port))
        assert (answer.status, answer.headers.first("min-expires")) == (423, "60")


async def test_a_body_that_is_shorter_than_it_says_is_answered_400():
    async with served() as place, peer() as stranger:
        data = subscribe().to_bytes().replace(b"Content-Length: 0", b"Content-Length: 500")
        assert (await stranger.answer(data, ("127.0.0.1", place.port))).status == 400


async def test_the_same_request_by_two_ways_is_answered_482():
    async with served() as place, peer() as stranger:
        first = subscribe(via="SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKone;rport")
        second = subscribe(via="SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKtwo;rport")
        assert (await stranger.answer(first, ("127.0.0.1", place.port))).status == 200
        assert (await stranger.answer(first, ("127.0.0.1", place.port))).status == 200
        assert (await stranger.answer(second, ("127.0.0.1", place.port))).status == 482
        assert len(place.notifier) == 1


async def test_the_answer_goes_to_the_port_of_the_via_without_rport():
    async with served() as place, peer() as stranger, peer() as listed:
        via = f"SIP/2.0/UDP 10.1.2.3:{listed.port};branch=z9hG4bKold"
        stranger.send(subscribe(via=via), ("127.0.0.1", place.port))
        [answer] = await eventually(lambda: listed.responses)
        assert "received=127.0.0.1" in (answer.headers.first("via") or "")


async def test_subscriptions_beyond_the_bound_are_refused():
    limits = NotifierLimits(watchers_of_an_address=2)
    async with served(limits=limits) as place, peer(lambda request: [reply(request, 200, "OK")]) as phone:
        statuses = []
        for number in range(3):
            asked = subscribe(call_id=f"c{number}", via=f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKb{number};rport")
            statuses.append((await phone.answer(asked, ("127.0.0.1", place.port))).status)
        assert statuses == [200, 200, 503]


async def test_the_body_of_a_subscribe_is_not_kept():
    async with served("tcp") as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        asked = replace(subscribe(), body=b"x" * 60_000)
        writer.write(asked.to_bytes())
        assert await reader.readuntil(b"\r\n") == b"SIP/2.0 200 OK\r\n"
        assert [each.request.body for each in place.notifier] == [b""]
        assert len(place.notifier) == 1
        writer.close()


@pytest.mark.long
async def test_ten_thousand_subscribes_at_once_from_one_address_are_refused_cheaply():
    limits = TransportLimits(requests_per_s=0.001, burst=100)  # so slow that no machine is slower
    async with served(settings=UserAgentSettings(limits=limits)) as place, peer() as attacker:
        for number in range(10_000):
            via = f"SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKf{number};rport"
            attacker.send(subscribe(via=via, call_id=str(number)), ("127.0.0.1", place.port))
            await asyncio.sleep(0)
        await eventually(lambda: place.agent.transport.counts["rate"] > 1000)
        assert len(place.notifier) <= 100
        async with peer(lambda request: [reply(request, 200, "OK")], host="127.0.0.2") as phone:
            mine = subscribe(call_id="mine", via="SIP/2.0/UDP 127.0.0.2:9;branch=z9hG4bKmine;rport")
            assert (await phone.answer(mine, ("127.0.0.1", place.port))).status == 200


async def test_a_state_is_published_refreshed_changed_and_withdrawn():
    async with served("tcp") as place, UserAgent() as pbx:
        publications = Publications(shortest_s=1)
        door = PublishDoor(place.agent, place.shown, {"presence": PIDF}, publications)
        mine = Publication(pbx, place.server, "sip:ada@teams.example", expires_s=3600)
        mine.update(b"one")
        await eventually(lambda: place.shown.published_states == [b"one"])
        mine.update(b"two")
        await eventually(lambda: place.shown.published_states == [b"one", b"two"])
        await eventually(lambda: mine.tag is not None)
        publications.expire(1e12)  # the server forgets it
        mine.update(b"three")
        await eventually(lambda: place.shown.published_states == [b"one", b"two", b"three"])
        await mine.withdraw()
        assert place.shown.published_states[-1] == b"withdrawn three"
        door.close()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"content_type": "text/plain"}, 415),
        ({"event": "dialog"}, 489),
        ({"uri": "sip:nobody@teams.example"}, 404),
        ({"sip_if_match": "forged"}, 412),
        ({"expires": "1"}, 423),
    ],
)
async def test_a_publication_is_checked(changes: dict[str, str], status: int):
    async with served() as place, peer() as pbx:
        door = PublishDoor(place.agent, place.shown, {"presence": PIDF})
        asked = subscribe(method="PUBLISH", **{"content_type": PIDF, **changes})
        asked = SipRequest(method="PUBLISH", uri=asked.uri, headers=asked.headers, body=b"state")
        answer = await pbx.answer(asked, ("127.0.0.1", place.port))
        assert answer.status == status
        assert (answer.headers.first("sip-etag") is not None) == (status == 200)
        door.close()


async def test_the_route_of_a_proxy_is_in_the_answer_and_in_the_notify():
    async with served() as place, peer(lambda request: [reply(request, 200, "OK")]) as proxy:
        answer = await proxy.answer(subscribe(("Record-Route", "<sip:proxy;lr>")), ("127.0.0.1", place.port))
        assert answer.headers.lines("record-route") == ["<sip:proxy;lr>"]
        [notify] = await eventually(lambda: proxy.requests)
        assert notify.headers.lines("route") == ["<sip:proxy;lr>"]


async def test_a_phone_whose_connection_broke_is_told_the_state_over_the_next_one():
    async with served("tcp") as place:
        said = []
        for number, way in ((1, "one"), (2, "two")):
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            tag = "" if not said else f";tag={said[0].partition('tag=')[2]}"
            via = f"SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{way};rport"
            asked = subscribe(via=via, to=f"<sip:ada@teams.example>{tag}", cseq=f"{number} SUBSCRIBE")
            writer.write(asked.to_bytes())
            text = (await reader.readuntil(b"\r\n\r\n")).decode()
            said.append(next(line for line in text.split("\r\n") if line.startswith("To:")))
            assert b"available" in await reader.readuntil(b"available")
            writer.close()
            await eventually(lambda: place.agent.transport.counts["notify_lost"] == len(said))
        assert len(place.notifier) == 1


async def test_a_bug_in_a_handler_fails_one_request_and_not_the_connection(caplog: pytest.LogCaptureFixture):
    async with served("tcp") as place, UserAgent() as phone:
        place.shown.states = None  # type: ignore[assignment]
        with pytest.raises(SipRefusal) as refused:
            await Subscriber(phone).fetch(place.server, WISH)
        place.shown.states = {"ada": "available"}
        assert (await Subscriber(phone).fetch(place.server, WISH)).body == b"available"
        assert len(place.agent.transport._streams) == 1
    assert refused.value.status == 500
    assert sum(each.name == "suite.sip.user_agent" for each in caplog.records) == 1
