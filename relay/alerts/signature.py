"""Signatures of the Standard Webhooks specification, so that receivers can use its libraries: HMAC-SHA256, `v1`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

A secret in the specification's form (`whsec_` and Base64) contains the key as Base64. Any other text that a tenant
chose is the key itself, and libraries take its Base64.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"
_LEAST_BYTES, _MOST_BYTES = 24, 64  # by the specification
_LEAST_CHARS: Final = 16  # of a text that is the key itself


def new_secret() -> str:
    """Return a secret in the form that receivers' libraries take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def is_secret(text: str) -> bool:
    """Return True if a text can be a signing secret."""
    return _key(text) is not None


def headers(secret: str, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a message.

    Raises:
        ValueError: the secret is not valid.
    """
    key = _key(secret)
    if key is None:
        raise ValueError("This is not a signing secret")
    digest = hmac.digest(key, f"{message_id}.{timestamp_s}.".encode() + body, sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key(text: str) -> bytes | None:
    if not text.startswith(PREFIX):
        return text.encode() if len(text) >= _LEAST_CHARS else None
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if _LEAST_BYTES <= len(key) <= _MOST_BYTES else None
