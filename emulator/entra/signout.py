"""Signing out: https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#send-a-sign-out-request"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.entra import pages, parameters, replies

if TYPE_CHECKING:
    from emulator.entra.sessions import Sessions
    from emulator.exchange import Answer, Request
    from emulator.world import World


def sign_out(request: Request, world: World, sessions: Sessions) -> Answer:
    """End the browser's session, and redirect it if the requested address is registered with an application.

    Raises:
        Refused: the parameters are too long or too many, or one occurs twice.
    """
    asked = parameters.of_query_or_body(request)
    uri, client_id = asked.get("post_logout_redirect_uri", ""), asked.get("client_id", "")
    applications = [world.application(client_id)] if client_id else list(world.applications.values())
    if any(replies.is_registered(uri, application) for application in applications if application is not None):
        answer = replies.send(uri, "query", asked.get("state"), {})
    else:
        answer = pages.signed_out()
    sessions.forget(request, answer)
    return answer
