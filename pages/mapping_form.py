"""The form of the presence mapping: the default console status of each row, and the tenant's override."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pages.status_names import STATUS_NAMES
from relay.core.presence import ConsoleStatus
from relay.core.showing.mapping import TABLE, RowKey, row_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_FIELDS: Final = 100
"""The form has 58 lists, and the fingerprint of the mapping that it was shown with."""
PREFIX: Final = "map:"
"""Prefix of the settings."""

_SPELLED: Final = {
    word.lower(): word
    for word in (
        *("Available", "AvailableIdle", "AvailableInactive", "Inactive", "Busy", "BusyIdle", "InACall", "InAMeeting"),
        *("InAConferenceCall", "Presenting", "Focusing", "DoNotDisturb", "UrgentInterruptionsOnly", "Away", "OffWork"),
        *("BeRightBack", "OutOfOffice", "Offline", "PresenceUnknown"),
    )
}
"""Microsoft's spelling of the table's words."""


@dataclass(frozen=True, slots=True)
class MappingChoice:
    """One select of the form.

    Attributes:
        setting: its setting, `map:` and the row in Microsoft's spelling.
        row: the row in Microsoft's spelling, without the out-of-office suffix.
        is_out: whether it applies while a user is out of office.
        usual: the status in the built-in table.
        chosen: the status that the tenant chose instead; None: the built-in one.
    """

    setting: str
    row: str
    is_out: bool
    usual: ConsoleStatus
    chosen: ConsoleStatus | None


def choices(settings: Mapping[str, str]) -> list[tuple[MappingChoice, MappingChoice | None]]:
    """Return (usual, out of office) for every row, in table order; None where out of office makes no difference."""
    chosen = overrides(settings)
    found = []
    for row in TABLE:
        out = _choice(row.availability, row.activity, row.when_out, chosen, out=True)
        usual = _choice(row.availability, row.activity, row.console_status, chosen, out=False)
        found.append((usual, None if row.availability == "outofoffice" else out))
    return found


def shown(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of `mapping_table` in `_mapping.html`."""
    return {"rows": choices(settings), "status_names": STATUS_NAMES}


def overrides(settings: Mapping[str, str]) -> dict[RowKey, ConsoleStatus]:
    """Return row -> status for the tenant's settings, in either spelling of the rows."""
    return {
        key: ConsoleStatus[settings[name]]
        for name, key in _rows_of(settings)
        if settings[name] in ConsoleStatus.__members__
    }


def fingerprint(settings: Mapping[str, str]) -> str:
    """Return a digest of the mapping that a form is shown with, to detect a change that another person made since."""
    rows = sorted((name, value) for name, value in settings.items() if name.startswith(PREFIX))
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:32]


def changes_of(settings: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return setting -> value for each change in the form; an empty value removes a setting.

    A setting in an operator's other spelling of the row is removed when the form sets the row.

    Raises:
        ValueError: a value was sent that the form does not offer.
    """
    changes: dict[str, str] = {}
    known = overrides(settings)
    spelled = dict(_rows_of(settings))
    for both in choices(settings):
        for choice in both:
            if choice is None or choice.setting not in given:
                continue
            status = given[choice.setting]
            if status and status not in ConsoleStatus.__members__:
                raise ValueError("not a console status")
            key = row_key(choice.setting.removeprefix(PREFIX))
            if (known[key].name if key in known else "") == status:
                continue
            changes |= {name: "" for name, other in spelled.items() if other == key}
            changes[choice.setting] = status
    return changes


def _choice(
    availability: str, activity: str, usual: ConsoleStatus, chosen: Mapping[RowKey, ConsoleStatus], *, out: bool
) -> MappingChoice:
    row = _SPELLED[availability] + (f" / {_SPELLED[activity]}" if activity else "")
    setting = f"{PREFIX}{row}{' + OOF' if out else ''}"
    return MappingChoice(setting, row, out, usual, chosen.get(RowKey(availability, activity, out)))


def _rows_of(settings: Mapping[str, str]) -> Iterator[tuple[str, RowKey]]:
    for name in settings:
        if name.startswith(PREFIX):
            try:
                yield name, row_key(name.removeprefix(PREFIX))
            except ValueError:
                continue  # a row of an older release, which is ignored everywhere
