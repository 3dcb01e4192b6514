"""Addresses and dialogs: what a peer says of them decides where requests go, and only in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.dialogs import Dialog
from suite.sip.errors import MalformedMessage
from suite.sip.headers import Headers, parameters, quoted, split_outside, unquoted
from suite.sip.message import SipRequest, SipResponse
from suite.sip.uris import parse_name_addr, parse_uri, parse_via, resource_key, same_resource


def test_addresses_in_the_forms_that_peers_write():
    named = parse_name_addr('"Ada, \\"Countess\\" <x>" <sip:ada@h;transport=tcp>;tag=1;q=0.5')
    assert (named.name, named.text, named.tag, named.uri.parameters["transport"]) == (
        'Ada, "Countess" <x>', "sip:ada@h;transport=tcp", "1", "tcp",
    )  # fmt: skip
    bare = parse_name_addr("sip:ada@h;tag=1")
    assert (bare.text, bare.tag) == ("sip:ada@h", "1")
    assert parse_name_addr("J\u00fcrgen <SIP:j@h>").uri.user == "j"
    assert parse_uri("sip:ada@[::1]:5070").port == 5070


@pytest.mark.parametrize(
    "text", ["", "<", "<sip:a@b", "sip:a b@c", "<sip:b;self=2>", "x" * 3000, "<>", "tel:" + "1" * 65]
)
def test_an_address_that_is_none_is_refused(text: str):
    with pytest.raises(MalformedMessage):
        parse_name_addr(text)


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:x", "SIP/1.0/UDP h", "SIP/2.0/UDP a b"]
)
def test_a_via_that_is_none_is_refused(text: str):
    with pytest.raises(MalformedMessage):
        parse_via(text)


def test_uris_of_one_resource_have_one_key():
    assert same_resource("sip:ada@PBX.example;transport=tcp", "sips:ada@pbx.example")
    assert not same_resource("sip:Ada@h", "sip:ada@h")
    assert not same_resource("sip:ada@h:5070", "sip:ada@h")
    assert resource_key("tel:+49-89") != resource_key("sip:+49-89@h")
    assert resource_key(" nonsense ") == "nonsense"


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_is_refused(text: str):
    resource_key(text)
    for read in (parse_name_addr, parse_uri, parse_via):
        try:
            read(text)
        except MalformedMessage:
            continue


@given(st.text(max_size=30))
def test_quoted_text_is_the_same_again(text: str):
    text = text.strip()
    assert unquoted(quoted(text)) == text
    assert split_outside(f"a;b={quoted(text)};c", ";") == ["a", f"b={quoted(text)}", "c"]
    assert parameters(f"a; b = {quoted(text)}")[1] == {"b": text}


def message(method: str, number: int, *fields: tuple[str, str], tag: str = "peer") -> SipRequest:
    headers = Headers.of(
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"), ("From", f"<sip:peer@h>;tag={tag}"), ("To", "<sip:us@h>"),
        ("Call-ID", "c"), ("CSeq", f"{number} {method}"), *fields,
    )  # fmt: skip
    return SipRequest(method=method, uri="sip:us@h", headers=headers)


def test_a_dialog_of_ours_takes_the_route_set_in_reverse_and_moves_its_target():
    dialog = Dialog.starting("sip:us@h", "sip:ada@h")
    first = dialog.request("SUBSCRIBE")
    fields = [
        ("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"),
        ("Record-Route", "<sip:p3;lr>"),
        ("Contact", "<sip:ada@10.0.0.1>"),
    ]
    to = [("To", "<sip:ada@h>;tag=t")]
    dialog.established(SipResponse(status=200, reason="OK", headers=Headers.of(*fields, *to)))
    second = dialog.request("SUBSCRIBE")
    assert (first.uri, second.uri) == ("sip:ada@h", "sip:ada@10.0.0.1")
    assert second.headers.lines("route") == ["<sip:p3;lr>", "<sip:p2;lr>", "<sip:p1;lr>"]
    assert second.headers.first("to") == "<sip:ada@h>;tag=t"
    assert [each.headers.first("cseq") for each in (first, second)] == ["1 SUBSCRIBE", "2 SUBSCRIBE"]
    dialog.established(SipResponse(status=200, reason="OK", headers=Headers.of(("Contact", "<sip:ada@10.0.0.2>"), *to)))
    assert (dialog.remote_target, len(dialog.routes)) == ("sip:ada@10.0.0.2", 3)


def test_the_route_set_is_that_of_the_answer_though_a_notify_came_first():
    dialog = Dialog.starting("sip:us@h", "sip:ada@h")
    dialog.established_by(message("NOTIFY", 1, tag="t"))
    fields = Headers.of(("To", "<sip:ada@h>;tag=t"), ("Record-Route", "<sip:p1;lr>"))
    dialog.established(SipResponse(status=200, reason="OK", headers=fields))
    assert dialog.routes == ("<sip:p1;lr>",)


def test_a_dialog_of_the_peer_takes_the_route_set_as_it_is():
    asked = message(
        "SUBSCRIBE",
        5,
        ("Record-Route", "<sip:p1;lr>"),
        ("Record-Route", "<sip:p2;lr>"),
        ("Contact", "sip:peer@10.0.0.1"),
    )
    dialog = Dialog.of_request(asked)
    sent = dialog.request("NOTIFY")
    assert (sent.uri, sent.headers.lines("route")) == ("sip:peer@10.0.0.1", ["<sip:p1;lr>", "<sip:p2;lr>"])
    for bad in (message("SUBSCRIBE", 1), message("SUBSCRIBE", 1, ("Contact", "*"))):
        with pytest.raises(MalformedMessage):
            Dialog.of_request(bad)


@given(st.lists(st.integers(0, 2**31 - 1), max_size=20))
def test_requests_count_only_if_they_are_newer_than_all_before(numbers: list[int]):
    dialog = Dialog.starting("sip:us@h", "sip:ada@h")
    taken = [number for number in numbers if dialog.in_order(message("NOTIFY", number))]
    assert taken == sorted(set(taken))
    assert not numbers or taken[-1] == max(numbers)
