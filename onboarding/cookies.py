"""Cookies of this host alone, and the cookie of a first form, which has neither a flow nor a session yet.

The prefix `__Host-` has the browser make sure that a cookie is Secure, of this very host, and not set by a neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onboarding.browser_secrets import SECRET_CHARS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

FORM_COOKIE: Final = "__Host-onboarding"
LIFETIME_S: Final = 3600
"""Longer than any flow: a cookie without its flow leads to an error page; a flow without its cookie is lost."""


def set_cookie(response: Response, name: str, secret: str, *, same_site: str, lifetime_s: int = LIFETIME_S) -> None:
    """Give the browser a cookie; a lifetime of 0 removes it."""
    response.headers.append(
        "set-cookie", f"{name}={secret}; Path=/; Max-Age={lifetime_s}; Secure; HttpOnly; SameSite={same_site}"
    )


def read_cookie(request: Request, name: str) -> str:
    """Return the secret in a cookie; empty when it holds none of ours."""
    secret = request.cookies.get(name, "")
    return secret if len(secret) == SECRET_CHARS else ""


def set_form_cookie(response: Response, secret: str) -> None:
    """Give the browser the cookie of the first form."""
    set_cookie(response, FORM_COOKIE, secret, same_site="Lax")


def form_secret(request: Request) -> str:
    """Return the secret of the first form's cookie; empty without one."""
    return read_cookie(request, FORM_COOKIE)
