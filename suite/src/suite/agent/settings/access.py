"""The token of the local API, as a file contains it."""

from __future__ import annotations

import re
import secrets
from typing import Final

from suite.errors import ConfigError
from suite.inputs import checked_key

LEAST_TOKEN_CHARS: Final = 24
MOST_TOKEN_CHARS: Final = 512


def checked_token(text: str) -> str:
    """Return the token without white space around it.

    Raises:
        ValueError: it is no token, or one that can be guessed. The message does not repeat it.
    """
    bare = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", bare) or not LEAST_TOKEN_CHARS <= len(bare) <= MOST_TOKEN_CHARS:
        raise ValueError(
            f"A token has {LEAST_TOKEN_CHARS} to {MOST_TOKEN_CHARS} letters, digits or signs, and no blanks."
        )
    if len(set(bare)) < LEAST_TOKEN_CHARS // 3:
        raise ValueError("The token can be guessed: it has too few different characters.")
    return bare


def new_token() -> str:
    """Return a new random token. It has the form of a suite key, so that programs written for the relay accept it."""
    return f"psk_agent_{secrets.token_urlsafe(32)}"


def is_suite_key(text: str) -> bool:
    """Return whether a text has the form of a suite key."""
    try:
        checked_key(text)
    except ConfigError:
        return False
    return True
