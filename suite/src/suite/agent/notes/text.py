"""Texts of people as they are kept: plain, on one or several lines, without characters that only machines or cheats use.

Nothing is escaped: a script in a note is text, and stays text wherever it is shown.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from suite.agent.notes.values import AUTHOR_CHARS, TEXT_CHARS

_LINE_ENDS: Final = str.maketrans(dict.fromkeys("\x0b\x0c\x85\u2028\u2029", "\n") | {"\t": " "})
_DIRECTIONS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows, by which a text can be made to read as another."""
_MOST_RAW: Final = 16
"""A text that is so many times longer than it may be is refused before it is looked at."""


def clean_text(raw: str) -> str:
    """Return the text of a note as it is kept.

    Line ends become line feeds, and tabs spaces; white space at the ends of lines goes, and so do other control characters, marks of
    direction, and halves of characters.

    Raises:
        ValueError: nothing is left, or too much; the message is a sentence.
    """
    lines = _plain(raw, TEXT_CHARS).split("\n")
    return _bounded("\n".join(line.rstrip() for line in lines).strip(), 1, TEXT_CHARS)


def clean_author(raw: str) -> str:
    """Return an author's name as it is kept, on one line. It may be empty.

    Raises:
        ValueError: it is too long; the message is a sentence.
    """
    return _bounded(" ".join(_plain(raw, AUTHOR_CHARS).split()), 0, AUTHOR_CHARS)


def _plain(raw: str, most: int) -> str:
    if len(raw) > _MOST_RAW * most:
        raise _wrong_length(1, most)
    lines = raw.replace("\r\n", "\n").replace("\r", "\n").translate(_LINE_ENDS)
    return unicodedata.normalize("NFC", "".join(char for char in lines if char == "\n" or _is_plain(char)))


def _is_plain(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cs") and char not in _DIRECTIONS


def _bounded(text: str, least: int, most: int) -> str:
    if not least <= len(text) <= most:
        raise _wrong_length(least, most)
    return text


def _wrong_length(least: int, most: int) -> ValueError:
    return ValueError(f"must be a text of {least} to {most} characters")
