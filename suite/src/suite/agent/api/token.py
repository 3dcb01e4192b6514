"""The token of the local API, and the cookie that stands for it in a browser. Pure: the time is given.

A cookie is `<expiry>-<signature>`. Its signature is made with a key that follows from the token: nothing is kept for a cookie, it
outlasts a restart of the agent, and all of them end when the token changes.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

COOKIE_S: Final = 12 * 3600
"""The lifetime of a cookie: a working day. The page renews it while it is open."""


class AccessToken:
    """One token. It is kept as hashes only."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest()
        self._cookie_key = hmac.digest(token.encode(), b"presence agent: cookies", "sha256")

    def is_right(self, offered: bytes) -> bool:
        """Return whether this is the token, in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(hashlib.sha256(offered).digest(), self._digest)

    def cookie(self, now: float) -> str:
        """Return a cookie's value, good for `COOKIE_S`. `now` is in seconds since 1970."""
        expiry = int(now) + COOKIE_S
        return f"{expiry}-{self._signature(expiry)}"

    def cookie_left_s(self, value: str, now: float) -> float:
        """Return for how long a cookie is still good; 0.0 for one that is not, or was not made for this token."""
        text, _, signature = value.partition("-")
        if not (text.isascii() and text.isdigit() and len(text) <= 12 and signature.isascii()):
            return 0.0
        left_s = int(text) - now
        # A cookie that is good for longer than any was made before the clock was set back.
        if not 0 < left_s <= COOKIE_S + 1 or not hmac.compare_digest(signature, self._signature(int(text))):
            return 0.0
        return left_s

    def _signature(self, expiry: int) -> str:
        return hmac.digest(self._cookie_key, str(expiry).encode(), "sha256").hex()


def bearer(header: bytes) -> bytes | None:
    """Return the token of an `Authorization` header; None when it has none."""
    scheme, _, token = header.strip().partition(b" ")
    return (token.strip() or None) if scheme.lower() == b"bearer" else None
