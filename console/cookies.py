"""The cookies of the console. See `onboarding.cookies` for the prefix.

`__Host-console`          SameSite=Lax. Its holder is signed in.
`__Host-console-return`   SameSite=None, because Microsoft's answer is posted from Microsoft's page. It proves that the answer
                          comes through the browser that asked, and nothing else.
`__Host-console-form`     SameSite=Lax. Of the form that signs in, which has no session yet.

A session's cookie is made after somebody has signed in and never before, so a planted one opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onboarding.cookies import read_cookie, set_cookie

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response

SESSION_COOKIE: Final = "__Host-console"
RETURN_COOKIE: Final = "__Host-console-return"
FORM_COOKIE: Final = "__Host-console-form"


def session_secret(request: Request) -> str:
    """Return the secret of a session; empty without one."""
    return read_cookie(request, SESSION_COOKIE)


def return_secret(request: Request) -> str:
    """Return the secret that must come with Microsoft's answer; empty without one."""
    return read_cookie(request, RETURN_COOKIE)


def form_secret(request: Request) -> str:
    """Return the secret of the form that signs in; empty without one."""
    return read_cookie(request, FORM_COOKIE)


def set_session_cookie(response: Response, secret: str, lifetime: timedelta) -> None:
    """Give the browser the cookie of its session."""
    set_cookie(response, SESSION_COOKIE, secret, same_site="Lax", lifetime_s=int(lifetime.total_seconds()))


def remove_session_cookie(response: Response) -> None:
    """Take the session's cookie back from the browser."""
    set_cookie(response, SESSION_COOKIE, "", same_site="Lax", lifetime_s=0)


def set_return_cookie(response: Response, secret: str) -> None:
    """Give the browser the cookie that comes back with Microsoft's answer."""
    set_cookie(response, RETURN_COOKIE, secret, same_site="None")


def set_form_cookie(response: Response, secret: str) -> None:
    """Give the browser the cookie of the form that signs in."""
    set_cookie(response, FORM_COOKIE, secret, same_site="Lax")
