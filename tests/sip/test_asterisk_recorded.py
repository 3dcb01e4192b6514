"""What a real Asterisk was recorded to send, read as the agent reads it.

Recorded from Asterisk 16.28.0~dfsg-0+deb11u4 (Debian 11) by `RECORD=1 make check-asterisk`: what it tells subscribers of hints, of a resource
list, and what it publishes of extensions (`type = outbound-publish`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from suite.agent.core.values import RichState, TelephonyState
from suite.agent.sipserver.telephony import published_phone
from suite.agent.sources.sip.mapping import phone_of, phone_with, rich_of
from suite.agent.sources.sip.states import verdict_of
from suite.sip.dialoginfo import read_dialog_info
from suite.sip.errors import SipRefusal
from suite.sip.message import SipRequest, parse_datagram
from suite.sip.pidf import read_pidf
from suite.sip.resource_lists import read_list

RECORDED: Final = Path(__file__).parents[1] / "asterisk/recorded"


def recorded(name: str) -> SipRequest:
    request = parse_datagram((RECORDED / f"{name}.sip").read_bytes())
    assert isinstance(request, SipRequest)
    return request


@pytest.mark.parametrize(
    ("name", "rich", "phone"),
    [
        ("notify-presence-in-use", RichState.IN_A_CALL, TelephonyState.BUSY),
        ("notify-presence-unavailable", RichState.OFFLINE, TelephonyState.UNKNOWN),
    ],
)
def test_a_hint_as_presence(name: str, rich: RichState, phone: TelephonyState):
    document = read_pidf(recorded(name).body)
    assert (rich_of(document), phone_of(document)) == (rich, phone)


def test_a_hint_as_dialogs():
    info = read_dialog_info(recorded("notify-dialog-confirmed").body)
    assert phone_with(info.dialogs) is TelephonyState.BUSY


def test_a_resource_list():
    request = recorded("notify-list")
    found = read_list(request.headers.first("content-type") or "", request.body)
    said = {each.uri.partition("@")[0]: rich_of(read_pidf(each.body)) for each in found.resources if each.body}
    assert found.is_full
    assert said == {"sip:teams-1001": RichState.IN_A_CALL, "sip:teams-1002": RichState.AVAILABLE}


@pytest.mark.parametrize(
    ("name", "phone"),
    [
        ("publish-inuse", TelephonyState.BUSY),
        ("publish-ringing", TelephonyState.RINGING),
        ("publish-not-inuse", TelephonyState.IDLE),
    ],
)
def test_an_extension_that_is_published(name: str, phone: TelephonyState):
    request = recorded(name)
    entity, state = published_phone("presence", request.body)
    assert (request.method, entity, state) == ("PUBLISH", request.uri, phone)
    assert request.headers.first("expires") == "60"


@pytest.mark.parametrize("took_the_login", [True, False])
def test_asterisk_refuses_to_tell_a_state_once_and_can_be_used_all_the_same(took_the_login: bool):
    refused = SipRefusal(400, "Bad Request")  # recorded: the answer to SUBSCRIBE with Expires 0 and a right password
    found = verdict_of(refused, "sip:suite@pbx.example", has_password=True, is_known=took_the_login)
    assert found.is_usable == took_the_login
