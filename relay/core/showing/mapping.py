"""The mapping table: Microsoft's availability and activity -> the state that consoles get.

One table, availability × activity, is the source of everything that consoles draw: `TABLE` gives base state, idle and
console status, `LOOKS` gives each console status its icon name and colour. Microsoft has published three spellings of
the two fields (PascalCase with calls in `activity`; lower camel case with calls in `availability`; PascalCase with
calls in `availability`) and combinations such as "Busy / InACall + OOF"; all of them lead to the same rows, because
letters are compared without case and separators split a text into words.

How a row is found:

1. The words of both fields are joined. The first word that is a known availability selects the rows.
2. The first other word that has a row under that availability selects it; otherwise the row with an empty activity applies.
3. Out of office, from a word or from the settings, selects the row's `when_out` column. It replaces only states in
   which the user would not be disturbed: an attendant must still see that a user is on the phone.
4. Without any known word: unknown, never offline.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from relay.core.presence import Availability, ConsoleStatus

_A = Availability
_C = ConsoleStatus
_USED: Final = False
_IDLE: Final = True


class RowKey(NamedTuple):
    """One cell of the table, by row and out-of-office column: an override replaces its status."""

    availability: str
    activity: str
    out: bool


Overrides = Mapping[RowKey, ConsoleStatus]
"""A tenant's own console statuses for rows of the table; see `row_key`."""

NO_OVERRIDES: Final[Overrides] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; an empty `activity` is the row for every activity without a row."""

    availability: str
    activity: str
    state: Availability
    idle: bool
    console_status: ConsoleStatus
    when_out: ConsoleStatus


class Mapped(NamedTuple):
    """The meaning of an availability and an activity."""

    availability: Availability
    idle: bool
    console_status: ConsoleStatus


class Explained(NamedTuple):
    """The mapping of an availability and an activity, with the row that led to it.

    Attributes:
        row: row of the table.
        out: whether the out-of-office column applied.
        override: the tenant's status in place of the row's; None without an override.
        mapped: the result.
    """

    row: Row
    out: bool
    override: ConsoleStatus | None
    mapped: Mapped

    @property
    def name(self) -> str:
        """The row as an override names it, such as "busy / inacall" or "away + oof"."""
        words = f"{self.row.availability} / {self.row.activity}" if self.row.activity else self.row.availability
        return f"{words} + oof" if self.out else words


class Colour(enum.StrEnum):
    """The colours of the icons, named as in the protocol's comments."""

    GREEN = "green"
    RED = "red"
    RED_WITH_BAR = "red with a bar"
    ORANGE = "orange"
    GREY = "grey"
    HOLLOW = "hollow"


@dataclass(frozen=True, slots=True)
class StatusLook:
    """The icon and colour with which a console draws a status."""

    icon: str
    colour: Colour


