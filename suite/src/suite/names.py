"""Compare spellings of names, and recognise those that cannot be sent."""

from __future__ import annotations

import unicodedata
from typing import Final, NewType

Key = NewType("Key", str)
"""A name trimmed, in lower case, composed (NFC) and without `sip:`, as the relay compares names."""

MAX_NAME_CHARS: Final = 512
"""Longer names are MALFORMED and never sent: no UPN is half as long, and one giant name must not break the whole message."""


def key_of(name: str) -> Key:
    """Return the form in which names are compared. An overlong name equals only itself."""
    if len(name) > MAX_NAME_CHARS:
        return Key(name)
    return Key(unicodedata.normalize("NFC", name.strip().lower()).removeprefix("sip:").strip())


def is_sendable(name: str) -> bool:
    """Return True for a name that fits into a message: neither overlong nor empty, and text that can be encoded."""
    if not name.strip() or len(name) > MAX_NAME_CHARS:
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
