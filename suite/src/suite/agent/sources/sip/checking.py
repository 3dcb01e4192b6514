"""The self-check: one fetch of the agent's own URI (RFC 6665 4.4.3) shows if a server accepts the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.agent.sources.sip.resources import CONTENT_TYPES
from suite.agent.sources.sip.states import SelfCheck, verdict_of
from suite.sip.errors import SipError, SipRefusal
from suite.sip.subscriber import SubscriptionWish

if TYPE_CHECKING:
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.sources.sip.resources import SipEvent
    from suite.sip.servers import SipServer
    from suite.sip.subscriber import Subscriber


async def check(subscriber: Subscriber, server: SipServer, settings: SipSimpleSettings) -> SelfCheck:
    """Check a server. It takes 64 seconds at most: the timeouts of the response and of the notification."""
    error: SipError | None = None
    event: SipEvent = "presence" if settings.is_by_uri else settings.phone_event
    wish = SubscriptionWish(
        uri=settings.uri, own_uri=settings.uri, event=event, accept=(CONTENT_TYPES[event],), expires_s=0
    )
    try:
        told = await subscriber.fetch(server, wish)
        if told.reason == "noresource":
            error = SipRefusal(404, told.reason)
        elif told.reason == "rejected":
            error = SipRefusal(403, told.reason)
    except SipRefusal as refused:
        # Asterisk accepts the login, and then answers 400 to every fetch: "Expires of 0 is invalid" (res_pjsip_pubsub.c).
        is_of_the_form = refused.status == 400 and (server.digest.has_answered or not settings.password)
        error = None if is_of_the_form else refused
    except SipError as failed:
        error = failed
    return verdict_of(
        error,
        settings.uri,
        has_password=bool(settings.password),
        # A telephone system challenges first. Then it looks for an extension, which the agent need not have.
        is_known=not settings.is_by_uri and server.digest.has_answered,
    )
