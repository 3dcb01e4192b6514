"""Phones watch colleagues at the agent's SIP server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from suite.agent.core.values import RichState, TelephonyState
from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from suite.names import key_of
from suite.sip.errors import SipRefusal
from suite.sip.flows import SipProtocol
from suite.sip.replies import reply
from suite.sip.subscriptions import SubscriptionEnd
from suite.sip.transactions import Timers
from suite.sip.user_agent import UserAgentSettings
from tests.sip.peers import peer
from tests.suite.agent.phones import ADA, BEN, Display, asked, lamp_of, phones_place, presence_of, watching
from tests.support.valkey import free_port
from tests.support.waiting import eventually


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_phone_sees_a_colleague_change(protocol: SipProtocol):
    display, lamp = Display(), Display()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(protocol), presence_of(), display)
        phone.subscribe(place.at(protocol), lamp_of(), lamp)
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
    dialogs = [each for each in lamp.dialogs if each is not None]
    assert [each.version for each in dialogs] == list(range(len(dialogs)))


async def test_a_phone_asks_by_extension_upn_or_address():
    async with phones_place() as place, watching() as phone:
        for who in ("1001@anywhere.example", "ada@contoso.example", "ada@pbx.example;user=phone", "ADA@pbx.example"):
            got = await phone.fetch(place.at(), presence_of(who))
            assert b"Available" in got.body
        for nobody in ("eve@pbx.example", "1003@127.0.0.1"):
            with pytest.raises(SipRefusal) as refused:
                await phone.fetch(place.at(), presence_of(nobody))
            assert refused.value.status == 404


async def test_an_extension_counts_at_domains_of_ours_and_at_ip_addresses_only():
    settings = SipServerSettings(domains=("pbx.example",))
    async with phones_place(settings=settings) as place, watching() as phone:
        for who in ("1001@pbx.example", "1001@10.0.0.1", "ada@contoso.example"):
            await phone.fetch(place.at(), presence_of(who))
        with pytest.raises(SipRefusal) as refused:
            await phone.fetch(place.at(), presence_of("1001@other.example"))
        assert refused.value.status == 404


async def test_somebody_of_whom_nothing_is_known_is_told_without_a_body():
    display, lamp = Display(), Display()
    async with phones_place(Colleague(login="eve", extension="1003")) as place, watching() as phone:
        place.say(RichState.UNKNOWN, Colleague(login="eve"))
        phone.subscribe(place.at(), presence_of("1003@pbx.example"), display)
        phone.subscribe(place.at(), lamp_of("1003@pbx.example"), lamp)
        await eventually(lambda: display.documents == [None] and lamp.dialogs == [None])


async def test_a_lamp_that_was_lit_goes_out_when_nothing_is_known_any_more():
    display, lamp = Display(), Display()
    async with phones_place() as place, watching() as phone:
        place.say(RichState.BUSY)
        phone.subscribe(place.at(), presence_of(), display)
        phone.subscribe(place.at(), lamp_of(), lamp)
        await eventually(lambda: lamp.lamp == "confirmed" and display.note == "Busy")
        place.say(RichState.UNKNOWN)
        await eventually(lambda: lamp.lamp == "none" and display.documents[-1] is None)


async def test_a_lamp_blinks_only_while_the_phone_really_rings():
    lamp = Display()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(), lamp_of(), lamp)
        for state, light in (
            (TelephonyState.RINGING, "early"),
            (TelephonyState.BUSY, "confirmed"),
            (TelephonyState.IDLE, "terminated"),
        ):
            place.ring(state)
            await eventually(lambda light=light: lamp.lamp == light)
        assert [each.dialogs[0].direction for each in lamp.dialogs if each and each.dialogs[0].state == "early"] == [
            "recipient"
        ]


async def test_a_note_stands_behind_the_state_and_changes_by_itself():
    notes = {"ada@contoso.example": "Back at three"}
    display, lamp = Display(), Display()
    async with phones_place(note_of=lambda key: notes.get(key, "")) as place, watching() as phone:
        place.say(RichState.AWAY)
        phone.subscribe(place.at(), presence_of(), display)
        phone.subscribe(place.at(), lamp_of(), lamp)
        await eventually(lambda: display.note == "Away - Back at three" and lamp.lamp == "terminated")
        notes["ada@contoso.example"] = "x" * 500
        place.board.note_changed(key_of("ada@contoso.example"))
        await eventually(lambda: display.note.endswith("x…") and len(display.note) == 160)
        place.server.adjust(replace(place.settings, notes=False))
        await eventually(lambda: display.note == "Away")
        assert lamp.lamp == "terminated"


async def test_words_are_of_the_language_of_the_settings():
    display = Display()
    async with phones_place(settings=SipServerSettings(language="it")) as place, watching() as phone:
        place.say(RichState.IN_A_MEETING, is_uncertain=True)
        phone.subscribe(place.at(), presence_of(), display)
        await eventually(lambda: display.note == "In riunione (non confermato)")


async def test_subscriptions_to_somebody_who_left_end_for_good():
    display = Display()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(), presence_of(), display)
        await eventually(lambda: display.note)
        place.board.set_colleagues([BEN])
        await eventually(lambda: display.end == SubscriptionEnd(reason="noresource"))
        assert len(place.server) == 0


async def test_an_extension_that_is_somebody_elses_now_shows_that_colleague():
    display = Display()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(), presence_of("1001@pbx.example"), display)
        await eventually(lambda: display.note == "Available")
        place.say(RichState.BUSY, BEN)
        place.board.set_colleagues([replace(ADA, extension="1009"), replace(BEN, extension="1001")])
        await eventually(lambda: display.note == "Busy")
        place.say(RichState.AWAY, BEN)
        await eventually(lambda: display.note == "Away")


async def test_phones_are_asked_to_come_back_when_the_agent_stops():
    display = Display()
    async with watching() as phone:
        async with phones_place() as place:
            phone.subscribe(place.at("tcp"), presence_of(), display)
            await eventually(lambda: display.note)
        await eventually(lambda: display.end == SubscriptionEnd(reason="probation", retry_after_s=15.0))


async def test_a_phone_that_never_refreshes_is_told_the_end():
    async with phones_place() as place, peer(lambda request: [reply(request, 200, "OK")]) as phone:
        await phone.answer(asked(expires="1"), place.udp)
        await eventually(lambda: len(phone.requests) == 2 and len(place.server) == 0)
        assert phone.requests[-1].headers.first("subscription-state") == "terminated;reason=timeout"


async def test_a_notify_never_goes_to_the_contact_of_a_forged_subscribe():
    """Over UDP it goes back where the SUBSCRIBE came from; over TCP, over its connection."""
    async with phones_place() as place, peer() as victim:
        contact = f"<sip:victim@127.0.0.1:{victim.port}>"
        async with peer(lambda request: [reply(request, 200, "OK")]) as attacker:
            await attacker.answer(asked(contact=contact), place.udp)
            await eventually(lambda: attacker.requests)
        reader, writer = await asyncio.open_connection(*place.udp[:1], place.addresses["tcp"].port)
        writer.write(asked(contact=contact).to_bytes())
        assert b"NOTIFY" in await reader.readuntil(b"NOTIFY")
        writer.close()
        place.say(RichState.BUSY)
        await eventually(lambda: place.server.counts["notify_lost"])
        assert victim.requests == []


async def test_a_phone_that_answers_nothing_is_given_up():
    quick = UserAgentSettings(timers=Timers(t1=0.01, t2=0.05))
    async with phones_place(user_agent=quick) as place, peer() as phone:
        await phone.answer(asked(), place.udp)
        await eventually(lambda: len(place.server) == 0 and phone.requests)


# Settings that change while it runs


async def test_another_port_is_opened_and_subscriptions_over_others_stay():
    over_udp, over_tcp = Display(), Display()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at("udp"), presence_of(), over_udp)
        phone.subscribe(place.at("tcp"), presence_of(), over_tcp)
        await eventually(lambda: over_udp.note and over_tcp.note)
        moved = SipAddress(protocol="udp", host="127.0.0.1", port=free_port())
        place.server.adjust(replace(place.settings, addresses=(place.addresses["tcp"], moved)))
        await eventually(lambda: place.server.is_listening)
        assert over_udp.end == SubscriptionEnd(reason="deactivated")
        place.say(RichState.BUSY)
        await eventually(lambda: over_tcp.note == "Busy")
        place.addresses["udp"] = moved
        await phone.fetch(place.at("udp"), presence_of())


async def test_a_port_that_another_program_has_is_opened_when_that_ends():
    taken = SipAddress(protocol="tcp", host="127.0.0.1", port=free_port())
    other = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", taken.port)
    async with phones_place() as place, watching() as phone:
        place.server.adjust(replace(place.settings, addresses=(place.addresses["udp"], taken)))
        await eventually(lambda: str(taken) in place.server.phones.detail)
        await phone.fetch(place.at("udp"), presence_of())
        other.close()
        await other.wait_closed()
        await eventually(lambda: place.server.is_listening and not place.server.phones.detail)


async def test_a_lamp_follows_the_setting_of_what_lights_it():
    lamp = Display()
    async with phones_place() as place, watching() as phone:
        place.say(RichState.IN_A_MEETING)
        phone.subscribe(place.at(), lamp_of(), lamp)
        await eventually(lambda: lamp.lamp == "confirmed")
        place.server.adjust(replace(place.settings, lamp_for="calls"))
        await eventually(lambda: lamp.lamp == "terminated")
        place.say(RichState.IN_A_CALL)
        await eventually(lambda: lamp.lamp == "confirmed")


async def test_consoles_are_told_how_many_subscriptions_there_are_and_which_port_is_taken():
    async with phones_place() as place, watching() as phone:
        with place.board.listening(None, (place.board.epoch, place.board.revision)) as console:
            phone.subscribe(place.at(), presence_of(), Display())
            await eventually(lambda: place.server.phones.subscriptions == 1)
            await console.wait()
        assert place.server.phones.state is Connector.UP_AND_RUNNING
        other = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", free_port())
        taken = SipAddress(protocol="tcp", host="127.0.0.1", port=other.sockets[0].getsockname()[1])
        place.server.adjust(replace(place.settings, addresses=(taken,)))
        await eventually(lambda: place.server.phones.state is Connector.CONNECTION_ERROR)
        assert str(taken) in place.server.phones.detail
        other.close()
        await other.wait_closed()


# Pace


async def test_a_phone_is_sent_no_more_than_its_pace_and_the_newest_state_arrives():
    display = Display()
    async with phones_place(settings=SipServerSettings(per_s=10)) as place, watching() as phone:
        phone.subscribe(place.at(), presence_of(), display)
        await eventually(lambda: display.note)
        for number in range(200):
            place.say(RichState.BUSY if number % 2 else RichState.AWAY)
            await asyncio.sleep(0)
        place.say(RichState.BE_RIGHT_BACK)
        await eventually(lambda: display.note == "Be right back")
        assert len(display.notifications) <= 4


async def test_a_phone_with_many_keys_is_slowed_down_alone():
    async with phones_place(settings=SipServerSettings(per_s=1)) as place:
        many, one = Display(), Display()
        async with watching() as phone, watching() as other:
            for _ in range(30):
                phone.subscribe(place.at("tcp"), presence_of(), many)
            await eventually(lambda: len(place.server) == 30)
            other.subscribe(place.at("tcp"), presence_of(), one)
            await eventually(lambda: one.note)
            assert len(many.notifications) < 30


async def test_a_server_is_not_paced():
    settings = SipServerSettings(per_s=1, servers=SipServerSettings().networks)
    async with phones_place(settings=settings) as place, watching() as proxy:
        display = Display()
        for _ in range(30):
            proxy.subscribe(place.at("tcp"), presence_of(), display)
        await eventually(lambda: len(display.notifications) == 30)
