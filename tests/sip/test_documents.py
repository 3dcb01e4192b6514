"""Presence, dialogs and lists as servers write them, and as attackers do. Recorded ones are in recorded/."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.dialoginfo import DialogInfo, DialogsHeld, PhoneDialog, read_dialog_info, write_dialog_info
from suite.sip.documents import read_xml
from suite.sip.errors import BadDocument
from suite.sip.pidf import PidfDocument, read_pidf, write_pidf

ASTERISK = b"""<?xml version="1.0" encoding="UTF-8"?>
<presence entity="sip:1000@127.0.0.1" xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid">
 <note>On the phone</note>
 <tuple id="1000"><status><basic>open</basic></status><contact priority="1">sip:1000@127.0.0.1</contact></tuple>
 <dm:person />
 <dm:person id="p"><rpid:activities><rpid:on-the-phone /></rpid:activities></dm:person>
</presence>"""
OLD_ASTERISK = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:pp="urn:ietf:params:xml:ns:pidf:person"
xmlns:es="urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status" xmlns:ep="urn:ietf:params:xml:ns:pidf:rpid:rpid-person" entity="sip:1@h">
<pp:person><status>
<ep:activities><ep:busy/></ep:activities>
</status></pp:person>
<note>Bes\xe4tzt</note>
<tuple id="1"><contact priority="1">sip:1@h</contact><status><basic>closed</basic></status></tuple>
</presence>"""


def test_asterisks_presence_is_read():
    assert read_pidf(ASTERISK) == PidfDocument(
        entity="sip:1000@127.0.0.1", is_open=True, activities=frozenset({"on-the-phone"}), notes=("On the phone",)
    )
    old = read_pidf(OLD_ASTERISK)
    assert (old.is_open, old.activities, old.notes) == (False, {"busy"}, ("Bes\u00e4tzt",))


def test_any_prefix_will_do_and_the_contact_with_the_highest_priority_counts():
    read = read_pidf(
        b'<a:presence xmlns:a="urn:ietf:params:xml:ns:pidf" xmlns:b="urn:ietf:params:xml:ns:pidf:data-model" xmlns:c="urn:ietf:params:xml:ns:pidf:rpid"'
        b' entity="sip:a@b"><a:tuple id="1"><a:status><a:basic>open</a:basic></a:status><a:contact priority="0.2">sip:x</a:contact></a:tuple>'
        b'<a:tuple id="2"><a:status><a:basic>closed</a:basic></a:status><a:contact priority="0.9">sip:y</a:contact></a:tuple>'
        b"<b:person><c:user-input>idle</c:user-input><b:note>Lunch</b:note><b:note>Lunch</b:note></b:person></a:presence>"
    )
    assert (read.is_open, read.is_idle, read.notes) == (False, True, ("Lunch",))


def test_presence_is_written_as_phones_find_it():
    text = write_pidf(
        PidfDocument(entity="sip:ada@h", is_open=True, activities=frozenset({"busy"}), is_idle=True)
    ).decode()
    assert "<rpid:busy/>" in text
    assert "<rpid:user-input>idle</rpid:user-input>" in text
    assert '<dm:person id="person">' in text


_words = st.text(max_size=20).map(lambda text: " ".join(text.split())).filter(lambda text: text.isprintable())


@given(
    _words,
    st.sampled_from([True, False, None]),
    st.sets(st.sampled_from(["busy", "away", "on-the-phone"])),
    st.booleans(),
    _words,
)
def test_what_is_written_is_read_back(
    entity: str, is_open: bool | None, activities: set[str], is_idle: bool, note: str
):
    document = PidfDocument(
        entity=entity, is_open=is_open, activities=frozenset(activities), is_idle=is_idle, notes=(note,) if note else ()
    )
    assert read_pidf(write_pidf(document, "sip:ada@h")) == document


BOMB = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><presence>&b;</presence>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<presence/>",
        BOMB,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<a>" * 200_000,
        b"<a>" * 33 + b"</a>" * 33,
        b"<x>" + b"<a/>" * 60_000 + b"</x>",
        b"<x>" + b"a" * 2_000_000 + b"</x>",
        b'<?xml version="1.0" encoding="no-such-charset"?><x/>',
        b'<?xml version="1.0" encoding="EUC-JP"?><x/>',
        '<?xml version="1.0" encoding="UTF-8"?><x>\u00e9</x>'.encode("latin-1"),
        b'<?xml version="1.0" encoding="UTF-16"?><x/>',
        b"<x:presence/>",
        b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_bad_body_is_refused(body: bytes):
    for read in (read_pidf, read_dialog_info):
        with pytest.raises(BadDocument):
            read(body)


@given(st.binary(max_size=200), st.integers(0, len(ASTERISK)), st.integers(0, 40))
def test_a_damaged_document_is_read_or_refused(noise: bytes, at: int, cut: int):
    for body in (noise, ASTERISK[:at] + noise + ASTERISK[at + cut :]):
        for read in (read_pidf, read_dialog_info, read_xml):
            try:
                read(body)
            except BadDocument:
                continue


def info(version: int, *dialogs: tuple[str, str], full: bool = True) -> DialogInfo:
    calls = tuple(PhoneDialog(id=name, state=state) for name, state in dialogs)
    return DialogInfo(entity="sip:1001@h", version=version, is_full=full, dialogs=calls)


def test_dialogs_are_written_as_they_are_read():
    calls = (
        PhoneDialog(id="1", state="early", direction="recipient", remote="sip:x@y"),
        PhoneDialog(id="2", state="confirmed"),
    )
    document = DialogInfo(entity="sip:1001@h", version=3, is_full=False, dialogs=calls)
    assert read_dialog_info(write_dialog_info(document)) == document


def test_partial_dialogs_change_what_is_held_and_a_gap_asks_for_everything():
    held = DialogsHeld()
    assert held.take(info(5, ("a", "early"), full=False)) == "gap"
    assert held.take(info(5, ("a", "early"), ("b", "confirmed"))) == "taken"
    assert held.take(info(6, ("a", "terminated"), full=False)) == "taken"
    assert list(held.dialogs) == ["b"]
    assert held.take(info(6, ("b", "terminated"), full=False)) == "outdated"
    assert held.take(info(8, ("b", "terminated"), full=False)) == "gap"
    assert list(held.dialogs) == ["b"]
    assert held.take(info(0, ("c", "trying"))) == "taken"
    assert list(held.dialogs) == ["c"]
