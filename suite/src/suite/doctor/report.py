"""Show a report: a table for users, a JSON object for support."""

from __future__ import annotations

import io
import json
import platform
import ssl
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TextIO

import grpc
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from suite.doctor.rows import State

if TYPE_CHECKING:
    from rich.console import Console

    from suite.channel import Target
    from suite.doctor.values import Observations
    from suite.doctor.verdict import Report

_MARKS: Final = {
    State.OK: ("✓ ok", "ok", "green3"),
    State.NOTE: ("! note", "note", "dark_orange"),
    State.FAILED: ("✗ failed", "FAILED", "bold red"),
    State.SKIPPED: ("–", "-", "dim"),
}
"""State -> its mark, its mark in ASCII, and its style."""


def print_table(report: Report, target: Target, console: Console) -> None:
    """Print a row for each hop, and the verdict. Characters that the terminal cannot show become question marks."""
    if isinstance(console.file, io.TextIOWrapper):
        console.file.reconfigure(errors="replace")
    is_plain = not console.encoding.lower().startswith("utf")
    table = Table(box=SIMPLE_HEAD, header_style="bold", border_style="grey37", pad_edge=False)
    table.add_column("hop", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what was seen", overflow="fold")
    for row in report.rows:
        glyph, ascii_, style = _MARKS[row.state]
        seen = Text(row.seen, style="dim" if row.state is State.SKIPPED else "")
        table.add_row(Text(row.hop.value), Text(ascii_ if is_plain else glyph, style=style), seen)
    console.print(Text(target.address, style="bold"))
    console.print(table)
    console.print(Text(report.verdict.sentence, style="bold red" if report.verdict.hop else "bold"))


def print_json(report: Report, seen: Observations, target: Target, version: str, out: TextIO) -> None:
    """Print one JSON object. It contains neither the key nor the proxy's password."""
    whole = {
        "time": seen.now.isoformat(timespec="seconds"),
        "address": target.address,
        "proxy": target.proxy.shown if target.proxy else None,
        "works": report.verdict.hop is None,
        "hop": report.verdict.hop.value if report.verdict.hop else None,
        "verdict": report.verdict.sentence,
        "hops": [
            {"hop": row.hop.value, "state": row.state.value, "seen": row.seen, "remedy": row.remedy or None}
            for row in report.rows
        ],
        "seen": _plain(seen),
        "program": {
            "presence-suite": version,
            "grpcio": grpc.__version__,
            "python": platform.python_version(),
            "openssl": ssl.OPENSSL_VERSION,
            "system": platform.platform(),
        },
    }
    out.write(json.dumps(whole) + "\n")


def _plain(value: Any) -> Any:
    """Convert a value to JSON types. A dataclass becomes an object with its fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
