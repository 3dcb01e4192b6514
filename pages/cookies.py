"""Cookies that only this host can set and read.

With the prefix `__Host-`, the browser accepts a cookie only if it is Secure and was set by this host, not by a subdomain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pages.browser_secrets import SECRET_CHARS

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response

LIFETIME_S: Final = 3600
"""Longer than any flow: a cookie without its flow leads to an error page, but a flow without its cookie is lost."""


def set_cookie(response: Response, name: str, secret: str, *, same_site: str, lifetime_s: int = LIFETIME_S) -> None:
    """Set a cookie; a lifetime of 0 removes it."""
    response.headers.append(
        "set-cookie", f"{name}={secret}; Path=/; Max-Age={lifetime_s}; Secure; HttpOnly; SameSite={same_site}"
    )


def read_cookie(request: Request, name: str) -> str:
    """Return the secret in a cookie; empty if the cookie is missing or malformed."""
    secret = request.cookies.get(name, "")
    return secret if len(secret) == SECRET_CHARS else ""


@dataclass(frozen=True, slots=True)
class SignInCookies:
    """The cookies of a site behind a sign-in. Each site has its own cookie names, so no site reads another site's cookies.

    The session cookie is created only after a sign-in, so a planted cookie gives no access.

    Attributes:
        session: SameSite=Lax. Its holder is signed in. Not Strict: a browser that returns from Microsoft's page would not
            send it, and the page would open as signed out.
        returning: SameSite=None, because Microsoft's answer is posted from Microsoft's page. It proves only that the answer
            comes through the browser that began the sign-in. All tabs of a browser share one.
        form: SameSite=Lax. For the sign-in form, which has no session yet.
    """

    session: str
    returning: str
    form: str

    def session_secret(self, request: Request) -> str:
        """Return the secret in the session cookie; empty if there is none."""
        return read_cookie(request, self.session)

    def return_secret(self, request: Request) -> str:
        """Return the secret in the return cookie, which Microsoft's answer must come with; empty if there is none."""
        return read_cookie(request, self.returning)

    def set_session(self, response: Response, secret: str, lifetime: timedelta) -> None:
        """Set the session cookie."""
        set_cookie(response, self.session, secret, same_site="Lax", lifetime_s=int(lifetime.total_seconds()))

    def remove_session(self, response: Response) -> None:
        """Remove the session cookie."""
        set_cookie(response, self.session, "", same_site="Lax", lifetime_s=0)

    def set_return(self, response: Response, secret: str) -> None:
        """Set the return cookie, which the browser sends with Microsoft's answer."""
        set_cookie(response, self.returning, secret, same_site="None")
