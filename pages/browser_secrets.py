"""Secrets that a browser holds in cookies, and the secrets derived from them. The server keeps fingerprints only.

    new_secret()       256 random bits, in a cookie
      ├─ form_token    in every form: proves that a page of this browser was the source
      ├─ return_secret in the cookie that the browser sends with Microsoft's answer
      └─ link_token    in a link for another person

A derived secret does not reveal its source.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

SECRET_CHARS: Final = 43
"""Length of every secret: 32 bytes in base64url."""


def new_secret() -> str:
    """Return 256 random bits for a cookie."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """Return the SHA-256 of a secret, which is all that the server keeps of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def return_secret(secret: str) -> str:
    """Return the secret for the return cookie, derived from the secret in a flow's cookie."""
    return _derived(secret, "return")


def form_token(secret: str) -> str:
    """Return the token that a form must carry when the browser holds `secret`."""
    return _derived(secret, "form")


def link_token(secret: str, number: int) -> str:
    """Return the token of a flow's n-th link. The page can show the link again; the store alone cannot produce it."""
    return _derived(secret, f"link {number}")


def is_form_of(secret: str, token: str) -> bool:
    """Return whether a form carries the token that belongs to `secret`."""
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), token.encode(errors="replace"))


def _derived(secret: str, purpose: str) -> str:
    digest = hmac.digest(secret.encode(), purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
