"""Read the file of colleagues: five columns, with or without a row of titles, with any common separator and encoding.

Invalid rows are left out and reported by line number; the others are used. The separator is the one of the first row: comma,
semicolon (Excel, in most of Europe) or tab; Excel's line `sep=;` names it. Each row is one line.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.files import decode, read_bounded
from suite.agent.settings.reading import LineFault, listed
from suite.errors import ConfigError
from suite.names import MAX_NAME_CHARS, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST_BYTES: Final = 64 * 1024 * 1024
"""Limit of the file: six times the size of `MOST_COLLEAGUES` rows."""
MOST_COLLEAGUES: Final = 100_000
"""The limit of one stream of the relay. A larger file is refused as a whole, because nobody would notice which colleagues are missing."""

_SEPARATORS: Final = ";,\t"
_COLUMNS: Final = ("login", "upn", "sip", "extension", "voicemail")
_TITLES: Final = {
    "login": "login", "user": "login", "username": "login", "account": "login",
    "upn": "upn", "teamsupn": "upn", "teams": "upn", "userprincipalname": "upn",
    "sip": "sip", "sipuri": "sip", "sipaddress": "sip",
    "extension": "extension", "firstextension": "extension", "phone": "extension",
    "voicemail": "voicemail", "voicemailnumber": "voicemail", "mailbox": "voicemail",
}  # fmt: skip
"""A title, letters and digits only -> its column."""
_LINE: Final = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_UPN: Final = re.compile(r"[^\s@]+@[^\s@]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SIP: Final = re.compile(r"(?i:sips?:)?([^\s@:;<>\"]+@[^\s@;<>\"]+)")
_NUMBER: Final = re.compile(r"\+?[0-9*#]{1,32}")
_BETWEEN_DIGITS: Final = re.compile(r"[\s()/.-]")
_AS_TEXT: Final = re.compile(r'="(.*)"')
"""Excel's way to keep the zeros at the beginning of a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """One colleague. Unknown fields are empty; there is at least a login or a UPN.

    Attributes:
        login: the name in the vendor's suite.
        upn: the user principal name in Teams, or the object id.
        sip_uri: `user@host`, without `sip:`.
        extension: the first extension of the telephone system, digits only.
        voicemail: the number of the voicemail, digits only.
    """

    login: str = ""
    upn: str = ""
    sip_uri: str = ""
    extension: str = ""
    voicemail: str = ""

    @property
    def id(self) -> str:
        """Return the name by which the agent identifies a colleague: the login, or the UPN if there is no login."""
        return self.login or self.upn


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersFile:
    """The result of reading a file of colleagues. `colleagues` is None when the file cannot be used at all."""

    colleagues: tuple[Colleague, ...] | None
    faults: tuple[LineFault, ...] = ()


def load_users(path: Path) -> UsersFile:
    """Read a file of colleagues. Raises nothing: errors become faults."""
    try:
        return read_colleagues(decode(read_bounded(path, "file of colleagues", MOST_BYTES)))
    except ConfigError as error:
        return UsersFile(colleagues=None, faults=(LineFault(0, str(error), breaks=True),))
    except UnicodeDecodeError:
        damaged = LineFault(
            0, f"The file of colleagues {path} begins as UTF-8 or UTF-16, but has another encoding.", breaks=True
        )
        return UsersFile(colleagues=None, faults=(damaged,))


def read_colleagues(text: str, most: int = MOST_COLLEAGUES) -> UsersFile:
    """Return the colleagues of a text, at most `most`. Raises nothing."""
    found: dict[str, Colleague] = {}
    lines: dict[str, int] = {}
    faults: list[LineFault] = []
    for number, cells in _rows(text, faults):
        try:
            colleague = colleague_of(cells)
        except ValueError as error:
            faults.append(LineFault(number, f"{error} The row is left out."))
            continue
        key = key_of(colleague.id)
        if key in found:
            faults.append(LineFault(number, f"The same colleague is on line {lines[key]}. The row is left out."))
            continue
        found[key], lines[key] = colleague, number
        if len(found) > most:
            many = LineFault(number, f"The file has more than {most:,} colleagues.", breaks=True)
            return UsersFile(colleagues=None, faults=(many,))
    if faults and not found:
        nobody = LineFault(0, "The file has no row that can be used.", breaks=True)
        return UsersFile(colleagues=None, faults=(nobody, *listed(faults)))
    return UsersFile(colleagues=tuple(found.values()), faults=listed(faults))


def _rows(text: str, faults: list[LineFault]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and column -> cell of each row. Lines that are not rows become faults."""
    separator = ""
    columns: tuple[str, ...] = ()
    for number, line in enumerate(
        _LINE.finditer(text), start=1
    ):  # without a list of all lines, which would be a second copy of the file in memory
        bare = line[1].strip("\ufeff")
        if number == 1 and bare.lower().startswith("sep=") and len(bare) == len("sep=") + 1:
            separator = bare[-1]
            continue
        if not bare.strip(f" {_SEPARATORS}") or bare.startswith("#"):
            continue
        separator = separator or max(_SEPARATORS, key=bare.count)
        try:
            cells = [_bare(cell) for cell in next(csv.reader([bare], delimiter=separator, strict=True))]
        except (csv.Error, StopIteration):
            faults.append(LineFault(number, "Its quotes are not closed, or a cell is too long. The row is left out."))
            continue
        if not columns:
            columns, is_titles = _titles(cells, number, faults)
            if is_titles:
                continue
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            faults.append(
                LineFault(
                    number, f"It has {len(cells)} cells, but there are {len(columns)} columns. The row is left out."
                )
            )
            continue
        yield number, dict(zip(columns, cells, strict=False))