TABLE: Final = (
    #   availability       activity                   base state          idle?  console status         when out of office
    Row("available", "", _A.AVAILABLE, _USED, _C.AVAILABLE, _C.OUT_OF_OFFICE),
    # A session of an application that timed out: "Available/AvailableInactive", spelled "AvailableIdle" elsewhere.
    Row("available", "availableinactive", _A.AVAILABLE, _IDLE, _C.AVAILABLE_IDLE, _C.OUT_OF_OFFICE),
    Row("available", "inactive", _A.AVAILABLE, _IDLE, _C.AVAILABLE_IDLE, _C.OUT_OF_OFFICE),
    Row("availableidle", "", _A.AVAILABLE, _IDLE, _C.AVAILABLE_IDLE, _C.OUT_OF_OFFICE),
    Row("busy", "", _A.BUSY, _USED, _C.BUSY, _C.BUSY),
    Row("busy", "inacall", _A.BUSY, _USED, _C.IN_A_CALL, _C.IN_A_CALL),
    Row("busy", "inaconferencecall", _A.BUSY, _USED, _C.IN_A_CALL, _C.IN_A_CALL),
    Row("busy", "inameeting", _A.BUSY, _USED, _C.IN_A_MEETING, _C.IN_A_MEETING),
    Row("busy", "presenting", _A.BUSY, _USED, _C.PRESENTING, _C.PRESENTING),
    Row("busy", "focusing", _A.BUSY, _USED, _C.FOCUSING, _C.FOCUSING),
    Row("busy", "inactive", _A.BUSY, _IDLE, _C.BUSY_IDLE, _C.BUSY_IDLE),
    # For every activity: before offline it is the last known one, and the idle step must be visible.
    Row("busyidle", "", _A.BUSY, _IDLE, _C.BUSY_IDLE, _C.BUSY_IDLE),
    Row("inacall", "", _A.BUSY, _USED, _C.IN_A_CALL, _C.IN_A_CALL),
    Row("inaconferencecall", "", _A.BUSY, _USED, _C.IN_A_CALL, _C.IN_A_CALL),
    Row("inameeting", "", _A.BUSY, _USED, _C.IN_A_MEETING, _C.IN_A_MEETING),
    Row("donotdisturb", "", _A.DO_NOT_DISTURB, _USED, _C.DO_NOT_DISTURB, _C.DO_NOT_DISTURB),
    Row("donotdisturb", "presenting", _A.DO_NOT_DISTURB, _USED, _C.PRESENTING, _C.PRESENTING),
    Row("donotdisturb", "focusing", _A.DO_NOT_DISTURB, _USED, _C.FOCUSING, _C.FOCUSING),
    Row("donotdisturb", "urgentinterruptionsonly", _A.DO_NOT_DISTURB, _USED, _C.FOCUSING, _C.FOCUSING),
    Row("presenting", "", _A.DO_NOT_DISTURB, _USED, _C.PRESENTING, _C.PRESENTING),
    Row("focusing", "", _A.DO_NOT_DISTURB, _USED, _C.FOCUSING, _C.FOCUSING),
    Row("urgentinterruptionsonly", "", _A.DO_NOT_DISTURB, _USED, _C.FOCUSING, _C.FOCUSING),
    Row("away", "", _A.AWAY, _USED, _C.AWAY, _C.OUT_OF_OFFICE),
    # Example 3 of https://learn.microsoft.com/graph/api/presence-get has these two values.
    Row("away", "berightback", _A.BE_RIGHT_BACK, _USED, _C.BE_RIGHT_BACK, _C.OUT_OF_OFFICE),
    Row("berightback", "", _A.BE_RIGHT_BACK, _USED, _C.BE_RIGHT_BACK, _C.OUT_OF_OFFICE),
    Row("outofoffice", "", _A.AWAY, _USED, _C.OUT_OF_OFFICE, _C.OUT_OF_OFFICE),
    Row("offline", "", _A.OFFLINE, _USED, _C.OFFLINE, _C.OUT_OF_OFFICE),
    Row("offline", "offwork", _A.OFFLINE, _USED, _C.OFFLINE, _C.OUT_OF_OFFICE),  # "appear offline"
    Row("offwork", "", _A.OFFLINE, _USED, _C.OFFLINE, _C.OUT_OF_OFFICE),
    Row("presenceunknown", "", _A.UNKNOWN, _USED, _C.UNKNOWN, _C.OUT_OF_OFFICE),
)
"""Every availability and activity that Microsoft has published, in lower case."""

LOOKS: Final[Mapping[ConsoleStatus, StatusLook]] = MappingProxyType(
    {
        _C.UNKNOWN: StatusLook("unknown", Colour.HOLLOW),
        _C.AVAILABLE: StatusLook("available", Colour.GREEN),
        _C.AVAILABLE_IDLE: StatusLook("available-idle", Colour.ORANGE),
        _C.BUSY: StatusLook("busy", Colour.RED),
        _C.BUSY_IDLE: StatusLook("busy-idle", Colour.RED),
        _C.IN_A_CALL: StatusLook("in-a-call", Colour.RED),
        _C.IN_A_MEETING: StatusLook("in-a-meeting", Colour.RED),
        _C.DO_NOT_DISTURB: StatusLook("do-not-disturb", Colour.RED_WITH_BAR),
        _C.PRESENTING: StatusLook("presenting", Colour.RED_WITH_BAR),
        _C.FOCUSING: StatusLook("focusing", Colour.RED_WITH_BAR),
        _C.AWAY: StatusLook("away", Colour.ORANGE),
        _C.BE_RIGHT_BACK: StatusLook("be-right-back", Colour.ORANGE),
        _C.OUT_OF_OFFICE: StatusLook("out-of-office", Colour.ORANGE),
        _C.OFFLINE: StatusLook("offline", Colour.GREY),
    }
)


