"""The audit log as files: JSON Lines for programs, CSV for spreadsheets."""

from __future__ import annotations

import csv
import enum
import io
import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from relay.core.audit.events import Recorded


class Form(enum.StrEnum):
    """The form of an exported log."""

    JSON = "json"
    """JSON Lines."""
    CSV = "csv"


CSV_HEADER: Final = (
    "time",
    "what",
    "who_kind",
    "who",
    "who_id",
    "subject",
    "subject_id",
    "details",
    "users",
    "since",
    "until",
)

_FORMULA_STARTS: Final = tuple("=+-@\t\r\n|%＝＋－＠")
"""The characters that make a spreadsheet read a cell as a formula: https://owasp.org/www-community/attacks/CSV_Injection"""


def json_line(recorded: Recorded) -> str:
    """Return one entry as one line of JSON, with the line end. Empty fields are left out."""
    entry = recorded.entry
    by = {"kind": str(entry.by.kind), "name": entry.by.name, "id": entry.by.id}
    shown: dict[str, object] = {
        "id": recorded.id,
        "time": _time(recorded.time),
        "what": str(entry.kind),
        "who": {name: value for name, value in by.items() if value},
        "subject": entry.subject,
        "subject_id": entry.subject_id,
        "details": dict(entry.details),
        "users": list(entry.users),
        "since": _time(entry.since),
        "until": _time(entry.until),
    }
    return json.dumps({name: value for name, value in shown.items() if value}, ensure_ascii=False) + "\n"


def csv_head() -> str:
    """Return the first line of the CSV form."""
    return _csv(CSV_HEADER)


def csv_line(recorded: Recorded) -> str:
    """Return one entry as a CSV record (RFC 4180). A cell that could be read as a formula begins with an apostrophe."""
    entry = recorded.entry
    return _csv(
        (
            _time(recorded.time),
            entry.kind,
            entry.by.kind,
            entry.by.name,
            entry.by.id,
            entry.subject,
            entry.subject_id,
            "; ".join(f"{name}: {value}" for name, value in entry.details.items()),
            " ".join(entry.users),
            _time(entry.since),
            _time(entry.until),
        )
    )


def _csv(cells: tuple[str, ...]) -> str:
    output = io.StringIO()
    csv.writer(output, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return output.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA_STARTS) or cell.startswith(_FORMULA_STARTS) else cell


def _time(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="seconds")
