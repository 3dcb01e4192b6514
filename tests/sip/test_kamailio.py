"""Against a real Kamailio."""

from __future__ import annotations

import ssl

import pytest

from suite.sip.challenges import DigestClient
from suite.sip.digest import Login
from suite.sip.errors import SipDenied, SipRefusal
from suite.sip.flows import SipProtocol
from suite.sip.servers import SipServer
from suite.sip.subscriber import Subscriber, SubscriptionAccepted, SubscriptionEvent, SubscriptionWish
from suite.sip.subscriptions import Notification, SubscriptionEnd
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import Kamailio
from tests.support.waiting import eventually

PROTOCOLS: tuple[SipProtocol, ...] = ("udp", "tcp", "tls")


def server_at(kamailio: Kamailio, protocol: SipProtocol = "udp", password: str = "pw-suite") -> SipServer:
    tls = ssl.create_default_context()
    kamailio.authority.configure_trust(tls)
    port = kamailio.tls_port if protocol == "tls" else kamailio.port
    digest = DigestClient(Login(user="suite", password=password))
    return SipServer.at(f"127.0.0.1:{port}", protocol, digest=digest, tls=tls)


def wish(user: str, expires_s: int = 3600) -> SubscriptionWish:
    return SubscriptionWish(uri=f"sip:{user}@pbx.example", own_uri="sip:suite@pbx.example", expires_s=expires_s)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_user_is_subscribed_and_unsubscribed(kamailio: Kamailio, protocol: SipProtocol):
    events: list[SubscriptionEvent] = []
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio, protocol), wish("ada"), events.append)
        await eventually(lambda: {type(each) for each in events} == {Notification, SubscriptionAccepted})
        await subscription.unsubscribe()
    assert isinstance(events[-1], SubscriptionEnd)
    assert events[-1].reason == "unsubscribed"


async def test_a_user_nobody_knows_is_refused(kamailio: Kamailio):
    async with UserAgent() as agent:
        with pytest.raises(SipRefusal) as refused:
            await Subscriber(agent).fetch(server_at(kamailio), wish("nobody"))
    assert refused.value.status == 404


async def test_a_wrong_password_is_tried_once(kamailio: Kamailio):
    async with UserAgent() as agent:
        with pytest.raises(SipDenied):
            await Subscriber(agent).fetch(server_at(kamailio, password="wrong"), wish("ada"))
