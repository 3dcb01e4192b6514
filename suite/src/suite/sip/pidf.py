"""Presence documents: PIDF (RFC 3863) with the data model (RFC 4479) and RPID (RFC 4480).

Parsed by namespace, with any prefixes and in any order, and with the namespaces that Asterisk's older channel driver writes. Written as
phones expect: baresip searches for the text `<rpid:busy/>`, so the prefixes are `rpid` and `dm`, and there is no blank before the slash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from suite.sip.documents import as_attribute, as_text, read_xml, split_name, text_of
from suite.sip.errors import BadDocument

CONTENT_TYPE: Final = "application/pidf+xml"
OWN_ID: Final = "presence-agent"
"""The id of tuples and dialogs that agents publish, by which they recognise them. Persons have `OWN_PERSON_ID`."""
OWN_PERSON_ID: Final = f"{OWN_ID}-person"
_PIDF: Final = "urn:ietf:params:xml:ns:pidf"
_PERSONS: Final = frozenset({f"{_PIDF}:data-model", f"{_PIDF}:person"})
_RPIDS: Final = frozenset({f"{_PIDF}:rpid", f"{_PIDF}:rpid:rpid-person", f"{_PIDF}:rpid:status:rpid-status"})
_NOTES: Final = frozenset({_PIDF, *_PERSONS, *_RPIDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class PidfDocument:
    """The content of a presence document."""

    entity: str = ""
    is_open: bool | None = None
    """Whether the contact with the highest priority is open, or one of several with that priority. None: the document does not say."""
    activities: frozenset[str] = frozenset()
    """Local names of RPID's activities, such as `busy`, `on-the-phone`, `away`, `meeting`."""
    is_idle: bool = False
    """`<user-input>idle</user-input>`."""
    notes: tuple[str, ...] = ()
    """Notes of the person, then of tuples, then of the document; each text once."""


def read_pidf(body: bytes, *, without_own: bool = False) -> PidfDocument:
    """Parse a document.

    Args:
        body: the document.
        without_own: True to ignore what agents published. A presence server puts all publications of a user into one document.

    Raises:
        BadDocument: it is not a presence document, or exceeds a limit.
    """
    root = read_xml(body)
    if split_name(root.tag) != (_PIDF, "presence"):
        raise BadDocument("The document is not a presence document.")
    if without_own:
        for each in [each for each in root if each.get("id") in (OWN_ID, OWN_PERSON_ID)]:
            root.remove(each)
    persons = [each for each in root if split_name(each.tag)[0] in _PERSONS and split_name(each.tag)[1] == "person"]
    tuples = [each for each in root if split_name(each.tag) == (_PIDF, "tuple")]
    notes = [text for place in (*persons, *tuples, root) for text in _notes(place)]
    return PidfDocument(
        entity=root.get("entity", ""),
        is_open=_open(tuples),
        activities=frozenset(_activities(root)),
        is_idle=any(split_name(each.tag)[1] == "user-input" and text_of(each) == "idle" for each in _rpid(root)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _open(tuples: list[Element]) -> bool | None:
    said = [(_priority(each), basic) for each in tuples if (basic := _basic(each)) is not None]
    return max(said)[1] if said else None


def _basic(element: Element) -> bool | None:
    word = text_of(element.find(f"{{{_PIDF}}}status/{{{_PIDF}}}basic")).lower()
    return {"open": True, "closed": False}.get(word)


def _priority(element: Element) -> float:
    contact = element.find(f"{{{_PIDF}}}contact")
    text = contact.get("priority", "") if contact is not None else ""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0  # also for NaN


def _rpid(root: Element) -> Iterator[Element]:
    return (each for each in root.iter() if split_name(each.tag)[0] in _RPIDS)


def _activities(root: Element) -> Iterator[str]:
    for element in _rpid(root):
        if split_name(element.tag)[1] == "activities":
            for each in element:
                namespace, name = split_name(each.tag)
                if namespace in _RPIDS and name != "note":
                    yield name


def _notes(place: Element) -> Iterator[str]:
    for each in place:
        namespace, name = split_name(each.tag)
        if name == "note" and namespace in _NOTES and (text := text_of(each)):
            yield text


def write_pidf(document: PidfDocument, contact: str = "", *, own: bool = False) -> bytes:
    """Write a document. Without `is_open` it has no tuple. `contact` is a URI. `own` gives it the ids of an agent's publications."""
    tuple_id, person_id = (OWN_ID, OWN_PERSON_ID) if own else ("presence", "person")
    idle = "<rpid:user-input>idle</rpid:user-input>" if document.is_idle else ""
    activities = "".join(f"<rpid:{name}/>" for name in sorted(document.activities))
    activities = f"<rpid:activities>{activities}</rpid:activities>" if activities else ""
    notes = "".join(f"<dm:note>{as_text(note)}</dm:note>" for note in document.notes)
    person = f'<dm:person id="{person_id}">{activities}{idle}{notes}</dm:person>\n'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<presence xmlns="{_PIDF}" xmlns:dm="{_PIDF}:data-model" xmlns:rpid="{_PIDF}:rpid" '
        f"entity={as_attribute(document.entity)}>\n"
        f"{_tuple(document, contact, tuple_id)}{person if activities or idle or notes else ''}</presence>\n"
    ).encode()


def _tuple(document: PidfDocument, contact: str, tuple_id: str) -> str:
    if document.is_open is None:
        return ""
    where = f'<contact priority="1.0">{as_text(contact)}</contact>' if contact else ""
    notes = "".join(f"<note>{as_text(note)}</note>" for note in document.notes)
    basic = "open" if document.is_open else "closed"
    return f'<tuple id="{tuple_id}"><status><basic>{basic}</basic></status>{where}{notes}</tuple>\n'
