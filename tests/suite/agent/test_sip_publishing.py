"""Telephone systems publish the state of phones at the agent's SIP server."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from types import MappingProxyType

import pytest

from suite.agent.board import BoardEntry
from suite.agent.core.values import PhoneSource, ShownStatus, TelephonyState
from suite.agent.settings.groups.sip_server import SipPublishers, SipServerSettings
from suite.agent.settings.sip_files import SipLogin
from suite.names import key_of
from suite.sip import dialoginfo, pidf
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.digest import Login
from suite.sip.pidf import PidfDocument, write_pidf
from suite.sip.user_agent import UserAgent
from tests.sip.peers import peer
from tests.sip.publication import Publication
from tests.suite.agent.phones import ADA, BEN, Display, PhonesPlace, asked, lamp_of, phones_place, watching
from tests.support.waiting import eventually

OPEN = SipServerSettings(publishers=SipPublishers(networks=(ip_network("127.0.0.0/8"),)))


def pidf_of(who: str = "1001@pbx.example", *activities: str, note: str = "Ready", is_open: bool = True) -> bytes:
    return write_pidf(
        PidfDocument(entity=f"sip:{who}", is_open=is_open, activities=frozenset(activities), notes=(note,))
    )


ASTERISK_ON_THE_PHONE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<presence entity="sip:1001@192.168.1.5" xmlns="urn:ietf:params:xml:ns:pidf" '
    b'xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid">\n'
    b" <note>On the phone</note>\n"
    b' <tuple id="1001">\n  <status>\n   <basic>open</basic>\n  </status>\n'
    b'  <contact priority="1">sip:1001@192.168.1.5</contact>\n </tuple>\n'
    b" <dm:person>\n  <rpid:activities>\n   <rpid:on-the-phone />\n  </rpid:activities>\n </dm:person>\n"
    b"</presence>\n"
)
"""As Asterisk 16 writes it, but for the address."""


def published(place: PhonesPlace, login: str = "ada") -> TelephonyState | None:
    entry: BoardEntry = place.board.entries[key_of(login)]
    statement = entry.telephony.get(PhoneSource.PUBLISHED)
    return statement.state if statement is not None else None


async def test_a_published_phone_is_telephony_that_consoles_and_phones_see():
    lamp = Display()
    async with phones_place(settings=OPEN) as place, UserAgent() as pbx, watching() as phone:
        phone.subscribe(place.at(), lamp_of(), lamp)
        mine = Publication(pbx, place.at("tcp"), "sip:1001@pbx.example")
        mine.update(ASTERISK_ON_THE_PHONE)
        await eventually(lambda: lamp.lamp == "confirmed")
        assert place.board.entries[key_of("ada")].shown.status is ShownStatus.ON_THE_PHONE
        await eventually(lambda: mine.tag)
        mine.update(pidf_of())
        await eventually(lambda: published(place) is TelephonyState.IDLE)
        await mine.withdraw()
        await eventually(lambda: published(place) is None and lamp.lamp == "terminated")


async def test_dialogs_are_published_too():
    ringing = DialogInfo(
        entity="sip:ada@pbx.example",
        version=1,
        is_full=True,
        dialogs=(PhoneDialog(id="1", state="early", direction="recipient"),),
    )
    async with phones_place(settings=OPEN) as place, UserAgent() as pbx:
        mine = Publication(pbx, place.at(), "sip:ada@pbx.example", event="dialog", content_type=dialoginfo.CONTENT_TYPE)
        mine.update(write_dialog_info(ringing))
        await eventually(lambda: published(place) is TelephonyState.RINGING)


async def test_a_state_that_is_not_published_again_is_withdrawn():
    async with phones_place(settings=OPEN) as place, peer() as pbx:
        asked_ = asked(
            ("Content-Type", pidf.CONTENT_TYPE),
            method="PUBLISH",
            body=ASTERISK_ON_THE_PHONE,
            expires="1",
            who="1001@pbx.example",
        )
        assert (await pbx.answer(asked_, place.udp)).status == 200
        assert published(place) is TelephonyState.BUSY
        await eventually(lambda: published(place) is None)


async def test_of_two_devices_the_busy_one_counts():
    async with phones_place(settings=OPEN) as place, UserAgent() as pbx:
        desk, mobile = (Publication(pbx, place.at(), f"sip:{who}@pbx.example") for who in ("1001", "ada"))
        desk.update(pidf_of("1001@pbx.example"))
        mobile.update(pidf_of("ada@pbx.example", "on-the-phone", note="On the phone"))
        await eventually(lambda: published(place) is TelephonyState.BUSY and desk.tag and mobile.tag)
        await mobile.withdraw()
        await eventually(lambda: published(place) is TelephonyState.IDLE)


@pytest.mark.parametrize(
    ("settings", "who", "body", "status"),
    [
        (SipServerSettings(), "1001@pbx.example", pidf_of(), 403),
        (
            replace(OPEN, publishers=SipPublishers(networks=(ip_network("10.0.0.0/8"),))),
            "1001@pbx.example",
            pidf_of(),
            403,
        ),
        (OPEN, "1009@pbx.example", pidf_of("1009@pbx.example"), 404),
        (OPEN, "1001@pbx.example", pidf_of("1002@pbx.example"), 403),
        (OPEN, "1001@pbx.example", pidf_of("ben@contoso.example"), 403),
        (OPEN, "1001@pbx.example", pidf_of("nobody@pbx.example"), 403),
        (OPEN, "1001@pbx.example", pidf_of("").replace(b' entity="sip:"', b""), 403),
        (OPEN, "1001@pbx.example", b"<presence", 400),
        (OPEN, "1001@pbx.example", b'<!DOCTYPE p [<!ENTITY a "a">]>' + pidf_of(), 400),
        (OPEN, "1001@pbx.example", pidf_of("ada@contoso.example"), 200),
        (OPEN, "1001@pbx.example", pidf_of("1001@192.168.1.5"), 200),
        (OPEN, "1001@pbx.example", pidf_of().replace(b"sip:1001", b"pres:1001"), 200),
    ],
)
async def test_a_forged_publication_changes_nothing(settings: SipServerSettings, who: str, body: bytes, status: int):
    async with phones_place(settings=settings) as place, peer() as pbx:
        request = asked(("Content-Type", pidf.CONTENT_TYPE), method="PUBLISH", body=body, who=who)
        assert (await pbx.answer(request, place.udp)).status == status
        assert (published(place) is not None) == (status == 200)
        assert published(place, "ben") is None


async def test_whoever_publishes_logs_in_with_logins_of_its_own():
    publishers = SipPublishers(
        networks=(ip_network("127.0.0.0/8"),), logins=MappingProxyType({"asterisk": SipLogin(password="a secret")})
    )
    settings = SipServerSettings(publishers=publishers, logins=MappingProxyType({"lobby": SipLogin(password="phone")}))
    async with phones_place(settings=settings) as place, UserAgent() as pbx:
        refusals: list[object] = []
        lobby = Publication(
            pbx, place.at("tcp", Login(user="lobby", password="phone")), "sip:1001@pbx.example", trouble=refusals.append
        )
        lobby.update(ASTERISK_ON_THE_PHONE)
        await eventually(lambda: refusals)
        assert published(place) is None
        asterisk = Publication(
            pbx, place.at("tcp", Login(user="asterisk", password="a secret")), "sip:1001@pbx.example"
        )
        asterisk.update(ASTERISK_ON_THE_PHONE)
        await eventually(lambda: published(place) is TelephonyState.BUSY)


async def test_an_extension_that_is_somebody_elses_now_takes_its_phone_along():
    async with phones_place(settings=OPEN) as place, UserAgent() as pbx:
        mine = Publication(pbx, place.at(), "sip:1001@pbx.example")
        mine.update(ASTERISK_ON_THE_PHONE)
        await eventually(lambda: published(place) is TelephonyState.BUSY)
        place.board.set_colleagues([replace(ADA, extension="1009"), replace(BEN, extension="1001")])
        await eventually(lambda: published(place, "ben") is TelephonyState.BUSY and published(place) is None)


async def test_nothing_that_was_published_is_left_when_publishing_is_off_or_the_server_stops():
    async with UserAgent() as pbx:
        async with phones_place(settings=OPEN) as place:
            mine = Publication(pbx, place.at(), "sip:1001@pbx.example")
            mine.update(ASTERISK_ON_THE_PHONE)
            await eventually(lambda: published(place) and mine.tag)
            place.server.adjust(replace(place.settings, publishers=SipPublishers()))
            assert published(place) is None
            place.server.adjust(place.settings)
            mine.update(pidf_of())  # its tag is not known any more, so it begins anew
            await eventually(lambda: published(place) is TelephonyState.IDLE)
        assert published(place) is None
