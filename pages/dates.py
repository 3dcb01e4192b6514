"""Formats of times, durations and numbers. Times are in UTC, marked as such: the server does not know the reader's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from relay.locale.languages import CURRENT, Language, ngettext

_MONTHS: Final = {
    Language.ENGLISH: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    Language.ITALIAN: (
        [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ]
    ),
}
_GROUP: Final = {Language.ENGLISH: ",", Language.ITALIAN: "."}
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


def date(at: datetime) -> str:
    """Return the day: "26 November 2026"."""
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[CURRENT.get()][at.month - 1]} {at.year}"


def when(at: datetime) -> str:
    """Return day and time: "26 November 2026, 21:04 UTC"."""
    return f"{date(at)}, {at.astimezone(UTC):%H:%M} UTC"


def clock(at: datetime) -> str:
    """Return the time of day to the second: "21:04:09 UTC"."""
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"


def machine(at: datetime) -> str:
    """Return a time for the `datetime` attribute of `<time>`."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def span(length: timedelta) -> str:
    """Return a duration in the largest unit that fits: "3 minutes". Negative durations count as zero."""
    length = max(length, timedelta())
    if length >= _DAY:
        return _filled(length // _DAY, ngettext("%(num)s day", "%(num)s days", length // _DAY))
    if length >= _HOUR:
        return _filled(length // _HOUR, ngettext("%(num)s hour", "%(num)s hours", length // _HOUR))
    if length >= _MINUTE:
        return _filled(length // _MINUTE, ngettext("%(num)s minute", "%(num)s minutes", length // _MINUTE))
    seconds = int(length.total_seconds())
    return _filled(seconds, ngettext("%(num)s second", "%(num)s seconds", seconds))


def number(value: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,}".replace(",", _GROUP[CURRENT.get()])


def _filled(count: int, form: str) -> str:
    return form % {"num": number(count)}
