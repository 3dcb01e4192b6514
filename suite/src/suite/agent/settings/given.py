"""The content of a settings file for the groups of settings: checked values, the files that it names, and faults by line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from suite.agent.files import decode, read_bounded
from suite.agent.settings.access import checked_token
from suite.agent.settings.reading import IniEntry, LineFault
from suite.errors import ConfigError
from suite.system import credential, how_to_close, is_open_to_others

if TYPE_CHECKING:
    from pathlib import Path

_TOKEN_BYTES: Final = 4096
_SECRET_BYTES: Final = 4096
_CA_BYTES: Final = 4 * 1024 * 1024


class Given:
    """The content of a settings file. Groups of settings take their values from it, and report faults to it.

    Attributes:
        path: path of the settings file.
        lines: setting id -> the entry that counts; settings with their default are absent.
        values: setting id -> its value.
        faults: the faults found so far.
        files: files that the settings name, also those that could not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, IniEntry] = {}
        self.values: dict[str, Any] = {}
        self.faults: list[LineFault] = []
        self.files: list[Path] = []
        self._refused: set[str] = set()

    def value(self, setting: str) -> Any:
        """Return the value of a setting, by section and name with a dot."""
        return self.values[setting]

    def token(self, setting: str) -> str:
        """Return the token in the file that a setting names; empty without one."""
        raw = self.private_file(setting, "token file", _TOKEN_BYTES)
        if raw is None:
            return ""
        try:
            token = checked_token(decode_or_empty(raw))
        except ValueError as error:
            self.refuse(setting, f"{setting} cannot be used. {error}")
            return ""
        return token

    def secret(self, setting: str, what: str) -> str:
        """Return the secret in the file that `<setting>File` names, else the one in the setting itself; empty without one.

        Args:
            setting: section and name with a dot.
            what: name of the secret for messages: `password`.
        """
        if self.values[f"{setting}File"]:
            raw = self.private_file(f"{setting}File", f"{what} file", _SECRET_BYTES)
            secret = decode_or_empty(raw).strip("\r\n") if raw is not None else ""
            if raw is not None and not (secret and secret.isprintable()):
                self.refuse(f"{setting}File", f"The {what} file must have one line: the {what}.")
                return ""
            return secret
        secret = self.values[setting] or ""
        if secret and self.is_open(self.path):
            name = setting.rpartition(".")[2]
            self.warn(
                setting, f"The {what} is in a file that others can read. Put it into a separate file: {name}File."
            )
        return secret

    def private_file(self, setting: str, what: str, most_bytes: int) -> bytes | None:
        """Return the bytes of a file that only the agent's account may read; None without one."""
        named = self.values[setting]
        if not named:
            return None
        path = credential(named) or self.beside(named)
        raw = self.file(setting, path, what, most_bytes)
        if raw is not None and self.is_open(path):
            self.refuse(setting, f"The {what} {path} can be read by others; {how_to_close(path)}.")
        return raw

    def is_open(self, path: Path) -> bool:
        """Return True when others can read a file that was just read. If it has vanished, report a fault: it is being replaced."""
        try:
            return is_open_to_others(path)
        except OSError as error:
            self.faults.append(LineFault(0, f"{path} cannot be read: {error.strerror or error}.", breaks=True))
            return False

    def ca(self, setting: str) -> bytes | None:
        """Return the certificates in the PEM file that a setting names; None without one."""
        from suite.channel import check_certificates  # it loads gRPC, which `settings explain` does not need

        named = self.values[setting]
        raw = self.file(setting, self.beside(named), "CA file", _CA_BYTES) if named else None
        if raw is None:
            return None
        raw = decode_or_empty(raw).encode()  # without a byte-order mark
        try:
            check_certificates(raw)
        except ConfigError as error:
            self.refuse(setting, str(error))
        return raw

    def file(self, setting: str, path: Path, what: str, most_bytes: int) -> bytes | None:
        """Return the bytes of a file; None, with a fault, when it cannot be read. A change of the file is a change of the settings."""
        self.files.append(path)
        try:
            return read_bounded(path, what, most_bytes)
        except ConfigError as error:
            self.refuse(setting, str(error))
            return None

    def beside(self, named: str) -> Path:
        """Return a path; a relative one begins in the folder of the settings file."""
        return self.path.parent / os.path.expanduser(named)  # noqa: PTH111  Path's raises for an unknown user

    def line(self, setting: str) -> int:
        """Return the line of a setting; 0 when the file does not have it."""
        entry = self.lines.get(setting)
        return entry.line if entry is not None else 0

    def tell(self, line: int, text: str) -> None:
        """Report a fault of a line. The settings can still be used."""
        self.faults.append(LineFault(line, text))

    def warn(self, setting: str, text: str) -> None:
        """Report a fault of a setting. The settings can still be used."""
        self.tell(self.line(setting), text)

    def refuse(self, setting: str, text: str) -> None:
        """Report a fault of a setting with which the settings cannot be used."""
        self._refused.add(setting)
        self.faults.append(LineFault(self.line(setting), text, breaks=True))

    def is_refused(self, setting: str) -> bool:
        """Return True when `refuse` was called for a setting."""
        return setting in self._refused


def decode_or_empty(raw: bytes) -> str:
    """Return the text of a file; empty when it has a byte-order mark but another encoding."""
    try:
        return decode(raw)
    except UnicodeDecodeError:
        return ""
