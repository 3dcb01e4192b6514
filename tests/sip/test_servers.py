"""Where requests go: addresses, names, SRV records, and the next target when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.errors import SipRefusal, SipTimeout, SipUnreachable
from suite.sip.flows import SipProtocol
from suite.sip.message import SipMessage, SipRequest
from suite.sip.replies import reply
from suite.sip.servers import SipServer
from suite.sip.srv import MOST_TARGETS, SipTarget, SrvRecord, TargetsHeld, in_order
from suite.sip.subscriber import Subscriber, SubscriptionEvent
from suite.sip.subscriptions import Notification
from suite.sip.user_agent import UserAgent
from tests.sip.nameserver import NameServer, nameserver
from tests.sip.peers import peer
from tests.sip.test_notifier import WISH, served
from tests.sip.test_subscriber import QUICK, accepted, notify
from tests.support.valkey import free_port
from tests.support.waiting import eventually

SERVICES: dict[SipProtocol, str] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
NAME = "pbx.example"


def named(names: NameServer, protocol: SipProtocol = "udp", name: str = NAME) -> SipServer:
    return replace(SipServer.at(name, protocol), name_servers=(names.address,))


def records(
    *targets: tuple[int, int], host: str = "127.0.0.1", protocol: SipProtocol = "udp"
) -> dict[str, Sequence[str]]:
    """SRV records of the name: (priority, port)."""
    return {f"{SERVICES[protocol]}.{NAME}": [f"{priority} 1 {port} {host}." for priority, port in targets]}


# ---- the order of targets --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.builds(SrvRecord, *[st.integers(0, 3)] * 2, st.just(5060), st.sampled_from("abcde"))), st.floats(0, 1)
)
def test_all_records_are_tried_by_priority(found: list[SrvRecord], share: float):
    ordered = in_order(found, lambda most: share * most)
    assert sorted(map(repr, ordered)) == sorted(map(repr, found))
    assert [each.priority for each in ordered] == sorted(each.priority for each in found)


def test_weights_share_out_the_first_place():
    found = [SrvRecord(1, weight, 5060, str(weight)) for weight in (60, 20, 20, 0)]
    first = [in_order(found, lambda most, at=at: at / 1000 * most)[0].weight for at in range(1, 1001)]
    assert (first.count(60), first.count(20), first.count(0)) == (600, 400, 0)


def test_what_failed_comes_last_for_a_while_and_what_works_stays_first():
    a, b, c = SipTarget("a", 1, 0), SipTarget("b", 1, 0), SipTarget("c", 1, 5)
    held = TargetsHeld()
    held.take([a, b, c], 60)
    held.works(b)
    assert held.in_order(0) == [b, a, c]
    held.failed(b, 1)
    held.failed(a, 2)
    assert held.in_order(3) == [c, b, a]
    held.works(a)
    assert held.in_order(4) == [a, c, b]
    assert held.in_order(302) == [a, b, c]


def test_few_targets_are_kept():
    held = TargetsHeld()
    held.take([SipTarget(str(number // 2), 1) for number in range(1000)], 60)
    assert [each.host for each in held.in_order(0)] == [str(number) for number in range(MOST_TARGETS)]
    held.failed(SipTarget("0", 1), 1)
    held.take([SipTarget("new", 1)], 60)
    assert held._failed == {}


# ---- what is looked up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
async def test_a_name_without_a_port_is_found_by_its_srv_records(protocol: SipProtocol):
    """By TLS the certificate must have the name that was set, and not the one that the name server tells (RFC 5922)."""
    async with (
        served(protocol, name=NAME) as place,
        UserAgent() as phone,
        nameserver(records((10, place.port), protocol=protocol)) as names,
    ):
        server = replace(named(names, protocol), tls=place.server.tls)
        assert isinstance(await Subscriber(phone).fetch(server, WISH), Notification)
        assert list(names.asked) == [f"{SERVICES[protocol]}.{NAME}"]


async def test_the_certificate_of_a_target_is_not_enough():
    async with (
        served("tls", name="127.0.0.1") as place,
        UserAgent() as phone,
        nameserver(records((10, place.port), protocol="tls")) as names,
    ):
        with pytest.raises(SipUnreachable, match="mismatch"):
            await Subscriber(phone).fetch(replace(named(names, "tls"), tls=place.server.tls), WISH)


async def test_a_target_may_be_an_ipv6_address():
    async with (
        served("udp", host="::1") as place,
        UserAgent() as phone,
        nameserver(records((10, place.port), host="::1")) as names,
    ):
        assert isinstance(await Subscriber(phone).fetch(named(names), WISH), Notification)


async def test_a_machine_without_a_socket_for_an_address_says_so(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise OSError("no IPv6 here")

    async with UserAgent() as phone:
        monkeypatch.setattr(asyncio.get_running_loop(), "create_datagram_endpoint", refused)
        with pytest.raises(SipUnreachable, match="no IPv6 here"):
            await Subscriber(phone).fetch(SipServer.at("[::1]:5060"), WISH)


# 127.1 is a name for the system, which knows it without a name server.
@pytest.mark.parametrize(("protocol", "port"), [("udp", 5060), ("tcp", 5060), ("tls", 5061)])
@pytest.mark.parametrize("answer", [None, dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_a_name_without_srv_records_has_the_default_port(
    protocol: SipProtocol, port: int, answer: dns.rcode.Rcode | None
):
    async with nameserver({}) as names:
        names.rcode = answer
        assert await named(names, protocol, "127.1").targets() == [SipTarget("127.0.0.1", port)]
        assert names.asked[f"{SERVICES[protocol]}.127.1"] > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]", "localhost", "pbx.localhost", "127.1:5070"])
async def test_no_name_server_is_asked_for_an_address_a_port_or_this_machine(address: str):
    async with nameserver({}) as names:
        server = named(names, name=address)
        try:
            assert await server.targets()
        except SipUnreachable:
            assert address == "pbx.localhost"  # not every system knows such names
        assert not names.asked


async def test_a_name_that_says_that_it_has_no_such_service_is_believed():
    async with nameserver({f"_sip._udp.{NAME}": ["0 0 0 ."]}) as names:
        with pytest.raises(SipUnreachable, match=r"has no _sip\._udp"):
            await named(names).targets()


async def test_targets_that_nobody_knows_are_passed_over():
    both = ["1 1 1 no-such-name.invalid.", "2 1 2 127.0.0.1."]
    async with nameserver({f"_sip._udp.{NAME}": both, "_sip._udp.x.example": both[:1]}) as names:
        assert await named(names).targets() == [SipTarget("127.0.0.1", 2, 2)]
        with pytest.raises(SipUnreachable, match="None of the names"):
            await named(names, name="x.example").targets()


async def test_many_requests_share_a_look_up_and_it_is_renewed_later():
    async with nameserver(records((1, 1))) as names:
        server = named(names)
        found = await asyncio.gather(*(server.targets() for _ in range(50)))
        assert found == [[SipTarget("127.0.0.1", 1, 1)]] * 50
        assert names.asked.total() == 1
        names.records = records((1, 2))
        server._finding.held.kept_until = 0
        assert await server.targets() == [SipTarget("127.0.0.1", 2, 1)]


async def test_the_old_targets_count_while_nobody_tells_new_ones():
    async with nameserver({"_sip._udp.127.1": ["1 1 1 127.0.0.1."]}) as names:
        server = named(names, name="127.1")  # without the records its port would be another one
        before = await server.targets()
        assert before == [SipTarget("127.0.0.1", 1, 1)]
        for rcode, said in ((dns.rcode.SERVFAIL, {}), (None, {"_sip._udp.127.1": ["0 0 0 ."]})):
            names.rcode, names.records = rcode, said
            server._finding.held.kept_until = 0
            assert await server.targets() == before


# ---- the next target -------------------------------------------------------------------------------------------------------


async def test_when_a_target_takes_no_connection_the_next_one_is_asked_and_stays_the_first():
    async with (
        served("tcp") as place,
        UserAgent() as phone,
        nameserver(records((1, free_port()), (2, place.port), protocol="tcp")) as names,
    ):
        server = named(names, "tcp")
        for _ in range(2):
            assert isinstance(await Subscriber(phone).fetch(server, WISH), Notification)
        assert (await server.targets())[0].port == place.port


@pytest.mark.parametrize("refusal", [None, 503])
async def test_when_a_target_does_not_answer_or_is_overloaded_the_next_one_is_asked(refusal: int | None):
    def first(request: SipRequest) -> list[SipMessage | bytes]:
        return [reply(request, refusal, "Overloaded", ("Retry-After", "60"))] if refusal else []

    def second(request: SipRequest) -> list[SipMessage | bytes]:
        return [accepted(request), notify(request)]

    events: list[SubscriptionEvent] = []
    async with peer(first) as dead, peer(second, "127.0.0.2") as alive, UserAgent(QUICK) as phone:
        said = [f"1 1 {dead.port} 127.0.0.1.", f"2 1 {alive.port} 127.0.0.2."]
        async with nameserver({f"_sip._udp.{NAME}": said}) as names:
            subscriber = Subscriber(phone)
            subscription = subscriber.subscribe(named(names), WISH, events.append)
            await eventually(lambda: any(isinstance(each, Notification) for each in events))
            await subscription.drop()
        assert [len(dead.requests), len(alive.requests)] == [1, 1]
        assert [each.status for each in alive.responses] == [200]  # its NOTIFY may come from there


async def test_targets_that_are_all_silent_share_the_time_of_one():
    async with peer() as one, peer() as two, peer() as three, UserAgent(QUICK) as phone:
        async with nameserver(records((1, one.port), (2, two.port), (3, three.port))) as names:
            server = named(names)
            with pytest.raises(SipTimeout, match="share of the time"):
                await Subscriber(phone).fetch(server, WISH)
            # Each is left before its transaction would end; the last one that failed comes last.
            assert [each.port for each in await server.targets()] == [one.port, two.port, three.port]
            assert len(phone.transactions) == 0
        assert [len(each.requests) for each in (one, two, three)] == [1, 1, 1]


async def test_all_targets_are_overloaded():
    def script(request: SipRequest) -> list[SipMessage | bytes]:
        return [reply(request, 503, "Overloaded", ("Retry-After", "60"))]

    async with peer(script) as one, peer(script) as two, UserAgent() as phone:
        async with nameserver(records((1, one.port), (2, two.port))) as names:
            with pytest.raises(SipRefusal) as refused:
                await Subscriber(phone).fetch(named(names), WISH)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 60)
        assert [len(each.requests) for each in (one, two)] == [1, 1]
