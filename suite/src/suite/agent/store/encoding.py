"""Presences as JSON, field by field. On reading, unknown fields of a later version are ignored, and missing ones are empty."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, Final

from suite.values import Availability, ConsoleStatus, Presence, Source

_ENUMS: Final = {"availability": Availability, "console_status": ConsoleStatus, "source": Source}
_TIMES: Final = frozenset({"idle_time", "observe_time"})


def encode_presence(presence: Presence) -> str:
    """Return a presence as JSON."""
    values = {field.name: getattr(presence, field.name) for field in fields(presence)}
    return json.dumps(values, default=_plain, ensure_ascii=False)


def decode_presence(text: str) -> Presence:
    """Return the presence of a JSON text.

    Raises:
        ValueError: it is not a presence.
    """
    try:
        values = dict(json.loads(text))
        return Presence(
            **{field.name: _value(field.name, values) for field in fields(Presence) if _is_there(field, values)}
        )
    except TypeError as error:
        raise ValueError("This is not a presence.") from error


def _is_there(field: Any, values: dict[str, Any]) -> bool:
    return field.name in values or field.default is MISSING


def _value(name: str, values: dict[str, Any]) -> Any:
    value: Any = values.get(name)
    if name in _ENUMS:
        return _ENUMS[name](value)
    if name in _TIMES and value is not None:
        return datetime.fromisoformat(value)
    return value


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a presence.")