def map_presence(
    availability: str,
    activity: str,
    out_of_office: bool | None = None,  # noqa: FBT001 - the third of Microsoft's three fields, always given
    overrides: Overrides = NO_OVERRIDES,
) -> Mapped:
    """Return the meaning of Microsoft's two fields; never fails, whatever their values.

    Args:
        availability: as received.
        activity: as received.
        out_of_office: whether the user's settings have it on; None when Microsoft did not send it or the tenant does
            not disclose it.
        overrides: the tenant's own console statuses.
    """
    key, mapped = _find(availability, activity, bool(out_of_office))
    if overrides and key in overrides:
        return mapped._replace(console_status=overrides[key])
    return mapped


def explain(
    availability: str,
    activity: str,
    out_of_office: bool | None = None,  # noqa: FBT001 - as above
    overrides: Overrides = NO_OVERRIDES,
) -> Explained:
    """Return the meaning of Microsoft's two fields with the row that led to it."""
    key, _ = _find(availability, activity, bool(out_of_office))
    mapped = map_presence(availability, activity, out_of_office, overrides)
    return Explained(_ROWS[key.availability, key.activity], key.out, overrides.get(key), mapped)


def row_key(text: str) -> RowKey:
    """Return the row that a text such as "AvailableIdle", "Busy / InACall" or "Away + OOF" names, for a tenant's overrides.

    Raises:
        ValueError: the table has no such row.
    """
    words = _words(text)
    out = _OUT in words[1:]
    named = tuple(word for word in words if word != _OUT or word == words[0])
    availability, activity = (*named, "", "")[:2]
    if len(named) > 2 or (availability, activity) not in _ROWS:
        raise ValueError(f"the mapping has no row {text[:100]!r}")
    return RowKey(availability, activity, out)


def overrides(settings: Mapping[str, str]) -> Overrides:
    """Return a tenant's overrides: `map:<row>` is the name of a console status, as in `map:Away + OOF` = `AWAY`.

    Invalid rows and names are ignored: the settings were checked when they were saved.
    """
    found: dict[RowKey, ConsoleStatus] = {}
    for setting, value in settings.items():
        if setting.startswith(_SETTING) and value in ConsoleStatus.__members__:
            with suppress(ValueError):
                found[row_key(setting.removeprefix(_SETTING))] = ConsoleStatus[value]
    return found or NO_OVERRIDES


_SETTING: Final = "map:"
_OUT: Final = "outofoffice"
_ROWS: Final = {(row.availability, row.activity): row for row in TABLE}
_SEPARATORS: Final = re.compile(r"[/+,;&|]")
_NOISE: Final = re.compile(r"[\W_]+")
_UNKNOWN_ROW: Final = _ROWS["presenceunknown", ""]
_MAX_CHARS: Final = 200
"""Longer texts are cut before they are parsed: the longest published one has 23 characters."""


# The two fields come from an open set, so the cache is bounded; in practice a few dozen pairs are ever seen.
@lru_cache(maxsize=1024)
def _find(availability: str, activity: str, out: bool) -> tuple[RowKey, Mapped]:  # noqa: FBT001 - part of the cache's key
    words = (*_words(availability), *_words(activity))
    # "OutOfOffice" is a base state only without another availability.
    bases = [word for word in words if (word, "") in _ROWS]
    base = next((word for word in bases if word != _OUT), bases[0] if bases else _UNKNOWN_ROW.availability)
    refining = next((word for word in words if (base, word) in _ROWS), "")
    row = _ROWS[base, refining]
    is_out = base != _OUT and (out or _OUT in words)
    status = row.when_out if is_out else row.console_status
    return RowKey(base, refining, is_out), Mapped(row.state, row.idle, status)


def _words(text: str) -> tuple[str, ...]:
    parts = (_NOISE.sub("", part).casefold() for part in _SEPARATORS.split(text[:_MAX_CHARS]))
    return tuple(_OUT if part == "oof" else part for part in parts if part)
