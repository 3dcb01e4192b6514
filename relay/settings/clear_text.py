"""Recognises addresses that would send secrets over the network in clear text, and words the faults about them."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

IN_THE_CLEAR: Final = (
    "goes to another host without TLS, which shows passwords, grants and presence to the network; use rediss://, or set {} "
    "to true if a tunnel or a mesh encrypts it"
)


PLAIN: Final = "goes to another host without TLS, which shows {} to the network; use {}, or set {} to true if a tunnel or a mesh encrypts it"


def is_loopback(host: str) -> bool:
    """Return True for this machine itself. No name other than `localhost` counts."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def goes_in_the_clear(url: str) -> bool:
    """Return True if traffic to a web address crosses a network unencrypted."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname is not None and not is_loopback(parts.hostname)
