"""Glyph, colour and words of each console status on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from suite.values import ConsoleStatus, Status


@dataclass(frozen=True, slots=True)
class Icon:
    """A glyph, its substitute in ASCII, and a colour."""

    glyph: str
    ascii: str
    colour: str


_GREEN, _RED, _ORANGE, _GREY = "green3", "red", "dark_orange", "grey58"

UNKNOWN: Final = Icon("○", "?", _GREY)

ICONS: Final = {
    ConsoleStatus.UNKNOWN: UNKNOWN,
    ConsoleStatus.AVAILABLE: Icon("●", "*", _GREEN),
    ConsoleStatus.AVAILABLE_IDLE: Icon("◐", "o", _ORANGE),
    ConsoleStatus.BUSY: Icon("●", "*", _RED),
    ConsoleStatus.BUSY_IDLE: Icon("◐", "o", _RED),
    ConsoleStatus.IN_A_CALL: Icon("☎", "*", _RED),
    ConsoleStatus.IN_A_MEETING: Icon("●", "*", _RED),
    ConsoleStatus.DO_NOT_DISTURB: Icon("⊖", "-", _RED),
    ConsoleStatus.PRESENTING: Icon("⊖", "-", _RED),
    ConsoleStatus.FOCUSING: Icon("⊖", "-", _RED),
    ConsoleStatus.AWAY: Icon("◷", "o", _ORANGE),
    ConsoleStatus.BE_RIGHT_BACK: Icon("◷", "o", _ORANGE),
    ConsoleStatus.OUT_OF_OFFICE: Icon("◁", "<", _ORANGE),
    ConsoleStatus.OFFLINE: Icon("⊗", "x", _GREY),
}

REASONS: Final = {
    Status.UNKNOWN: "unknown, for a reason that this program is too old to know",
    Status.NONE: "",
    Status.PENDING: "not known yet",
    Status.MALFORMED: "neither a UPN nor an object id",
    Status.NOT_FOUND: "no such user in the organisation",
    Status.NOT_REPORTED: "Microsoft reports no presence for this user",
    Status.ACCESS_DENIED: "Microsoft does not let the relay read this user",
    Status.NOT_PERMITTED: "the organisation does not permit watching this user",
    Status.CONSENT_REQUIRED: "consent ended: an admin must renew it",
    Status.THROTTLED: "Microsoft asks the relay to wait",
    Status.SOURCE_UNREACHABLE: "Microsoft cannot be reached",
    Status.STALE: "not confirmed for a while, may be wrong",
    Status.SUSPENDED: "the relay's operator has suspended the organisation, or not approved it yet",
}


def words(status: ConsoleStatus) -> str:
    """Return the status in words, such as "in a call"."""
    return status.label.replace("_", " ")


def clean(text: str) -> str:
    """Replace the characters of a text that cannot be printed, because they could control the terminal."""
    return "".join(char if char.isprintable() else "·" for char in text)
