"""Which browser a flow belongs to, and whether a form is ours.

A flow has two cookies, both made by us when it starts, so that nobody can have planted them:

`__Host-onboarding-<flow id>`   SameSite=Lax. Whoever holds it may see and go on with the flow.
`__Host-return-<flow id>`       SameSite=None, because Microsoft's answer is posted from Microsoft's page and a Lax cookie
                                would stay at home. Good for nothing but proving that the answer comes through the browser
                                that asked; it follows from the first by a hash, and not the other way round.

The first form has no flow yet; `__Host-onboarding` stands in. Every form carries a token that follows from its cookie.
The server keeps fingerprints only. The prefix has the browser see to it that a cookie is Secure, of this very host, and
not set by a neighbour.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from onboarding.wizard.flow import is_flow_id

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response

    from onboarding.wizard.flow import Flow

FORM_COOKIE: Final = "__Host-onboarding"
_FLOW_COOKIE: Final = "__Host-onboarding-"
_RETURN_COOKIE: Final = "__Host-return-"
_SECRET_CHARS: Final = 43
_LIFETIME_S: Final = 3600
"""Longer than any flow: a cookie without its flow leads to a page that says so, a flow without its cookie is lost."""


def new_secret() -> str:
    """256 bits for a cookie."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def return_secret(secret: str) -> str:
    """The secret of the return cookie that belongs to a flow's."""
    return _derived(secret, "return")


def form_token(secret: str) -> str:
    """What a form of the holder of `secret` must carry."""
    return _derived(secret, "form")


def is_form_of(secret: str, token: str) -> bool:
    """Whether a form carries the token that belongs to `secret`."""
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), token.encode(errors="replace"))


def keep_form(response: Response, secret: str) -> None:
    """Give the browser the cookie of the first form."""
    keep(response, FORM_COOKIE, secret, same_site="Lax")


def link_token(secret: str, number: int) -> str:
    """The token of a link to somebody else, the n-th of a flow: so that its page can show it again, and the store cannot."""
    return _derived(secret, f"link {number}")


def keep_flow(response: Response, flow_id: str, secret: str, lifetime: timedelta | None = None) -> None:
    """Give the browser the cookies of a flow; `lifetime` of one that waits for days."""
    lifetime_s = max(_LIFETIME_S, int(lifetime.total_seconds())) if lifetime is not None else _LIFETIME_S
    keep(response, _FLOW_COOKIE + flow_id, secret, same_site="Lax", lifetime_s=lifetime_s)
    keep(response, _RETURN_COOKIE + flow_id, return_secret(secret), same_site="None", lifetime_s=lifetime_s)


def form_secret(request: Request) -> str:
    """The secret of the first form's cookie; empty without one."""
    return cookie(request, FORM_COOKIE)


def flow_secret(request: Request, flow_id: str) -> str:
    """What the browser holds for a flow; empty without anything. Whether it is the flow's, `secret_of` tells."""
    return cookie(request, _FLOW_COOKIE + flow_id)


def secret_of(request: Request, flow: Flow) -> str:
    """The secret of a flow, if the browser holds it; else empty."""
    secret = cookie(request, _FLOW_COOKIE + flow.flow_id)
    return secret if hmac.compare_digest(fingerprint(secret), flow.browser) else ""


def is_returning(request: Request, flow: Flow) -> bool:
    """Whether Microsoft's answer comes through the browser of the flow."""
    return hmac.compare_digest(fingerprint(cookie(request, _RETURN_COOKIE + flow.flow_id)), flow.returning)


def flows_of(request: Request) -> list[str]:
    """The ids of flows that the browser began, as far as its return cookies say: to offer a way back, no more."""
    found = (name.removeprefix(_RETURN_COOKIE) for name in request.cookies if name.startswith(_RETURN_COOKIE))
    return [flow_id for flow_id in found if is_flow_id(flow_id)]


def keep(response: Response, name: str, secret: str, *, same_site: str, lifetime_s: int = _LIFETIME_S) -> None:
    """Give the browser a cookie of this host alone; a lifetime of 0 takes it back."""
    response.headers.append(
        "set-cookie", f"{name}={secret}; Path=/; Max-Age={lifetime_s}; Secure; HttpOnly; SameSite={same_site}"
    )


def cookie(request: Request, name: str) -> str:
    """The secret in a cookie; empty when there is none of ours."""
    secret = request.cookies.get(name, "")
    return secret if len(secret) == _SECRET_CHARS else ""


def _derived(secret: str, purpose: str) -> str:
    digest = hmac.digest(secret.encode(), purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
