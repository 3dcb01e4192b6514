"""Paths of the pages and the webhook, as links and Microsoft's redirects need them, and the form of a public URL."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

ONBOARDING: Final = "/onboarding"
"""All pages are below this path; other programs may use the rest of the host."""
CALLBACK: Final = f"{ONBOARDING}/callback"
"""Microsoft redirects here after a sign-in."""
INVITATION: Final = f"{ONBOARDING}/invitation"
"""Links that let another person begin an onboarding are below this path."""
TENANT: Final = f"{ONBOARDING}/tenant"
"""The pages of a connected tenant are below this path; the session determines the tenant."""
TENANT_SIGN_IN: Final = f"{TENANT}/sign-in"
NOTIFICATIONS: Final = "/notifications/"
"""Graph posts here, followed by a route id."""

CONSOLE: Final = "/console"
"""The operator's console is below this path, on a host of its own."""
CONSOLE_CALLBACK: Final = f"{CONSOLE}/callback"
"""Microsoft redirects here after an operator's sign-in."""

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_local(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    return urlsplit(url).hostname in LOCAL_HOSTS


def is_same_site(url: str, other: str) -> bool:
    """Return whether two URLs are the same server for browsers: the same host, and on this machine also the same port."""
    one, two = urlsplit(url), urlsplit(other)
    if one.hostname != two.hostname:
        return False
    return not is_local(url) or (one.scheme, one.port) == (two.scheme, two.port)


def check_public_url(url: str) -> str:
    """Return the URL of the pages unchanged.

    Raises:
        ValueError: it has a path, or is not https although it does not lead to this machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise ValueError(f"{url!r} must be like https://relay.example, without a path")
    if parts.scheme == "http" and parts.hostname not in LOCAL_HOSTS:
        raise ValueError(f"{url!r} must be https: browsers keep our cookies only then")
    return url
