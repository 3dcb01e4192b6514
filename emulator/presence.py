"""The written form of a presence: the three published spellings, and the JSON of one person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from emulator.clock import written
from emulator.world import Shown

if TYPE_CHECKING:
    from emulator.switches import Switches
    from emulator.world import Person

_BASE_OF_IDLE = {"AvailableIdle": "Available", "BusyIdle": "Busy"}

# The current page and the SDKs keep these in availability and know fewer activities:
# https://learn.microsoft.com/graph/api/resources/presence
_MOVED = {"InACall", "InAMeeting", "Presenting", "Focusing"}
_ACTIVITY = {
    "InAConferenceCall": "Busy", "Inactive": "Available", "OffWork": "Offline", "UrgentInterruptionsOnly": "DoNotDisturb",
}  # fmt: skip
_KNOWN = {
    "Available", "AvailableIdle", "Away", "BeRightBack", "Busy", "BusyIdle", "DoNotDisturb", "Offline", "PresenceUnknown",
    "InACall", "InAConferenceCall", "Inactive", "InAMeeting", "OffWork", "OutOfOffice", "Presenting",
    "UrgentInterruptionsOnly", "Focusing",
}  # fmt: skip
_AMERICAN = {"id", "availability", "activity", "statusMessage"}
"""The properties of presence in the clouds of the US government, by the metadata of each:
https://github.com/microsoftgraph/msgraph-metadata"""
_SEQUENCE = re.compile(r"([A-Z])(\d{10})")


def spell(shown: Shown, switches: Switches) -> Shown:
    """Return the two strings in the spelling of the switches; unpublished strings are returned unchanged."""
    if switches.out_of_office_activity == "never" and shown.activity == "OutOfOffice":
        shown = Shown(shown.availability, shown.availability)
    if not switches.idle_values and shown.availability in _BASE_OF_IDLE:
        base = _BASE_OF_IDLE[shown.availability]
        shown = Shown(base, base)
    if switches.spelling == "pascal":
        return shown
    availability, activity = shown
    if activity in _MOVED:
        availability, activity = activity, availability
    moved = Shown(availability, _ACTIVITY.get(activity, activity))
    return moved if switches.spelling == "third" else Shown(_lower(moved.availability), _lower(moved.activity))


def _lower(word: str) -> str:
    return word[:1].lower() + word[1:] if word in _KNOWN else word


def encode(person: Person, switches: Switches, *, own: bool = False) -> bytes:
    """Return one person's presence as a JSON object, as another user reads it; `own`: as the person does."""
    shown = spell(person.shown, switches)
    value: dict[str, Any] = {"id": person.oid, "availability": shown.availability, "activity": shown.activity}
    away = person.out_of_office
    if away and switches.out_of_office_activity == "combined" and shown.activity.lower() not in _PLAIN:
        value["activity"] = f"{shown.activity} + OOF"
    if person.status_message or switches.no_status_message == "null":
        value["statusMessage"] = _status_message(person, own=own)
    value["outOfOfficeSettings"] = {
        "message": (person.out_of_office_message or None) if away else None, "isOutOfOffice": away,
    }  # fmt: skip
    if switches.sequence_numbers:
        value["sequenceNumber"] = _sequence(person.sequence, switches)
    if switches.work_locations or switches.extra_fields:
        value["workLocation"] = {"placeId": None, "source": "none", "workLocationType": "unspecified"}
    if person.tenant.cloud in {"us_gov", "us_dod"}:
        value = {name: each for name, each in value.items() if name in _AMERICAN}
    if switches.extra_fields:
        value["mood@emulator.unexpected"] = {"nested": [1, 2, 3]}
    return msgspec.json.encode(value)


_PLAIN = {"available", "outofoffice", "offline", "offwork"}
"""Activities that being out of office is not added to, in lower case."""


def encode_unknown(user_id: str, switches: Switches) -> bytes:
    """Return the presence of an unknown user, if the switches specify one."""
    shown = spell(Shown("PresenceUnknown", "PresenceUnknown"), switches)
    return msgspec.json.encode({"id": user_id, "availability": shown.availability, "activity": shown.activity})


def _status_message(person: Person, *, own: bool) -> dict[str, Any] | None:
    """Return the status message. Only its owner sees when it was set and when it expires; without a timer it never does.

    https://learn.microsoft.com/graph/api/resources/presencestatusmessage
    """
    if not person.status_message:
        return None
    value: dict[str, Any] = {"message": {"content": person.status_message, "contentType": "text"}}
    if own:
        value["publishedDateTime"] = written(person.status_published)
    if own and not (person.timers or {}).get("status_message"):
        value["expiryDateTime"] = {"dateTime": "9999-12-31T23:59:59.9999999", "timeZone": "UTC"}
    return value


def _sequence(number: str, switches: Switches) -> str:
    """Return a sequence number in the form of the switches; one that was set manually is unchanged."""
    found = _SEQUENCE.fullmatch(number)
    if found is None or switches.sequence_form == "letter_and_10_digits":
        return number
    whole = (ord(found[1]) - ord("A")) * 10**10 + int(found[2])
    return f"{whole:020d}" if switches.sequence_form == "20_digits" else f"{whole:016x}"
