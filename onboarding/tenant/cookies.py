"""The cookies of the tenant's page: the session's, and the one that comes back from Microsoft. See `onboarding.cookies` for the prefix.

`__Host-tenant`           SameSite=Lax. Its holder is signed in. Not Strict: a browser that comes back from Microsoft's
                          page would not send it, and the page would open as if nobody had signed in.
`__Host-tenant-return`    SameSite=None, because Microsoft's answer is posted from Microsoft's page. It proves that the answer
                          comes through the browser that asked, and nothing else. One for all tabs of a browser.

A session's cookie is made after a person has signed in and never before, so a planted one opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onboarding.cookies import read_cookie, set_cookie

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response

SESSION_COOKIE: Final = "__Host-tenant"
RETURN_COOKIE: Final = "__Host-tenant-return"


def session_secret(request: Request) -> str:
    """Return the secret of a session; empty without one."""
    return read_cookie(request, SESSION_COOKIE)


def return_secret(request: Request) -> str:
    """Return the secret that must come with Microsoft's answer; empty without one."""
    return read_cookie(request, RETURN_COOKIE)


def set_session_cookie(response: Response, secret: str, lifetime: timedelta) -> None:
    """Give the browser the cookie of its session."""
    set_cookie(response, SESSION_COOKIE, secret, same_site="Lax", lifetime_s=int(lifetime.total_seconds()))


def remove_session_cookie(response: Response) -> None:
    """Take the session's cookie back from the browser."""
    set_cookie(response, SESSION_COOKIE, "", same_site="Lax", lifetime_s=0)


def set_return_cookie(response: Response, secret: str) -> None:
    """Give the browser the cookie that comes back with Microsoft's answer."""
    set_cookie(response, RETURN_COOKIE, secret, same_site="None")
