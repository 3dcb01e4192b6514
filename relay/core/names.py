"""Names of users as suites send them, and their normalised form."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from relay.core.presence import Name, TenantId, UserId

MAX_NAME_CHARS: Final = 320
"""The longest name that is accepted: an e-mail address has at most 320 characters (RFC 3696 erratum 1690), a UPN fewer."""

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Deliberately wider than Entra's rule: only a text that cannot be a UPN is refused here, and Graph decides about the others.
_UPN = re.compile(r"[^\s@\x00-\x1f\x7f\"<>()\[\],;:\\/|?*%]+@[^\s@\x00-\x1f\x7f\"<>()\[\],;:\\/|?*%&#]+")


def folded(text: str) -> str:
    """Return the form in which names of users and domains are compared: lower case, composed (NFC).

    `str.casefold` goes further: it makes `straße@` and `strasse@` equal, which are two users.
    """
    return unicodedata.normalize("NFC", text.lower())


def normalise(name: str) -> Name | None:
    """Return the name trimmed, `folded` and without `sip:`; None when it can be neither a UPN nor an object id."""
    if len(name) > MAX_NAME_CHARS:
        return None
    bare = folded(name.strip())
    bare = bare.removeprefix("sip:").strip()
    if len(bare) <= MAX_NAME_CHARS and (_GUID.fullmatch(bare) or _UPN.fullmatch(bare)):
        return Name(bare)
    return None


def is_object_id(name: str) -> bool:
    """Return True if a normalised name is an object id rather than a UPN."""
    return _GUID.fullmatch(name) is not None


def user_id(text: str) -> UserId | None:
    """Return the text as an object id, in lower case; None for any other text."""
    lower = text.lower()
    return UserId(lower) if _GUID.fullmatch(lower) else None


def tenant_id(text: str) -> TenantId | None:
    """Return the text as a tenant id, in lower case; None for any other text."""
    lower = text.lower()
    return TenantId(lower) if _GUID.fullmatch(lower) else None
