"""The cookies of the tenant's page; see `onboarding.cookies` for what the prefix and SameSite do.

`__Host-tenant`           SameSite=Lax. Whoever holds it is signed in. Not Strict: the way back from Microsoft's page is one
                          from another site, and the page after it would open as if nobody had signed in.
`__Host-tenant-return`    SameSite=None, because Microsoft's answer is posted from Microsoft's page. Good for nothing but
                          proving that the answer comes through the browser that asked. One for all tabs of a browser.

A session's cookie is made when somebody has signed in and never before, so one that was planted opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onboarding import cookies as sessions

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response

SESSION_COOKIE: Final = "__Host-tenant"
RETURN_COOKIE: Final = "__Host-tenant-return"


def session_secret(request: Request) -> str:
    """The secret of a session; empty without one."""
    return sessions.cookie(request, SESSION_COOKIE)


def return_secret(request: Request) -> str:
    """What Microsoft's answer must come with; empty without one."""
    return sessions.cookie(request, RETURN_COOKIE)


def keep_session(response: Response, secret: str, lifetime: timedelta) -> None:
    """Give the browser its session's cookie."""
    sessions.keep(response, SESSION_COOKIE, secret, same_site="Lax", lifetime_s=int(lifetime.total_seconds()))


def drop_session(response: Response) -> None:
    """Take it back."""
    sessions.keep(response, SESSION_COOKIE, "", same_site="Lax", lifetime_s=0)


def keep_return(response: Response, secret: str) -> None:
    """Give the browser the cookie that comes back with Microsoft's answer."""
    sessions.keep(response, RETURN_COOKIE, secret, same_site="None")
