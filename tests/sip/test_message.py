"""Messages as peers write them, and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.errors import MalformedMessage
from suite.sip.headers import Headers
from suite.sip.message import MessageLimits, SipRequest, SipResponse, StreamParser, UnreadableBody, parse_datagram

HEAD = (
    "NOTIFY sip:suite@127.0.0.1:5070 SIP/2.0\r\n"
    "v: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\n"
    'f: "Ada, Countess" <sip:ada@pbx.example>;tag=a\r\n'
    "t: <sip:suite@pbx.example>;tag=b\r\n"
    "i: 1@x\r\n"
    "CSeq: 7 NOTIFY\r\n"
    "o: presence\r\n"
)


def message(*lines: str, body: str = "", first: str = HEAD) -> bytes:
    return (first + "".join(f"{line}\r\n" for line in lines) + "\r\n" + body).encode()


def test_compact_names_and_several_values_in_a_line_are_read():
    read = parse_datagram(message("l: 2", body="hi"))
    assert isinstance(read, SipRequest)
    assert (read.method, read.headers.first("event"), read.body) == ("NOTIFY", "presence", b"hi")
    assert len(read.headers.values("via")) == 2
    assert read.headers.values("from") == ['"Ada, Countess" <sip:ada@pbx.example>;tag=a']


def test_folded_lines_and_bare_line_feeds_are_read():
    text = message("Subscription-State: active;", "\texpires=60").replace(b"\r\n", b"\n")
    read = parse_datagram(text)
    assert read.headers.first("subscription-state") == "active; expires=60"


def test_header_text_that_is_not_utf_8_is_echoed_byte_by_byte():
    data = message("Subject: Caf\u00e9").replace("\u00e9".encode(), b"\xe9")
    assert b"Subject: Caf\xe9\r\n" in parse_datagram(data).to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        message().replace(b"i: 1@x\r\n", b""),
        message().replace(b"i: 1@x\r\n", b"i:\r\n"),
        message().replace(b"CSeq: 7 NOTIFY", b"CSeq: 7 SUBSCRIBE"),
        message().replace(b"CSeq: 7 NOTIFY", b"CSeq: 4294967296 NOTIFY"),
        message("no colon"),
        message("Subject: a\x00b"),
        message("Subject: a\rb"),
        message("Subject: " + "x" * 9000),
        message(*["Subject: x"] * 200),
        message("Content-Length: -1"),
        message("Content-Length: 1", "Content-Length: 2", body="hi"),
        message("Content-Length: 20", body="short"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes):
    with pytest.raises(MalformedMessage):
        parse_datagram(data)


def test_a_request_whose_body_is_too_long_can_be_answered():
    with pytest.raises(UnreadableBody) as refused:
        StreamParser(MessageLimits(body_bytes=10)).feed(message("Content-Length: 11"))
    assert (refused.value.status, refused.value.request is not None) == (413, True)


@given(st.lists(st.sampled_from(["", "x", "hello\r\n\r\nNOTIFY"]), min_size=1, max_size=4), st.data())
def test_a_stream_gives_the_same_messages_however_it_is_cut(bodies: list[str], data: st.DataObject):
    whole = b"".join(message(f"l: {len(body)}", body=body) + b"\r\n\r\n" for body in bodies)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=6).map(sorted))
    parser, read = StreamParser(), []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        read += parser.feed(whole[start:end])
    assert [each.body for each in read] == [body.encode() for body in bodies]
    assert not parser.in_the_middle


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int):
    whole = message("l: 0")
    for data in (noise, whole[:at] + noise + whole[at:]):
        try:
            read = parse_datagram(data)
        except MalformedMessage:
            continue
        assert parse_datagram(read.to_bytes()) == read


_texts = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="\x7f\x85\xa0"), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["Subject", "X-Any", "Event"]), _texts), max_size=5), st.binary(max_size=50))
def test_what_is_written_is_read_as_it_was(fields: list[tuple[str, str]], body: bytes):
    needed = [("Via", "SIP/2.0/UDP h;branch=z9hG4bKx"), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:c@d>")]
    headers = Headers.of(*needed, ("Call-ID", "x"), ("CSeq", "1 PUBLISH"), *fields)
    for each in (
        SipRequest(method="PUBLISH", uri="sip:c@d", headers=headers, body=body),
        SipResponse(status=200, reason="OK", headers=headers, body=body),
    ):
        assert parse_datagram(each.to_bytes()) == each
        assert StreamParser().feed(each.to_bytes()) == [each]
