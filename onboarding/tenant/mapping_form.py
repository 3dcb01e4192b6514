"""The mapping's rows as a form: which console status each has here, and what a tenant may choose in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.core.presence import ConsoleStatus
from relay.core.showing.mapping import TABLE, RowKey, row_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "map:"
"""What the settings begin with."""

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
class Choice:
    """One select of the form.

    Attributes:
        setting: its setting, `map:` and the row as people write it.
        row: the row as people write it, without what is out of office.
        is_out: whether it holds while somebody is out of office.
        usual: the status that the table has.
        chosen: the status that the tenant has in its place; None: the table's.
    """

    setting: str
    row: str
    is_out: bool
    usual: ConsoleStatus
    chosen: ConsoleStatus | None


def choices(settings: Mapping[str, str]) -> list[tuple[Choice, Choice | None]]:
    """Every row of the table, in its order: what is chosen usually, and while out of office, where that differs at all."""
    chosen = overrides(settings)
    found = []
    for row in TABLE:
        out = _choice(row.availability, row.activity, row.when_out, chosen, out=True)
        usual = _choice(row.availability, row.activity, row.console_status, chosen, out=False)
        found.append((usual, None if row.availability == "outofoffice" else out))
    return found


def overrides(settings: Mapping[str, str]) -> dict[RowKey, ConsoleStatus]:
    """What the settings choose, however their rows are spelled."""
    return {
        key: ConsoleStatus[settings[name]]
        for name, key in _rows_of(settings)
        if settings[name] in ConsoleStatus.__members__
    }


def wanted(settings: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Setting -> value, for what the form changes; an empty value takes one away.

    A row that an operator spelled otherwise loses that setting when it gets one by this form.

    Raises:
        ValueError: something was sent that no select of the form offers.
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
                raise ValueError("no console status")
            key = row_key(choice.setting.removeprefix(PREFIX))
            if (known[key].name if key in known else "") == status:
                continue
            changes |= {name: "" for name, other in spelled.items() if other == key}
            changes[choice.setting] = status
    return changes


def _choice(
    availability: str, activity: str, usual: ConsoleStatus, chosen: Mapping[RowKey, ConsoleStatus], *, out: bool
) -> Choice:
    row = _SPELLED[availability] + (f" / {_SPELLED[activity]}" if activity else "")
    setting = f"{PREFIX}{row}{' + OOF' if out else ''}"
    return Choice(setting, row, out, usual, chosen.get(RowKey(availability, activity, out)))


def _rows_of(settings: Mapping[str, str]) -> Iterator[tuple[str, RowKey]]:
    for name in settings:
        if name.startswith(PREFIX):
            try:
                yield name, row_key(name.removeprefix(PREFIX))
            except ValueError:
                continue  # of an older release; it is ignored everywhere
