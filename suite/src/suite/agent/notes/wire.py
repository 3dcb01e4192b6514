"""A version as JSON between agents. Its end is in seconds from now, so that the clocks of two agents are never compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from suite.agent.notes.text import clean_author, clean_text
from suite.agent.notes.values import (
    AGENT_CHARS,
    HISTORY_S,
    LARGEST_STAMP,
    LATEST_MS,
    LONGEST_LIFETIME_S,
    Kept,
    Version,
)
from suite.names import is_sendable, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_VERSIONS: Final = 100
"""Limit of versions in one request: half a megabyte with all fields at their limit."""
_FIELDS: Final = frozenset({"subject", "stamp", "agent", "text", "author", "written_ms", "lifetime_s", "ends_in_s"})
_LONGEST_AGO_S: Final = 100 * 365 * 24 * 3600


def encode_version(kept: Kept, now: float) -> dict[str, Any]:
    """Return a version as JSON."""
    version = kept.version
    return {
        "subject": version.subject,
        "stamp": version.stamp,
        "agent": version.agent,
        "text": version.text,
        "author": version.author,
        "written_ms": version.written_ms,
        "lifetime_s": version.lifetime_s,
        "ends_in_s": None if kept.ends is None else round(max(kept.ends - now, -_LONGEST_AGO_S), 3),
    }


def decode_version(value: Any, now: float) -> Kept:
    """Parse a version that another agent sent. Unknown fields are ignored, because a newer agent may add some.

    Raises:
        ValueError: it is invalid; the message names the field but not its value.
    """
    if not isinstance(value, dict) or not value.keys() >= _FIELDS:
        raise ValueError("a version lacks a field")
    subject, agent, text = _text(value, "subject"), _text(value, "agent"), _text(value, "text")
    lifetime_s, ends_in_s = value["lifetime_s"], value["ends_in_s"]
    if not is_sendable(subject) or not subject.isprintable() or key_of(subject) != subject:
        raise ValueError("subject is not a name")
    if not (0 < len(agent) <= AGENT_CHARS and agent.isascii() and agent.isalnum()):
        raise ValueError("agent is not an id")
    if ends_in_s is not None and not (_is_number(ends_in_s) and -_LONGEST_AGO_S <= ends_in_s <= LONGEST_LIFETIME_S):
        raise ValueError("ends_in_s is not a number of seconds")
    version = Version(
        subject=key_of(subject),
        stamp=_whole(value["stamp"], "stamp", LARGEST_STAMP),
        agent=agent,
        text=_cleaned("text", text, clean_text) if text else "",
        author=_cleaned("author", _text(value, "author"), clean_author),
        written_ms=_whole(value["written_ms"], "written_ms", LATEST_MS),
        lifetime_s=None if lifetime_s is None else _whole(lifetime_s, "lifetime_s", LONGEST_LIFETIME_S),
    )
    return Kept(version, None if ends_in_s is None else now + max(ends_in_s, -2 * HISTORY_S))


def _text(value: dict[str, Any], field: str) -> str:
    text = value[field]
    if isinstance(text, str):
        return text
    raise ValueError(f"{field} is not a text")


def _cleaned(field: str, text: str, clean: Callable[[str], str]) -> str:
    try:
        return clean(text)
    except ValueError as error:
        raise ValueError(f"{field} {error}") from None


def _whole(value: Any, field: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{field} is not a whole number from 0 to {most}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
