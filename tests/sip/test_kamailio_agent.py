"""A real Kamailio before the agent's SIP server: phones behind it, and its lists, watch colleagues."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network

import pytest

from suite.agent.core.values import RichState
from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
from suite.agent.users.reading import Colleague
from suite.sip.errors import SipRefusal
from suite.sip.flows import SipProtocol
from suite.sip.pidf import read_pidf
from suite.sip.resource_lists import ListHeld, read_list
from suite.sip.subscriber import Subscriber
from suite.sip.subscriptions import Notification, SubscriptionEnd
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import Kamailio
from tests.sip.publication import Publication
from tests.sip.test_kamailio import PROTOCOLS, busy, own_server, server_at
from tests.suite.agent.phones import Display, PhonesPlace, lamp_of, phones_place, presence_of
from tests.support.waiting import eventually

ADA = Colleague(login="ada", sip_uri="ada@teams.example", extension="1001")


@asynccontextmanager
async def behind(kamailio: Kamailio) -> AsyncIterator[PhonesPlace]:
    """The agent's SIP server, to which Kamailio sends requests for teams.example."""
    settings = SipServerSettings(domains=("teams.example",), servers=(ip_network("127.0.0.0/8"),))
    async with phones_place(ADA, settings=settings) as place:
        address = SipAddress(protocol="tcp", host="127.0.0.1", port=kamailio.behind_port)
        place.server.adjust(replace(place.settings, addresses=(address,)))
        await eventually(lambda: place.server.is_listening)
        yield place


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_phones_behind_a_proxy_see_presence_and_lamps(kamailio: Kamailio, protocol: SipProtocol):
    display, lamp = Display(), Display()
    async with behind(kamailio) as place, UserAgent() as agent:
        phone = Subscriber(agent)
        server = server_at(kamailio, protocol)
        asked = replace(presence_of("ada@teams.example"), own_uri="sip:suite@pbx.example")
        wish = phone.subscribe(server, asked, display)
        phone.subscribe(server, replace(lamp_of("1001@teams.example"), own_uri="sip:suite@pbx.example"), lamp)
        for state, note, light in (
            (RichState.AVAILABLE, "Available", "terminated"),
            (RichState.BUSY, "Busy", "confirmed"),
            (RichState.BUSY_IDLE, "Busy, idle", "confirmed"),
            (RichState.OFFLINE, "Offline", "terminated"),
        ):
            place.say(state)
            await eventually(lambda note=note, light=light: (display.note, lamp.lamp) == (note, light))
        wish.refresh()
        told = len(display.notifications)
        await eventually(lambda: len(display.notifications) > told)
        await wish.unsubscribe()
        assert display.end == SubscriptionEnd(reason="unsubscribed")
        place.board.set_colleagues([Colleague(login="ben")])
        await eventually(lambda: lamp.end == SubscriptionEnd(reason="noresource"))


async def test_somebody_unknown_is_not_found_through_the_proxy(kamailio: Kamailio):
    async with behind(kamailio), UserAgent() as agent:
        asked = replace(presence_of("nobody@teams.example"), own_uri="sip:suite@pbx.example")
        with pytest.raises(SipRefusal) as refused:
            await Subscriber(agent).fetch(server_at(kamailio), asked)
        assert refused.value.status == 404


async def test_a_list_of_the_proxy_has_our_colleague_beside_its_own_user(kamailio: Kamailio):
    display = Display()

    def shown() -> dict[str, frozenset[str]]:
        held = ListHeld()
        for each in display.events:
            if isinstance(each, Notification) and each.body:
                held.take(read_list(each.content_type_line, each.body))
        return {key: read_pidf(each.body).activities for key, each in held.resources.items() if each.body}

    async with behind(kamailio) as place, UserAgent() as agent:
        place.say(RichState.AWAY)
        publication = Publication(agent, own_server(kamailio, "ben"), "sip:ben@pbx.example")
        publication.update(busy("ben"))
        await eventually(lambda: publication.tag)
        asked = replace(presence_of("mixed@pbx.example"), own_uri="sip:suite@pbx.example", resource_list=True)
        wish = Subscriber(agent).subscribe(server_at(kamailio, "tcp"), asked, display)
        ben = frozenset({"busy"})
        await eventually(lambda: shown() == {"sip:ben@pbx.example": ben, "sip:ada@teams.example": {"away"}})
        place.say(RichState.IN_A_MEETING)
        await eventually(lambda: shown()["sip:ada@teams.example"] == {"busy", "meeting"})
        place.say(RichState.OFFLINE)
        await eventually(lambda: shown()["sip:ada@teams.example"] == frozenset())
        await publication.withdraw()
        await wish.unsubscribe()


async def test_phones_behind_a_proxy_come_back_after_the_agent_was_restarted(kamailio: Kamailio):
    display, again = Display(), Display()
    async with UserAgent() as agent:
        phone = Subscriber(agent)
        asked = replace(presence_of("ada@teams.example"), own_uri="sip:suite@pbx.example")
        async with behind(kamailio):
            phone.subscribe(server_at(kamailio, "tcp"), asked, display)
            await eventually(lambda: display.note == "Available")
        await eventually(lambda: display.end == SubscriptionEnd(reason="probation", retry_after_s=15.0))
        async with behind(kamailio) as place:
            place.say(RichState.AWAY)
            wish = phone.subscribe(server_at(kamailio, "tcp"), asked, again)
            await eventually(lambda: again.note == "Away")
            await wish.unsubscribe()
