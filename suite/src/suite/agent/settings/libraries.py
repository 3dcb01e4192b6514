"""The packages of the extra `presence-suite[sip]`: whether they are installed, and how to install them."""

from __future__ import annotations

import importlib.util
from typing import Final

_PACKAGES: Final = ("sipmessage", "defusedxml", "dns")
HOW_TO_INSTALL: Final = "SIP needs packages that are not installed. Install them: pip install 'presence-suite[sip]'."


def has_libraries() -> bool:
    """Return whether all packages of `presence-suite[sip]` are installed."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)
