"""Header fields, in the order of the message: compact names are expanded, and fields with several values split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_COMPACT: Final = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "e": "content-encoding", "f": "from", "i": "call-id",
    "j": "reject-contact", "k": "supported", "l": "content-length", "m": "contact", "o": "event", "r": "refer-to", "s": "subject",
    "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
"""Compact form -> name: https://www.iana.org/assignments/sip-parameters"""

_SPELT: Final = {"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "sip-etag": "SIP-ETag",
    "sip-if-match": "SIP-If-Match", "mime-version": "MIME-Version", "content-id": "Content-ID"}  # fmt: skip


def full_name(name: str) -> str:
    """Return the full name of a field, in lower case."""
    lower = name.lower()
    return _COMPACT.get(lower, lower)


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields of a message, in its order: (full name in lower case, value)."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, *fields: tuple[str, str]) -> Headers:
        """Make header fields. Names may be compact, and in any case."""
        return cls(tuple((full_name(name), value) for name, value in fields))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def first(self, name: str) -> str | None:
        """Return the value of the first field of this name, given in lower case; None without one."""
        return next((value for each, value in self.fields if each == name), None)

    def lines(self, name: str) -> list[str]:
        """Return the values of all fields of this name, as they stand in the message."""
        return [value for each, value in self.fields if each == name]

    def values(self, name: str) -> list[str]:
        """Return the values of all fields of this name, each field split at its commas."""
        return [part for value in self.lines(name) for part in split_outside(value, ",") if part]

    def first_value(self, name: str) -> str:
        """Return the first value of the first field of this name; "" without one."""
        return split_outside(self.first(name) or "", ",")[0]

    def tokens(self, name: str) -> set[str]:
        """Return the values as words in lower case, without parameters: for Require, Supported, Accept, Allow-Events."""
        return {value.partition(";")[0].strip().lower() for value in self.values(name)}

    def with_first(self, name: str, value: str) -> Headers:
        """Return the headers with another value in the first field of this name."""
        fields = list(self.fields)
        for at, (each, _) in enumerate(fields):
            if each == name:
                fields[at] = (name, value)
                break
        return Headers(tuple(fields))

    @property
    def size(self) -> int:
        """The number of characters in all values, about that of bytes."""
        return sum(len(value) for _, value in self.fields)

    def plus(self, *fields: tuple[str, str]) -> Headers:
        """Return the headers with more fields at the end."""
        return Headers(self.fields + Headers.of(*fields).fields)

    def written(self) -> Iterable[str]:
        """Return the lines of the fields, without line ends."""
        return (f"{_SPELT.get(name) or name.title()}: {value}" for name, value in self.fields)


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a separator outside quoted strings and angle brackets. Parts are stripped."""
    if separator not in text:
        return [text.strip()]
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts: list[str] = []
    start, quoted, bracketed, escaped = 0, False, False, False
    for at, each in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = each == "\\", each != '"'
        elif each == '"':
            quoted = True
        elif each in "<>":
            bracketed = each == "<"
        elif each == separator and not bracketed:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return parts


def unquoted(text: str) -> str:
    """Return the content of a quoted string, with escapes resolved; other text only stripped."""
    text = text.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    content: list[str] = []
    escaped = False
    for each in text[1:-1]:
        if each == "\\" and not escaped:
            escaped = True
        else:
            content.append(each)
            escaped = False
    return "".join(content)


def quoted(text: str) -> str:
    """Return text as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parameters(text: str) -> tuple[str, dict[str, str]]:
    """Split `value;name=value;flag` into the value and its parameters: name in lower case -> value, unquoted, "" for a flag."""
    value, *rest = split_outside(text, ";")
    found: dict[str, str] = {}
    for each in rest:
        name, _, said = each.partition("=")
        found.setdefault(name.strip().lower(), unquoted(said))
    return value, found
