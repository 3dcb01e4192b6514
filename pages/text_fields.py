"""Lines of text that people type, checked and normalised."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from relay.locale.languages import Sentence, english

_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Control and format characters, lone surrogates, private use: no name needs them, and they can deceive a reader."""
_JOINERS: Final = {"\u200c", "\u200d"}
"""Format characters that names in Persian and Indian scripts need."""

EMPTY: Final = english("Enter something here.")


def line(text: str, most: int, *, needed: bool = True, empty: str = EMPTY) -> tuple[str, Sentence | str]:
    """Return the line in normal form, and its fault; empty if it has none.

    Args:
        text: the typed text, of any length.
        most: the largest number of characters that may be stored.
        needed: whether an empty line is a fault.
        empty: the fault of an empty line, a message.
    """
    tidy = re.sub(" +", " ", unicodedata.normalize("NFC", text[: 8 * most])).strip(" ")
    shown = "".join(filter(is_seen, tidy[:most]))
    if needed and not tidy:
        return shown, empty
    if not all(map(is_seen, tidy)):
        return shown, english("This contains invisible characters, such as a line break. Type it again.")
    if len(tidy) > most:
        return shown, Sentence(english("Enter %(most)s characters or fewer."), {"most": most})
    return tidy, ""


def is_seen(character: str) -> bool:
    """Return whether a character is visible."""
    return character in _JOINERS or unicodedata.category(character) not in _UNSEEN
