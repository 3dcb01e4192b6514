"""Phones that watch a list of colleagues as one resource (RFC 4662)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suite.agent.core.values import RichState
from suite.agent.settings.groups.sip_server import SipServerSettings
from suite.agent.sipserver.lists import MOST_MEMBERS, MOST_MEMBERS_OVER_UDP, resource_of
from suite.agent.users.reading import Colleague
from suite.names import key_of
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.errors import SipRefusal
from suite.sip.flows import SipProtocol
from suite.sip.pidf import read_pidf
from suite.sip.resource_lists import ListHeld, ListNotification, read_list
from suite.sip.subscriber import SubscriptionAccepted
from suite.sip.subscriptions import SubscriptionEnd
from tests.suite.agent.phones import ADA, BEN, Display, lamp_of, phones_place, presence_of, watching
from tests.support.waiting import eventually

SALES = SipServerSettings(lists={"sales": ("ben", "1001", "nobody")})


class ListDisplay(Display):
    """What a phone with a list shows: merged from all notifications."""

    @property
    def lists(self) -> list[ListNotification]:
        return [read_list(each.content_type_line, each.body) for each in self.notifications if each.body]

    def bodies(self) -> dict[str, bytes]:
        held = ListHeld()
        for each in self.lists:
            assert held.take(each) == "taken"
        return {uri: each.body for uri, each in held.resources.items() if each.body is not None}

    def notes(self) -> dict[str, str]:
        return {uri: read_pidf(body).notes[0] for uri, body in self.bodies().items()}

    def lamps(self) -> dict[str, str]:
        return {uri: read_dialog_info(body).dialogs[0].state for uri, body in self.bodies().items()}


def many(count: int) -> list[Colleague]:
    return [Colleague(login=f"user{number}", extension=str(2000 + number)) for number in range(count)]


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_everyone_is_a_list_of_all_colleagues(protocol: SipProtocol):
    presence, lamps = ListDisplay(), ListDisplay()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(protocol), replace(presence_of("everyone@pbx.example"), resource_list=True), presence)
        phone.subscribe(place.at(protocol), replace(lamp_of("everyone@pbx.example"), resource_list=True), lamps)
        ada, ben = "sip:1001@pbx.example", "sip:1002@pbx.example"
        await eventually(lambda: presence.notes() == {ada: "Available", ben: "Available"})
        await eventually(lambda: lamps.lamps() == {ada: "terminated", ben: "terminated"})
        assert SubscriptionAccepted(lists=True) in presence.events
        place.say(RichState.BUSY, BEN)
        await eventually(lambda: presence.notes() == {ada: "Available", ben: "Busy"})
        await eventually(lambda: lamps.lamps() == {ada: "terminated", ben: "confirmed"})
    assert [each.is_full for each in presence.lists][:2] == [True, False]
    assert [each.uri for each in presence.lists[1].resources] == [ben]
    assert [each.version for each in presence.lists] == list(range(len(presence.lists)))


async def test_a_list_of_the_settings_has_its_members_in_their_order():
    display = ListDisplay()
    async with phones_place(settings=SALES) as place, watching() as phone:
        phone.subscribe(place.at(), replace(presence_of("sales@pbx.example"), resource_list=True), display)
        await eventually(lambda: len(display.notes()) == 2)
    assert [each.uri for each in display.lists[0].resources] == ["sip:1002@pbx.example", "sip:1001@pbx.example"]
    assert b"<name>ben</name>" in display.notifications[0].body


async def test_a_list_without_support_for_lists_is_refused_and_one_that_is_none_is_not_found():
    async with phones_place(settings=SALES) as place, watching() as phone:
        for who, lists, status in (("sales", False, 421), ("others", True, 404)):
            with pytest.raises(SipRefusal) as refused:
                await phone.fetch(place.at(), replace(presence_of(f"{who}@pbx.example"), resource_list=lists))
            assert refused.value.status == status


async def test_somebody_of_whom_nothing_is_known_stands_in_a_list_without_a_document():
    display = ListDisplay()
    async with phones_place() as place, watching() as phone:
        place.say(RichState.UNKNOWN)
        phone.subscribe(place.at(), replace(presence_of("everyone@pbx.example"), resource_list=True), display)
        await eventually(lambda: display.lists)
        assert [(each.state, each.body is None) for each in display.lists[0].resources] == [
            ("active", True),
            ("active", False),
        ]


async def test_colleagues_who_come_and_go_are_named_anew():
    display = ListDisplay()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(), replace(presence_of("everyone@pbx.example"), resource_list=True), display)
        await eventually(lambda: len(display.notes()) == 2)
        eve = Colleague(login="eve", extension="1003")
        place.board.set_colleagues([ADA, eve])
        place.say(RichState.AWAY, eve)
        await eventually(
            lambda: display.notes() == {"sip:1001@pbx.example": "Available", "sip:1003@pbx.example": "Away"}
        )


async def test_a_list_that_is_taken_out_of_the_settings_ends():
    display = ListDisplay()
    async with phones_place(settings=SALES) as place, watching() as phone:
        phone.subscribe(place.at(), replace(presence_of("sales@pbx.example"), resource_list=True), display)
        await eventually(lambda: display.notes())
        place.server.adjust(replace(place.settings, lists={}))
        await eventually(lambda: display.end == SubscriptionEnd(reason="noresource"))


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_long_list_comes_in_several_notifications_and_is_complete(protocol: SipProtocol):
    colleagues = many(MOST_MEMBERS_OVER_UDP if protocol == "udp" else 600)
    display = ListDisplay()
    settings = SipServerSettings(per_s=0)
    async with phones_place(*colleagues, settings=settings) as place, watching() as phone:
        phone.subscribe(place.at(protocol), replace(presence_of("everyone@pbx.example"), resource_list=True), display)
        await eventually(lambda: len(display.notes()) == len(colleagues))
        assert len(display.lists) > 1
        assert len(display.lists[0].resources) == len(colleagues)
        place.say(RichState.AWAY, colleagues[-1])
        await eventually(lambda: "Away" in display.notes().values())


async def test_a_list_that_is_too_long_is_refused_with_the_reason():
    async with phones_place(*many(MOST_MEMBERS_OVER_UDP + 1)) as place, watching() as phone:
        wish = replace(presence_of("everyone@pbx.example"), resource_list=True)
        with pytest.raises(SipRefusal, match="Use TCP"):
            await phone.fetch(place.at("udp"), wish)
        await phone.fetch(place.at("tcp"), wish)
        place.board.set_colleagues(many(MOST_MEMBERS + 1))
        with pytest.raises(SipRefusal, match="More Than 1500"):
            await phone.fetch(place.at("tcp"), wish)


async def test_whom_only_a_console_asked_for_is_not_in_the_list():
    display = ListDisplay()
    async with phones_place() as place, watching() as phone:
        with place.board.wanting(["stranger@contoso.example"]):
            phone.subscribe(place.at(), replace(presence_of("everyone@pbx.example"), resource_list=True), display)
            await eventually(lambda: len(display.notes()) == 2)
            assert len(display.lists[0].resources) == 2


@pytest.mark.parametrize(
    ("colleague", "uri"),
    [
        (ADA, "sip:1001@teams.example:5070"),
        (replace(ADA, extension="*21#"), "sip:*21%23@teams.example:5070"),
        (replace(ADA, extension=""), "sip:ada@pbx.example"),
        (replace(ADA, extension="", sip_uri=""), "sip:ada@contoso.example"),
        (Colleague(login="Ada Byron"), "sip:Ada%20Byron@teams.example:5070"),
        (
            Colleague(upn="1f2e3d4c-0000-0000-0000-000000000000"),
            "sip:1f2e3d4c-0000-0000-0000-000000000000@teams.example:5070",
        ),
    ],
)
async def test_a_member_is_named_so_that_a_phone_can_call_and_watch_it(colleague: Colleague, uri: str):
    assert resource_of(colleague, "sip:everyone@teams.example:5070;transport=tcp") == uri
    async with phones_place(colleague) as place, watching() as phone:
        assert key_of(colleague.id) in place.board.entries
        await phone.fetch(place.at(), replace(presence_of(), uri=uri))
