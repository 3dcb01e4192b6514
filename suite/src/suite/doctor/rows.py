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
    """The result for one hop.

    Attributes:
        seen: the observation, in a few words.
        remedy: for a failing hop or a note, a sentence with the cause and what to do.
    """

    hop: Hop
    state: State
    seen: str
    remedy: str = ""


def foreign(text: str) -> str:
    """Return text from the other side without control characters, and shortened."""
    shown = clean(text)
    return shown if len(shown) <= _MAX_CHARS else f"{shown[:_MAX_CHARS]}…"


def capital(sentence: str, address: str) -> str:
    """Return a sentence with a capital first letter, unless it begins with the relay's address."""
    return sentence if sentence.startswith(address) else sentence[0].upper() + sentence[1:]
