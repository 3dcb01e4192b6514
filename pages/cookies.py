"""Cookies of this host alone.

The prefix `__Host-` has the browser make sure that a cookie is Secure, of this very host, and not set by a neighbour.
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


@dataclass(frozen=True, slots=True)
class SignInCookies:
    """The cookies of a site behind a sign-in. Each site has names of its own, so no site reads another one's.

    A session's cookie is made after somebody has signed in and never before, so a planted one opens nothing.

    Attributes:
        session: SameSite=Lax. Its holder is signed in. Not Strict: a browser that comes back from Microsoft's page would not
            send it, and the page would open as if nobody had signed in.
        returning: SameSite=None, because Microsoft's answer is posted from Microsoft's page. It proves that the answer comes
            through the browser that asked, and nothing else. One for all tabs of a browser.
        form: SameSite=Lax. Of the form that signs in, which has no session yet.
    """

    session: str
    returning: str
    form: str

    def session_secret(self, request: Request) -> str:
        """Return the secret of a session; empty without one."""
        return read_cookie(request, self.session)

    def return_secret(self, request: Request) -> str:
        """Return the secret that must come with Microsoft's answer; empty without one."""
        return read_cookie(request, self.returning)

    def set_session(self, response: Response, secret: str, lifetime: timedelta) -> None:
        """Give the browser the cookie of its session."""
        set_cookie(response, self.session, secret, same_site="Lax", lifetime_s=int(lifetime.total_seconds()))

    def remove_session(self, response: Response) -> None:
        """Take the session's cookie back from the browser."""
        set_cookie(response, self.session, "", same_site="Lax", lifetime_s=0)

    def set_return(self, response: Response, secret: str) -> None:
        """Give the browser the cookie that comes back with Microsoft's answer."""
        set_cookie(response, self.returning, secret, same_site="None")
