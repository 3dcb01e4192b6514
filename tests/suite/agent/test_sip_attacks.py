"""Attacks on the agent's SIP server by somebody who has a foot in the door: a subscription, a connection, a login that was taken back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network
from types import MappingProxyType

import pytest
import trustme

from suite.agent.core.values import RichState
from suite.agent.settings.groups.sip_server import SipServerSettings
from suite.agent.settings.sip_files import SipLogin
from suite.sip.challenges import DigestClient
from suite.sip.digest import Login
from suite.sip.errors import SipDenied, SipRefusal, SipUnreachable
from suite.sip.message import SipMessage, SipRequest, SipResponse
from suite.sip.replies import reply
from suite.sip.subscriptions import SubscriptionEnd
from tests.sip.peers import Peer, peer
from tests.suite.agent.agents import certificate
from tests.suite.agent.phones import Display, asked, phones_place, presence_of, watching
from tests.support.waiting import eventually

LOGINS = MappingProxyType({"lobby": SipLogin(password="a secret"), "desk": SipLogin(password="of its own")})
LOBBY = Login(user="lobby", password="a secret")


def ok(request: SipRequest) -> Iterable[SipMessage | bytes]:
    return [reply(request, 200, "OK")]


def refreshing(first: SipRequest, accepted: SipResponse, number: int, *fields: tuple[str, str]) -> SipRequest:
    """The SUBSCRIBE within the dialog that another one began."""
    headers = first.headers
    return asked(
        *fields,
        **{
            "from": headers.first("from") or "",
            "to": accepted.headers.first("to") or "",
            "call-id": headers.first("call-id") or "",
            "cseq": f"{number} SUBSCRIBE",
        },
    )


async def test_a_subscription_does_not_move_to_an_address_that_may_not_watch():
    """Else whoever subscribes and forges a victim's address in the refresh has the agent send its notifications there."""
    settings = SipServerSettings(networks=(ip_network("127.0.0.1/32"),))
    async with phones_place(settings=settings) as place, peer(ok) as phone, peer(ok, host="127.0.0.2") as victim:
        first = asked()
        accepted = await phone.answer(first, place.udp)
        assert accepted.status == 200
        await eventually(lambda: phone.requests)
        moved = await victim.answer(refreshing(first, accepted, 2), place.udp)
        assert moved.status == 403
        place.say(RichState.BUSY)
        await eventually(lambda: len(phone.requests) == 2)
        assert not victim.requests


async def test_a_subscription_that_comes_another_way_logs_in_again():
    async with phones_place(settings=SipServerSettings(logins=LOGINS)) as place, peer(ok) as phone, peer(ok) as thief:
        digest, first = DigestClient(LOBBY), asked()
        digest.challenged(await phone.answer(first, place.udp), first, 1)
        first = digest.prepare(asked())
        accepted = await phone.answer(first, place.udp)
        assert accepted.status == 200
        assert (await phone.answer(refreshing(first, accepted, 2), place.udp)).status == 200
        assert (await thief.answer(refreshing(first, accepted, 3), place.udp)).status == 401
        # The refusal took nothing from the phone: not even the number of its next request.
        assert (await phone.answer(refreshing(first, accepted, 3), place.udp)).status == 200
        again = digest.prepare(refreshing(first, accepted, 4))
        assert (await thief.answer(again, place.udp)).status == 200


async def test_a_password_that_is_changed_ends_the_subscriptions_of_the_old_one():
    display, others = Display(), Display()
    async with phones_place(settings=SipServerSettings(logins=LOGINS)) as place, watching() as phone:
        server = place.at("udp", LOBBY)
        phone.subscribe(server, presence_of(), display)
        phone.subscribe(place.at("tcp", Login(user="desk", password="of its own")), presence_of(), others)
        await eventually(lambda: display.note and others.note)
        changed = {**LOGINS, "lobby": SipLogin(password="another secret")}
        place.server.adjust(replace(place.settings, logins=changed))
        await eventually(lambda: display.end == SubscriptionEnd(reason="deactivated"))
        with pytest.raises(SipDenied):
            await phone.fetch(server, presence_of())
        assert others.end is None


