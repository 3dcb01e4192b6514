"""The guard of the control surface: it admits programs on this machine and its own page, but no page of another site.

A browser on this machine sends the requests of any page. So a host name that resolves to this machine by DNS
rebinding is refused, and so is every change that another site's page requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from emulator.exchange import Request

LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
MICROSOFT: Final = (
    ".microsoftonline.com", ".windows.net", ".microsoft.com", ".microsoftonline.us", ".microsoft.us",
    ".microsoftonline.cn", ".chinacloudapi.cn", ".usgovcloudapi.net",
)  # fmt: skip
"""No other host can have a name in these domains."""

_READS: Final = {"GET", "HEAD"}
_OWN: Final = {"", "same-origin", "none"}
"""The header values of browsers for requests of the page itself and for typed addresses. Other clients send none.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site"""


def refusal(request: Request) -> str:
    """Return why a request is refused; empty when it is allowed."""
    host = request.header(b"host")
    name = _name(f"//{host}")
    if host and name not in LOOPBACK and not name.endswith(MICROSOFT):
        return f"the control surface is not at {name or 'such a host name'}; use 127.0.0.1 or localhost"
    if request.method in _READS:
        return ""
    origin = request.header(b"origin")
    foreign = origin and origin.partition("://")[2].lower() != host.lower()
    if foreign or request.header(b"sec-fetch-site").lower() not in _OWN:
        return "pages of other sites may not use the control surface"
    return ""


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
