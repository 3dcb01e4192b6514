"""A row of the report."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.icons import clean

if TYPE_CHECKING:
    from suite.doctor.values import Hop

_MAX_CHARS: Final = 120


class State(enum.Enum):
    """The state of a hop."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Row:
    """One hop.

    Attributes:
        seen: what was seen, in a few words.
        remedy: of a hop that fails, or of a note, a sentence that says why and what to do.
    """

    hop: Hop
    state: State
    seen: str
    remedy: str = ""


def foreign(text: str) -> str:
    """Return text of the other side as it may be shown: without control characters, and not long."""
    shown = clean(text)
    return shown if len(shown) <= _MAX_CHARS else f"{shown[:_MAX_CHARS]}…"


def capital(sentence: str, address: str) -> str:
    """Return a sentence with a capital, unless it begins with the relay's address."""
    return sentence if sentence.startswith(address) else sentence[0].upper() + sentence[1:]
