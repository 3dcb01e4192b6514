"""The two cookies that tie a flow to its browser. Both are created when the flow starts, so they cannot have been planted.

`__Host-onboarding-<flow id>`   SameSite=Lax. Its holder may see and continue the flow.
`__Host-return-<flow id>`       SameSite=None, because Microsoft's answer is posted from Microsoft's page and the browser would
                                not send a Lax cookie with it. It proves only that the answer comes through the browser
                                that began. It is a hash of the first cookie and does not reveal it.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from onboarding.wizard.flow import is_flow_id
from pages.browser_secrets import fingerprint, return_secret
from pages.cookies import LIFETIME_S, read_cookie, set_cookie

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.requests import Request
    from starlette.responses import Response

    from onboarding.wizard.flow import Flow

_FLOW_COOKIE: Final = "__Host-onboarding-"
_RETURN_COOKIE: Final = "__Host-return-"


def set_flow_cookies(response: Response, flow_id: str, secret: str, lifetime: timedelta | None = None) -> None:
    """Set the cookies of a flow; pass `lifetime` for a flow that waits for days."""
    lifetime_s = max(LIFETIME_S, int(lifetime.total_seconds())) if lifetime is not None else LIFETIME_S
    set_cookie(response, _FLOW_COOKIE + flow_id, secret, same_site="Lax", lifetime_s=lifetime_s)
    set_cookie(response, _RETURN_COOKIE + flow_id, return_secret(secret), same_site="None", lifetime_s=lifetime_s)


def claimed_secret(request: Request, flow_id: str) -> str:
    """Return the secret in a flow's cookie, not yet compared with the flow; empty if there is none. See `secret_of`."""
    return read_cookie(request, _FLOW_COOKIE + flow_id)


def secret_of(request: Request, flow: Flow) -> str:
    """Return the secret of a flow if the browser holds it; empty otherwise."""
    secret = claimed_secret(request, flow.flow_id)
    return secret if hmac.compare_digest(fingerprint(secret), flow.browser) else ""


def is_returning(request: Request, flow: Flow) -> bool:
    """Return whether Microsoft's answer comes through the browser of the flow."""
    return hmac.compare_digest(fingerprint(read_cookie(request, _RETURN_COOKIE + flow.flow_id)), flow.returning)


def flows_of(request: Request) -> list[str]:
    """Return the ids of flows for which the browser has return cookies. Use them only for a link back."""
    found = (name.removeprefix(_RETURN_COOKIE) for name in request.cookies if name.startswith(_RETURN_COOKIE))
    return [flow_id for flow_id in found if is_flow_id(flow_id)]
