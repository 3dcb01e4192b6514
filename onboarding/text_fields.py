"""Lines of text that people of a tenant type, checked and put into one form."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from relay.locale.languages import Sentence, english

_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Control and format characters, lone surrogates, private use: nothing that a name needs, and much to fool a reader with."""
_JOINERS: Final = {"\u200c", "\u200d"}
"""Format characters that names in Persian and Indian scripts are spelled with."""


def line(text: str, most: int, *, needed: bool = True) -> tuple[str, Sentence | str]:
    """One line as it is kept, and what is wrong with it: empty when nothing is.

    Args:
        text: as it was typed, of any length.
        most: how many characters may be kept.
        needed: whether an empty line is a fault.
    """
    tidy = re.sub(" +", " ", unicodedata.normalize("NFC", text[: 8 * most])).strip(" ")
    shown = "".join(filter(is_seen, tidy[:most]))
    if needed and not tidy:
        return shown, english("Please type something here.")
    if not all(map(is_seen, tidy)):
        return shown, english(
            "This contains characters that cannot be seen, such as a line break. Please type it again."
        )
    if len(tidy) > most:
        return shown, Sentence(english("This is too long. At most %(most)s characters, please."), {"most": most})
    return tidy, ""


def is_seen(character: str) -> bool:
    """Whether a character can be seen."""
    return character in _JOINERS or unicodedata.category(character) not in _UNSEEN
