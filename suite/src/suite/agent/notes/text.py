"""Clean texts of users: plain, on one or several lines, without control characters and characters that disguise text.

Nothing is escaped: markup in a note is text, and must be shown as text.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from suite.agent.notes.values import AUTHOR_CHARS, TEXT_CHARS

_LINE_ENDS: Final = str.maketrans(dict.fromkeys("\x0b\x0c\x85\u2028\u2029", "\n") | {"\t": " "})
_DIRECTIONS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the text after them, which can make a text look like another one."""
_MOST_RAW: Final = 16
"""A text longer than this multiple of its limit is refused before it is cleaned."""


def clean_text(raw: str) -> str:
    """Clean the text of a note.

    Line ends become line feeds, and tabs become spaces. White space at the ends of lines, other control characters, marks of
    direction and lone surrogates are removed.

    Raises:
        ValueError: the result is empty or too long; the message completes a sentence.
    """
    lines = _plain(raw, TEXT_CHARS).split("\n")
    return _bounded("\n".join(line.rstrip() for line in lines).strip(), 1, TEXT_CHARS)


def clean_author(raw: str) -> str:
    """Clean an author's name, on one line. It may be empty.

    Raises:
        ValueError: it is too long; the message completes a sentence.
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
