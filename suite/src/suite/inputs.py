"""Read the files of the command: the key, the certificates to trust, the users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from suite.errors import ConfigError
from suite.system import how_to_close, is_open_to_others

if TYPE_CHECKING:
    from pathlib import Path

_MAX_BYTES = 32 * 1024 * 1024
"""Enough for 100,000 users of 320 characters. A larger file is probably the wrong one."""


def read_key(path: Path) -> tuple[str, str | None]:
    """Return the suite key from a file, and a warning if other accounts can read the file."""
    text = _read(path, "key file")
    warning = None
    if is_open_to_others(path):
        warning = f"The key file {path} can be read by others; {how_to_close(path)}."
    return text.strip(), warning


def checked_key(key: str) -> str:
    """Return the key without white space around it. The error's text does not repeat the key."""
    bare = key.strip()
    if not re.fullmatch(r"psk_[\x21-\x7e]+", bare):
        raise ConfigError("This is not a suite key: it must begin with psk_ and contain no white space.")
    return bare


def read_ca(path: Path | None) -> bytes | None:
    """Return the certificates from a file; None without a file."""
    return None if path is None else _read(path, "CA file").encode()


def read_users(path: Path | None) -> list[str]:
    """Return the users from a file, one a line, without empty lines and comments (#)."""
    if path is None:
        return []
    lines = (line.strip() for line in _read(path, "users file").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _read(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"The {what} {path} is too large to be one.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The {what} {path} is not text in UTF-8.") from None