async def test_an_address_that_answers_no_list_is_sent_no_more_of_them():
    """One datagram from a forged address has the victim sent a thousand times its bytes, with those that are sent again."""
    lists = (("Supported", "eventlist"), ("Accept", "application/rlmi+xml, multipart/related, application/pidf+xml"))
    async with phones_place() as place, peer() as victim, peer(ok, host="127.0.0.2") as phone:

        async def ask(one: Peer) -> int:
            told = len(one.requests)
            answer = await one.answer(asked(*lists, who="everyone@pbx.example"), place.udp)
            if answer.status == 200:
                await eventually(lambda: len(one.requests) > told)
            return answer.status

        assert [await ask(victim) for _ in range(6)] == [200] * 4 + [503] * 2
        assert [await ask(phone) for _ in range(6)] == [200] * 6


async def test_a_subscription_keeps_no_headers_of_many_kilobytes():
    """Each is kept as long as its subscription, and told again with each notification."""
    long = ("Record-Route", ", ".join(f"<sip:{'r' * 900}{number}@127.0.0.1;lr>" for number in range(8)))
    async with phones_place() as place, peer(ok) as phone:
        assert (await phone.answer(asked(long, *[("Subject", "s" * 4000)]), place.udp)).status == 513
        first = asked()
        accepted = await phone.answer(first, place.udp)
        assert (
            await phone.answer(refreshing(first, accepted, 2, long, ("Subject", "s" * 4000)), place.udp)
        ).status == 513
        assert (await phone.answer(refreshing(first, accepted, 3), place.udp)).status == 200


@pytest.mark.long
async def test_a_change_that_many_watch_leaves_others_their_turn():
    """Else thousands of subscriptions to one colleague stop the whole agent for seconds, again and again."""
    settings = SipServerSettings(servers=(ip_network("127.0.0.0/8"),), per_s=0)
    async with phones_place(settings=settings) as place, peer(ok) as proxy:
        for _ in range(400):
            await proxy.answer(asked(), place.udp)
        await eventually(lambda: len(proxy.requests) == 400)
        sent = place.server._agent.transactions
        before = len(sent)
        at_once = 0
        place.say(RichState.BUSY)
        while len(proxy.requests) < 800:
            await asyncio.sleep(0)
            at_once, before = max(at_once, len(sent) - before), len(sent)
        assert 0 < at_once <= 200


async def test_a_connection_from_before_a_client_ca_was_named_is_no_certificate():
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    settings = SipServerSettings(certificate=certificate(authority.issue_cert("127.0.0.1")), logins=LOGINS)
    async with phones_place(settings=settings, listening=("tls",)) as place, watching() as stranger:
        server = place.at("tls", tls=context)
        with pytest.raises(SipRefusal, match="401"):
            await stranger.fetch(server, presence_of())
        place.server.adjust(replace(place.settings, client_ca_pem=authority.cert_pem.bytes()))
        await eventually(lambda: place.server.is_listening)
        for _ in range(2):  # over the connection that is there, and over a new one
            with pytest.raises((SipRefusal, SipUnreachable)):
                await stranger.fetch(server, presence_of())
        issued = ssl.create_default_context()
        authority.configure_trust(issued)
        authority.issue_cert("phone.example").configure_cert(issued)

        async def is_asked_for() -> bool:
            async with watching() as phone:
                try:
                    await phone.fetch(place.at("tls", tls=issued), presence_of())
                except (SipRefusal, SipUnreachable):
                    return False
                return True

        await eventually(is_asked_for)
        async with watching() as other:
            with pytest.raises(SipUnreachable):
                await other.fetch(server, presence_of())
