"""The token of the local API, and the cookie that browsers send instead. Pure: the time is an argument.

A cookie is `<expiry>-<signature>`. The key of its signature is derived from the token, so the agent stores no cookies, they are
valid after a restart, and all become invalid when the token changes.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

COOKIE_S: Final = 12 * 3600
"""Lifetime of a cookie: a working day. The page renews it while it is open."""


class AccessToken:
    """One token, stored as hashes only."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest()
        self._cookie_key = hmac.digest(token.encode(), b"presence agent: cookies", "sha256")

    def is_right(self, offered: bytes) -> bool:
        """Return whether this is the token, in constant time."""
        return hmac.compare_digest(hashlib.sha256(offered).digest(), self._digest)

    def cookie(self, now: float) -> str:
        """Return the value of a new cookie, valid for `COOKIE_S`. `now` is in seconds since 1970."""
        expiry = int(now) + COOKIE_S
        return f"{expiry}-{self._signature(expiry)}"

    def cookie_left_s(self, value: str, now: float) -> float:
        """Return the seconds until a cookie expires; 0.0 when it has expired or its signature is wrong."""
        text, _, signature = value.partition("-")
        if not (text.isascii() and text.isdigit() and len(text) <= 12 and signature.isascii()):
            return 0.0
        left_s = int(text) - now
        # A cookie with more than the full lifetime left was created before the clock was set back.
        if not 0 < left_s <= COOKIE_S + 1 or not hmac.compare_digest(signature, self._signature(int(text))):
            return 0.0
        return left_s

    def _signature(self, expiry: int) -> str:
        return hmac.digest(self._cookie_key, str(expiry).encode(), "sha256").hex()


def bearer(header: bytes) -> bytes | None:
    """Return the token of an `Authorization` header; None when it has none."""
    scheme, _, token = header.strip().partition(b" ")
    return (token.strip() or None) if scheme.lower() == b"bearer" else None
