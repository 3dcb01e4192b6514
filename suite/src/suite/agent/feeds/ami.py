"""Messages of the Asterisk Manager Interface: read from a stream, and written. Pure.

A message is lines of `Name: value`, ended by an empty line. No value can begin another line.

Source: docs.asterisk.org, "AMI v2 Specification"; functions DEVICE_STATE and PRESENCE_STATE.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from suite.agent.feeds.states import PresenceState

LONGEST_LINE: Final = 16 * 1024
"""Bytes of a line that are kept; a longer one is left out."""
MOST_LINES: Final = 500
"""Lines of a message that are kept; the further ones are left out."""

_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_ .;:!?/-]*")
_ARGUMENT: Final = re.compile(r"[A-Za-z]+:[A-Za-z0-9_.@+*#-]{1,80}")


class AmiError(Exception):
    """Base of the errors of a manager connection. The text is for a person, and holds no secret."""


class AmiClosed(AmiError):
    """The connection failed, was lost, or timed out."""


class AmiRefused(AmiError):
    """The manager answered an action with an error."""


class AmiDenied(AmiRefused):
    """The manager refuses the login, or its user lacks a permission."""


@dataclass(frozen=True, slots=True)
class AmiMessage:
    """A message of the manager: names in small letters -> the first value."""

    fields: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return a value; empty when it is absent."""
        return self.fields.get(name, "")

    @property
    def event(self) -> str:
        """Return the name of the event; empty for a response."""
        return self.get("event")

    @property
    def size(self) -> int:
        """Return the number of characters of all names and values."""
        return sum(len(name) + len(value) for name, value in self.fields.items())

    @property
    def is_success(self) -> bool:
        """Return True for the response to an action that was carried out."""
        return self.get("response").lower() == "success"


class AmiReader:
    """Splits a stream into messages. It holds one line and one message at most, each within its limit."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_too_long = False
        self._fields: dict[str, str] = {}
        self._lines = 0

    def feed(self, data: bytes) -> list[AmiMessage]:
        """Take bytes, and return the messages that are complete now."""
        found: list[AmiMessage] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._grow(part)
            self._take_line(found)
        self._grow(rest)
        return found

    def _grow(self, part: bytes) -> None:
        if self._is_too_long or len(self._line) + len(part) > LONGEST_LINE:
            self._is_too_long = True
            self._line.clear()
        else:
            self._line += part

    def _take_line(self, found: list[AmiMessage]) -> None:
        line, was_too_long = self._line.decode("utf-8", "replace").rstrip("\r"), self._is_too_long
        self._line.clear()
        self._is_too_long = False
        if was_too_long:
            self._lines += 1
        elif line:
            self._lines += 1
            name, colon, value = line.partition(":")
            if colon and self._lines <= MOST_LINES:
                self._fields.setdefault(name.strip().lower(), value.strip())
        elif self._lines:
            found.append(AmiMessage(self._fields))
            self._fields, self._lines = {}, 0


def write_action(action: str, action_id: str, fields: Mapping[str, str]) -> bytes:
    """Return an action as it is sent.

    Raises:
        ValueError: a value has a control character, which could begin another line.
    """
    lines = {"Action": action, "ActionID": action_id, **fields}
    for name, value in lines.items():
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError("A field's name has letters and digits only.")
        if not all(char.isprintable() for char in value):
            raise ValueError(f"{name} has a character that cannot be printed.")
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n"


def answer_to(challenge: str, secret: str) -> str:
    """Return the `Key` of a Login action, the MD5 of challenge and secret, which proves the secret without sending it."""
    return hashlib.md5((challenge + secret).encode(), usedforsecurity=False).hexdigest()


def is_settable(name: str) -> bool:
    """Return True for the name of a device or a presence provider that can stand in a function: `Custom:teams-1000`."""
    return _ARGUMENT.fullmatch(name) is not None


def device_variable(name: str) -> str:
    """Return the variable that sets a device's state."""
    assert is_settable(name)
    return f"DEVICE_STATE({name})"


def presence_variable(name: str) -> str:
    """Return the variable that sets a presence state."""
    assert is_settable(name)
    return f"PRESENCE_STATE({name})"


def presence_value(presence: PresenceState) -> str:
    """Return the value of a presence state. Texts with commas, or with anything but plain letters, are sent as Base64."""
    texts = (presence.subtype, presence.message)
    if not any(texts):
        return presence.state
    if all(_PLAIN.fullmatch(text) for text in texts):
        return ",".join((presence.state, *texts))
    coded = (base64.b64encode(text.encode()).decode() for text in texts)
    return ",".join((presence.state, *coded, "e"))
