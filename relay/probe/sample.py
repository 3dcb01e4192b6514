"""Describes the form of Graph's pages of presences. Pure; these functions return no personal data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from relay.probe.client import Unanswered

Entry = Mapping[str, Any]
Judgement = Callable[[Sequence[Entry]], str | bool]
"""A function that finds one property of a page; raises `Unanswered` if the page does not show it."""

# https://learn.microsoft.com/graph/api/resources/presence, the current page and the one before it.
WORDS: Final = frozenset({
    "available", "availableidle", "availableinactive", "away", "berightback", "busy", "busyidle", "donotdisturb", "focusing",
    "inacall", "inaconferencecall", "inactive", "inameeting", "offline", "offwork", "outofoffice", "presenceunknown",
    "presenting", "urgentinterruptionsonly",
})  # fmt: skip
"""All values that Microsoft has published for the two fields, in lower case."""

FIELDS: Final = frozenset({
    "id", "availability", "activity", "outOfOfficeSettings", "sequenceNumber", "statusMessage", "workLocation",
})  # fmt: skip
"""The documented fields of a presence."""

_SCHEMA_NAME = re.compile(r"[A-Za-z][A-Za-z.@]{0,40}")
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z+.-]{1,30}")
_MOVED: Final = frozenset({"InACall", "InAMeeting", "Presenting", "Focusing"})
"""Activities in older documentation, availabilities in newer documentation."""
_OLDER_ACTIVITIES: Final = _MOVED | {"InAConferenceCall", "Inactive", "OffWork", "UrgentInterruptionsOnly"}
_IDLE: Final = frozenset({"availableidle", "busyidle"})
_BUSY: Final = frozenset({"busy", "busyidle", "donotdisturb", "inacall", "inameeting", "presenting", "focusing"})
_SEQUENCE_FORMS: Final = {
    "letter_and_10_digits": re.compile(r"[A-Z][0-9]{10}"),
    "20_digits": re.compile(r"[0-9]{20}"),
    "16_hex": re.compile(r"[0-9a-f]{16}"),
}


def words(entries: Iterable[Entry], field: str) -> dict[str, int]:
    """Count each published value of a field, in Graph's spelling; other values are counted together."""
    found = Counter(_text(entry, field) for entry in entries)
    told: Counter[str] = Counter()
    for word, count in found.items():
        told[word if word.lower() in WORDS else "(nothing)" if not word else "(another)"] += count
    return dict(sorted(told.items()))


def fields(entries: Iterable[Entry]) -> dict[str, int]:
    """Count the presences with each field; fields with names outside the schema are counted together."""
    found = Counter(name if _SCHEMA_NAME.fullmatch(name) else "(another)" for entry in entries for name in entry)
    return dict(sorted(found.items()))


def content_type(headers: Mapping[str, str]) -> str:
    """Return the media type of an answer, without its parameters."""
    found = headers.get("content-type", "").partition(";")[0].strip().lower()
    return found if _MEDIA_TYPE.fullmatch(found) else "(another)"


def is_unknown(entry: Entry) -> bool:
    """Return True if a presence reports that nothing is known."""
    return _text(entry, "availability").lower() == "presenceunknown"


def spelling(entries: Sequence[Entry]) -> str:
    """Return the spelling of values: `pascal`, `lower_camel` or `third`; see the emulator's switch."""
    availabilities = {_text(entry, "availability") for entry in entries} - {""}
    activities = {_text(entry, "activity") for entry in entries} - {""}
    lower = {word[0].islower() for word in availabilities | activities if word.lower() in WORDS}
    if len(lower) > 1:
        raise Unanswered("some words begin with a capital and some do not")
    if lower == {True}:
        return "lower_camel"
    is_newer, is_older = bool(availabilities & _MOVED), bool(activities & _OLDER_ACTIVITIES)
    if is_newer and is_older:
        raise Unanswered("calls and meetings are in both fields")
    if is_newer or is_older:
        return "third" if is_newer else "pascal"
    raise Unanswered("no user was in a call or a meeting, presenting or idle, which distinguishes two spellings")


def idle_values(entries: Sequence[Entry]) -> bool:
    """Return True if any user is idle. Raises `Unanswered` otherwise, because that proves nothing."""
    if any(_text(entry, "availability").lower() in _IDLE for entry in entries):
        return True
    raise Unanswered("no user was idle at that moment; repeat when someone has just closed Teams")


def sequence_numbers(entries: Sequence[Entry]) -> bool:
    """Return True if all presences have a sequence number, False if none has."""
    found = {bool(_text(entry, "sequenceNumber")) for entry in entries}
    if len(found) != 1:
        raise Unanswered("some have a sequence number and some have not" if found else "the sample has no users")
    return found.pop()


def sequence_form(entries: Sequence[Entry]) -> str:
    """Return the form of the sequence numbers."""
    numbers = [number for entry in entries if (number := _text(entry, "sequenceNumber"))]
    if not numbers:
        raise Unanswered("there are no sequence numbers")
    for name, form in _SEQUENCE_FORMS.items():
        if all(form.fullmatch(number) for number in numbers):
            return name
    raise Unanswered(
        f"numbers have a form of their own, {min(map(len, numbers))} to {max(map(len, numbers))} characters"
    )


def no_status_message(entries: Sequence[Entry]) -> str:
    """Return the form of an absent status message: `null`, or a missing field."""
    found = {"null" if "statusMessage" in entry else "absent" for entry in entries if not entry.get("statusMessage")}
    if len(found) != 1:
        raise Unanswered("sometimes null, sometimes absent" if found else "every user had a status message")
    return found.pop()


def out_of_office_activity(entries: Sequence[Entry]) -> str:
    """Return the form in which the activity shows that a user is out of office."""
    out = [entry for entry in entries if _is_out(entry)]
    if any("oof" in _text(entry, "activity").lower() for entry in out):
        return "combined"
    free = [entry for entry in out if _text(entry, "availability").lower() in ("available", "availableidle")]
    busy = [entry for entry in out if _text(entry, "availability").lower() in _BUSY]
    if not free:
        raise Unanswered("no user was available and out of office at that moment")
    if not any(_text(entry, "activity").lower() == "outofoffice" for entry in free):
        return "never"
    if not busy:
        raise Unanswered("no user was busy and out of office at that moment")
    return "when_available"


def work_locations(entries: Sequence[Entry]) -> bool:
    """Return True if any user has a work location."""
    return any("workLocation" in entry for entry in entries)


def extra_fields(entries: Sequence[Entry]) -> bool:
    """Return True if there are undocumented fields."""
    return any(not FIELDS.issuperset(_own(entry)) for entry in entries)


def _own(entry: Entry) -> set[str]:
    return {name for name in entry if not name.startswith("@odata.")}


def _is_out(entry: Entry) -> bool:
    settings = entry.get("outOfOfficeSettings")
    return isinstance(settings, Mapping) and settings.get("isOutOfOffice") is True


def _text(entry: Entry, field: str) -> str:
    value = entry.get(field)
    return value if isinstance(value, str) else ""


JUDGEMENTS: Final[Mapping[str, Judgement]] = {
    "spelling": spelling,
    "idle_values": idle_values,
    "sequence_numbers": sequence_numbers,
    "sequence_form": sequence_form,
    "no_status_message": no_status_message,
    "out_of_office_activity": out_of_office_activity,
    "work_locations": work_locations,
    "extra_fields": extra_fields,
}
"""Switch -> the function that finds its value in a page of presences."""
