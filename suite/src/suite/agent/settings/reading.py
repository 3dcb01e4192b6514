"""Parse INI files tolerantly: any text is accepted, and each unknown line is reported by its number.

Python's `configparser` does not fit: it refuses files without a section header, joins an indented line to the value above, splits keys
at colons, and fails on `%` and on duplicates.

- A line is blank, a comment (`;` or `#`), `[section]`, `key = value`, or unknown. White space around it does not matter.
- A value in quotes is the text between them. Without quotes it ends before white space and a `;` or `#`.
- A key with a dot includes its section, in any section: `MSTeamsPresence.Enable = 1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from suite.agent.files import lines_of

MOST_FAULTS: Final = 100
"""Faults that are listed. A file of another kind has one on every line."""

_COMMENT: Final = (";", "#")
_WHITE: Final = " \t\f\v\u00a0\ufeff"
_QUOTED: Final = re.compile(r"""(["'])(.*)\1\s*(?:[;#].*)?""")
_TRAILING_COMMENT: Final = re.compile(r"\s+[;#].*")


@dataclass(frozen=True, slots=True, order=True)
class LineFault:
    """A fault of a file.

    Attributes:
        line: number of the line, from 1; 0 for the file as a whole.
        text: a sentence for administrators. It never repeats a value, which may be a secret.
        breaks: True when the file cannot be used because of it.
    """

    line: int
    text: str
    breaks: bool = False

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.text}"


@dataclass(frozen=True, slots=True)
class IniEntry:
    """One `key = value` with its section, which is empty before the first header."""

    section: str
    key: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class IniFile:
    """The entries of a file, in order, and its faults."""

    entries: tuple[IniEntry, ...]
    faults: tuple[LineFault, ...]


def read_ini(text: str) -> IniFile:
    """Return the entries and faults of a text. Raises nothing."""
    entries: list[IniEntry] = []
    faults: list[LineFault] = []
    section = ""
    for number, raw in enumerate(lines_of(text), start=1):
        line = raw.strip(_WHITE)
        if "\0" in line:
            faults.append(
                LineFault(number, "It holds a NUL character: the file is damaged, or is not text.", breaks=True)
            )
        elif not line or line.startswith(_COMMENT):
            continue
        elif line.startswith("["):
            section, is_closed = _section(line)
            if not is_closed:
                faults.append(LineFault(number, "The section's ] is missing. It counts as a section."))
        elif (entry := _entry(section, line, number)) is not None:
            entries.append(entry)
        else:
            faults.append(LineFault(number, "It is neither [section] nor key = value, and is ignored."))
    return IniFile(tuple(entries), listed(faults))


def listed(faults: list[LineFault]) -> tuple[LineFault, ...]:
    """Return at most `MOST_FAULTS` faults in the order of lines. If there are more, keep those that break the file first."""
    if len(faults) <= MOST_FAULTS:
        return tuple(sorted(faults))
    kept = sorted(faults, key=lambda fault: (not fault.breaks, fault.line))[:MOST_FAULTS]
    more = LineFault(0, f"There are {len(faults) - MOST_FAULTS:,} more lines like these.")
    return (*sorted(kept), more)


def _section(line: str) -> tuple[str, bool]:
    name, bracket, _ = line[1:].partition("]")
    return name.strip(_WHITE), bool(bracket)


def _entry(section: str, line: str, number: int) -> IniEntry | None:
    key, equals, value = line.partition("=")
    key = key.strip(_WHITE).strip("\"'")
    if not equals or not key:
        return None
    prefix, dot, rest = key.partition(".")
    if dot and prefix.strip() and rest.strip():
        section, key = prefix.strip(), rest.strip()
    return IniEntry(section, key, _value(value.strip(_WHITE)), number)


def _value(text: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        return quoted[2]
    if text.startswith(_COMMENT):
        return ""
    return _TRAILING_COMMENT.sub("", text, count=1)