def _titles(cells: list[str], number: int, faults: list[LineFault]) -> tuple[tuple[str, ...], bool]:
    """Return the columns named by a row of titles, and True; for another first row, the default columns and False."""
    named = [_TITLES.get("".join(filter(str.isalnum, cell)).lower()) for cell in cells]
    if not any(named):
        return _COLUMNS, False
    for place, (cell, column) in enumerate(zip(cells, named, strict=True), start=1):
        if column is None and cell:
            faults.append(LineFault(number, f"The title of column {place} is not known, and the column is ignored."))
    doubled = sorted({column for column in named if column is not None and named.count(column) > 1})
    if doubled:
        faults.append(LineFault(number, f"Several columns are the {' and the '.join(doubled)}. The last one counts."))
    return tuple(column or "" for column in named), True


def colleague_of(cells: Mapping[str, str]) -> Colleague:
    """Return the colleague of a row.

    Args:
        cells: column -> text. The columns are `login`, `upn`, `sip`, `extension` and `voicemail`; any may be missing.

    Raises:
        ValueError: the row is invalid; the message is a sentence with the reason.
    """
    login, upn, sip = cells.get("login", ""), cells.get("upn", ""), cells.get("sip", "")
    if not login and not upn:
        raise ValueError("It has neither a login nor a UPN.")
    if any(len(name) > MAX_NAME_CHARS or not name.isprintable() for name in (login, upn, sip)):
        raise ValueError(f"A name has a character that cannot be printed, or more than {MAX_NAME_CHARS} characters.")
    if upn and not _UPN.fullmatch(upn):
        raise ValueError("The UPN must be name@domain, or an object id.")
    address = _SIP.fullmatch(sip)
    if sip and address is None:
        raise ValueError("The SIP URI must be sip:name@domain.")
    return Colleague(
        login=login,
        upn=upn,
        sip_uri=address[1] if address is not None else "",
        extension=_number(cells.get("extension", ""), "extension"),
        voicemail=_number(cells.get("voicemail", ""), "voicemail number"),
    )


def _number(text: str, what: str) -> str:
    digits = _BETWEEN_DIGITS.sub("", text)
    if digits and not (digits.isascii() and _NUMBER.fullmatch(digits)):
        raise ValueError(f"The {what} must have digits only: a spreadsheet may have changed it.")
    return digits


def _bare(cell: str) -> str:
    as_text = _AS_TEXT.fullmatch(cell.strip())
    return (as_text[1] if as_text else cell).strip()
