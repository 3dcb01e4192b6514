"""How a presence is written: the three published spellings, and the JSON of one person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

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


def spell(shown: Shown, switches: Switches) -> Shown:
    """The two strings as the switches want them; strings that nobody published pass as they are."""
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


def encode(person: Person, switches: Switches) -> bytes:
    """One person's presence as a JSON object, as another user reads it."""
    shown = spell(person.shown, switches)
    value: dict[str, Any] = {"id": person.oid, "availability": shown.availability, "activity": shown.activity}
    note = person.status_message
    value["statusMessage"] = {"message": {"content": note, "contentType": "text"}} if note else None
    away = person.out_of_office
    value["outOfOfficeSettings"] = {
        "message": (person.out_of_office_message or None) if away else None, "isOutOfOffice": away,
    }  # fmt: skip
    if switches.sequence_numbers:
        value["sequenceNumber"] = person.sequence
    if switches.extra_fields:
        value["workLocation"] = {"placeId": None, "source": "none", "workLocationType": "unspecified"}
        value["mood@emulator.unexpected"] = {"nested": [1, 2, 3]}
    return msgspec.json.encode(value)


def encode_unknown(user_id: str, switches: Switches) -> bytes:
    """The presence of somebody of whom nothing is known, where the switches want one."""
    shown = spell(Shown("PresenceUnknown", "PresenceUnknown"), switches)
    return msgspec.json.encode({"id": user_id, "availability": shown.availability, "activity": shown.activity})
