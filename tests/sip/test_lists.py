"""Resource lists in both dialects, and bodies of several parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.errors import BadDocument
from suite.sip.multipart import Part, read_multipart, write_related
from suite.sip.resource_lists import ListedResource, ListHeld, ListNotification, read_list, write_list

RLMI = 'xmlns="urn:ietf:params:xml:ns:rlmi"'
ASTERISK = (
    "multipart/related;type=\"application/rlmi+xml\";boundary=gLKaB",
    b"--gLKaB\r\nContent-ID: <root@h>\r\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\r\nContent-Length:   455\r\n\r\n"
    b'<?xml version="1.0" encoding="UTF-8"?><list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:all@h" version="0" fullState="true">'
    b'<name>all</name><resource uri="sip:1000@h"><name>1000</name><instance id="i" state="active" cid="x@h" /></resource>'
    b'<resource uri="sip:1001@h"><instance id="j" state="active" cid="lost@h" /></resource></list>\r\n'
    b"--gLKaB\r\nContent-ID: <x@h>\r\nContent-Type: application/pidf+xml\r\nContent-Length:   12\r\n\r\n<presence/>\r\n--gLKaB--\r\n",
)  # fmt: skip


def test_asterisks_list_is_read_and_a_missing_part_asks_for_everything():
    read = read_list(*ASTERISK)
    assert (read.uri, read.version, read.is_full) == ("sip:all@h", 0, True)
    assert [(each.uri, each.body, each.is_missing) for each in read.resources] == [
        ("sip:1000@h", b"<presence/>", False),
        ("sip:1001@h", None, True),
    ]
    assert ListHeld().take(read) == "gap"


def listed(version: int, *bodies: tuple[str, bytes | None], full: bool = False) -> ListNotification:
    resources = tuple(
        ListedResource(uri=uri, state="active", content_type="application/pidf+xml" if body else "", body=body)
        for uri, body in bodies
    )
    return ListNotification(uri="sip:all@h", version=version, is_full=full, resources=resources)


def test_kamailios_list_begins_without_bodies_and_tells_what_changed():
    held = ListHeld()
    assert held.take(listed(1, ("sip:a@h", None), ("sip:b@h", None), full=True)) == "taken"
    assert held.take(listed(2, ("sip:A@H;x=y", b"1"))) == "taken"  # the user's case counts, the host's does not
    assert held.take(listed(3, ("sip:a@H", b"2"))) == "taken"
    assert held.take(listed(3, ("sip:a@h", b"old"))) == "outdated"
    assert held.take(listed(5, ("sip:a@h", b"later"))) == "gap"
    assert {key: each.body for key, each in held.resources.items()} == {
        "sip:a@h": b"2",
        "sip:b@h": None,
        "sip:A@h": b"1",
    }


def test_lists_in_a_list_are_read_to_a_depth():
    kind, body = write_list(listed(0, ("sip:a@h", b"1"), full=True))
    for _ in range(3):
        root = f'<list {RLMI} uri="sip:o@h" version="0" fullState="true"><resource uri="sip:all@h"><instance id="1" state="active" cid="in"/></resource></list>'
        kind, body = write_related(
            Part(content_id="root", content_type="application/rlmi+xml", body=root.encode()),
            [Part(content_id="in", content_type=kind, body=body)],
        )
    assert [each.body for each in read_list(kind, body).resources] == [b"1"]
    root = f'<list {RLMI} uri="sip:o@h" version="0"><resource uri="sip:all@h"><instance id="1" cid="in"/></resource></list>'
    kind, body = write_related(
        Part(content_id="root", content_type="application/rlmi+xml", body=root.encode()),
        [Part(content_id="in", content_type=kind, body=body)],
    )
    with pytest.raises(BadDocument):
        read_list(kind, body)


def test_a_part_that_many_name_is_read_once():
    """Else a small body could name a list a thousand times, which names a list a thousand times."""
    kind, body = write_list(listed(0, ("sip:a@h", b"1"), full=True))
    for _ in range(2):
        instances = '<instance id="1" state="active" cid="in"/>' * 1000
        root = f'<list {RLMI} uri="sip:o@h" version="0" fullState="true"><resource uri="sip:all@h">{instances}</resource></list>'
        kind, body = write_related(
            Part(content_id="root", content_type="application/rlmi+xml", body=root.encode()),
            [Part(content_id="in", content_type=kind, body=body)],
        )
    read = read_list(kind, body).resources
    assert len(read) == 2 * 999 + 1
    assert [each.body for each in read if each.body is not None] == [b"1"]
    assert not any(each.is_missing for each in read)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/related", b"--x\r\n\r\na"),
        ("multipart/related;boundary=x", b""),
        ("multipart/related;boundary=x", b"no delimiter"),
        ("multipart/related;boundary=x", b"--x--"),
        ("multipart/related;boundary=x", b"--x\r\n" * 5000),
        ("multipart/related;boundary=x", b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n--x--"),
        ("multipart/related;boundary=x", b"--x\r\n no name\r\n\r\nbody\r\n--x--"),
        ("multipart/related;boundary=\"\x00\"", b"--\x00\r\n\r\na"),
        ("application/rlmi+xml", b"<list/>"),
        ("application/rlmi+xml", f'<list {RLMI} version="-1"/>'.encode()),
        ("text/plain", b"hello"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(kind: str, body: bytes):
    with pytest.raises(BadDocument):
        read_list(kind, body)


_bodies = st.binary(max_size=60).filter(lambda body: b"--" not in body)
_parts = st.builds(
    Part, content_id=st.text("abc123.@", min_size=1, max_size=9), content_type=st.just("text/plain"), body=_bodies
)


@given(_parts, st.lists(_parts, max_size=4))
def test_parts_are_read_as_they_were_written(root: Part, others: list[Part]):
    line, body = write_related(root, others)
    assert read_multipart(line, body) == (root.content_id, [root, *others])


@given(st.binary(max_size=120), st.integers(0, 500), st.integers(0, 60))
def test_a_damaged_list_is_read_or_refused(noise: bytes, at: int, cut: int):
    kind, body = ASTERISK
    try:
        ListHeld().take(read_list(kind, body[:at] + noise + body[at + cut :]))
    except BadDocument:
        return


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=12), st.sets(st.integers(0, 12)))
def test_a_list_with_lost_notifications_is_right_or_asks_for_everything(changes: list[tuple[str, int]], lost: set[int]):
    truth: dict[str, bytes] = {}
    held = ListHeld()
    held.take(listed(0, full=True))
    for version, (user, state) in enumerate(changes, start=1):
        truth[f"sip:{user}@h"] = str(state).encode()
        if version in lost:
            continue
        kind, body = write_list(listed(version, (f"sip:{user}@h", truth[f"sip:{user}@h"])))
        if held.take(read_list(kind, body)) == "gap":
            held.take(listed(version, *truth.items(), full=True))
        assert {key: each.body for key, each in held.resources.items()} == truth
