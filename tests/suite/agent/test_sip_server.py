"""Phones watch colleagues at the agent's SIP server."""

from __future__ import annotations

import pytest

from suite.agent.core.values import RichState
from suite.sip.errors import SipRefusal
from suite.sip.flows import SipProtocol
from suite.sip.subscriber import Subscriber
from suite.sip.user_agent import UserAgent
from tests.suite.agent.phones import Display, lamp_of, phones_place, presence_of
from tests.support.waiting import eventually


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_phone_sees_a_colleague_change(protocol: SipProtocol):
    display, lamp = Display(), Display()
    async with phones_place() as place, UserAgent() as phone:
        subscriber = Subscriber(phone)
        subscriber.subscribe(place.at(protocol), presence_of(), display)
        subscriber.subscribe(place.at(protocol), lamp_of(), lamp)
        for state, note, light in (
            (RichState.AVAILABLE, "Available", "terminated"),
            (RichState.AVAILABLE_IDLE, "Available, idle", "terminated"),
            (RichState.BUSY, "Busy", "confirmed"),
            (RichState.OFFLINE, "Offline", "terminated"),
        ):
            place.say(state)
            await eventually(lambda note=note, light=light: (display.note, lamp.lamp) == (note, light))
    told = [each for each in display.documents if each is not None]
    assert [each.is_open for each in told] == [True, True, True, False]
    assert [each.is_idle for each in told] == [False, True, False, False]
    assert b"<rpid:busy/>" in display.notifications[2].body
    assert {each.entity for each in told} == {"sip:ada@pbx.example"}


async def test_a_phone_asks_by_extension_upn_or_address():
    async with phones_place() as place, UserAgent() as phone:
        for who in ("1001@anywhere.example", "ada@contoso.example", "ada@pbx.example;user=phone", "ADA@pbx.example"):
            got = await Subscriber(phone).fetch(place.at(), presence_of(who))
            assert b"Available" in got.body
        for nobody in ("eve@pbx.example", "1003@127.0.0.1"):
            with pytest.raises(SipRefusal) as refused:
                await Subscriber(phone).fetch(place.at(), presence_of(nobody))
            assert refused.value.status == 404
