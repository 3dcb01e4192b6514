"""JWK sets as files contain them: `{"keys": [...]}`, with bytes as base64url without padding."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from relay.core.textfile import text_of

Jwk = dict[str, Any]


def keys_of(text: str | bytes) -> list[Jwk]:
    """Return the keys of a JWK set. Raises ValueError if the text is not one."""
    try:
        return msgspec.json.decode(text if isinstance(text, str) else text_of(text), type=dict[str, list[Jwk]])["keys"]
    except (msgspec.DecodeError, ValueError, KeyError):
        raise ValueError('is not a JWK set: {"keys": [...]}') from None


def decoded(text: object) -> bytes:
    """Return the bytes of a base64url text; empty if the text is not valid."""
    if not isinstance(text, str):
        return b""
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""


def encoded(raw: bytes) -> str:
    """Return bytes as base64url text; the inverse of `decoded`."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
