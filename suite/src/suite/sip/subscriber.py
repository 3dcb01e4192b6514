"""The subscriber (RFC 6665 4.1): `subscribe` keeps a subscription alive, `fetch` reads a state once.

After the end of a subscription the caller makes a new one, when `retry_s` says. First requests and refreshes are paced at `per_s` a
second: after a lost connection all its subscriptions refresh over a new one. `turns.hold()` holds them back while the server is known
to be down. A NOTIFY without a subscription is answered 481.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from suite.sip.dialogs import Dialog, address
from suite.sip.errors import MalformedMessage, SipDenied, SipError, SipRefusal, SipTimeout, SipUnreachable
from suite.sip.flows import Flow
from suite.sip.incoming import Incoming
from suite.sip.message import SipRequest, SipResponse
from suite.sip.replies import refusal_of
from suite.sip.servers import SipServer
from suite.sip.subscriptions import Notification, SubscriberState, SubscriptionEnd
from suite.sip.turns import Turns
from suite.sip.user_agent import UserAgent

log = logging.getLogger(__name__)
_TRY_AGAIN_S: Final = (2.0, 30.0)
"""Shortest and longest pause between attempts to refresh."""
_LAST_NOTIFY_S: Final = 5.0
"""How long to wait for the last NOTIFY after unsubscribing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionWish:
    """A resource to subscribe to, with the options of the subscription."""

    uri: str
    event: str = "presence"
    accept: tuple[str, ...] = ("application/pidf+xml",)
    expires_s: int = 3600
    own_uri: str
    """The URI of the subscriber, for From."""
    resource_list: bool = False
    """Accept a list (RFC 4662): the server may answer with the states of many resources."""


@dataclass(frozen=True, slots=True)
class SubscriptionTrouble:
    """A refresh failed, and will be tried again. The state may be outdated until the next notification."""

    error: SipError


@dataclass(frozen=True, slots=True)
class SubscriptionAccepted:
    """The server accepted a SUBSCRIBE. `lists` is whether its notifications are lists (`Require: eventlist`)."""

    lists: bool


SubscriptionEvent = SubscriptionAccepted | Notification | SubscriptionTrouble | SubscriptionEnd
"""`SubscriptionEnd` comes once, as the last event."""
Listener = Callable[[SubscriptionEvent], None]


class Subscription:
    """One subscription, made by `Subscriber`. Its listener is called in the order of events, and must not block."""

    def __init__(self, subscriber: Subscriber, server: SipServer, wish: SubscriptionWish, listener: Listener) -> None:
        dialog = Dialog.starting(wish.own_uri, wish.uri)
        share = random.uniform(0.75, 0.9)  # noqa: S311 - spreads load
        self.wish = wish
        self.server = server
        self.state = SubscriberState(
            dialog=dialog,
            event=wish.event,
            expires_s=wish.expires_s,
            share=share,
            patience_s=subscriber.agent.settings.timers.timeout,
        )
        self.allowed_from: frozenset[str] = frozenset()
        self._subscriber = subscriber
        self._listener = listener
        self._wakes = asyncio.Event()
        self._flow: Flow | None = None
        self._end: SubscriptionEnd | None = None
        self._pause_s = _TRY_AGAIN_S[0]
        self._task: asyncio.Task[None] | None = None
        self._refresh_wanted = False

    def start(self) -> None:
        """Start the task of the subscription."""
        self._task = asyncio.create_task(self._run(), name=f"sip subscription {self.wish.event}")

    async def unsubscribe(self) -> None:
        """Unsubscribe at the server, wait up to 5 s for the last NOTIFY, and call the listener."""
        if self._end is None and self.state.dialog.remote_tag:
            self.state.expires_s = 0
            with suppress(SipError, TimeoutError):
                await self._send()
                async with asyncio.timeout(_LAST_NOTIFY_S):
                    while self._end is None:
                        self._wakes.clear()
                        await self._wakes.wait()
        await self.drop()

    def abandon(self) -> None:
        """End the subscription without a request: the next NOTIFY is answered 481. Its task ends a moment later."""
        self._finish(SubscriptionEnd(reason="unsubscribed"))
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def drop(self) -> None:
        """End the subscription as `abandon` does, and wait for the end of its task."""
        self.abandon()
        if self._task is not None and self._task is not asyncio.current_task():
            with suppress(asyncio.CancelledError):
                await self._task

    def refresh(self) -> None:
        """Refresh at the next turn, before it is due: the server may have lost the subscription."""
        if self._end is None:
            self._refresh_wanted = True
            self._wakes.set()

    async def ended(self) -> None:
        """Wait for the end of the subscription."""
        if self._task is not None:
            await asyncio.shield(self._task)

    # ---- received -------------------------------------------------------------------------------------------------------

    def notified(self, incoming: Incoming) -> None:
        """Take a NOTIFY of this subscription, and answer it."""
        try:
            notification = self.state.notified(incoming.request, self._now())
        except MalformedMessage as error:
            incoming.respond(400, str(error).rstrip("."))
            return
        incoming.respond(200, "OK")
        if notification is None:
            return
        self._pause_s = _TRY_AGAIN_S[0]
        self._emit(notification)
        if notification.is_end:
            reason = "unsubscribed" if self.state.expires_s == 0 else notification.reason or "ended"
            self._finish(SubscriptionEnd(reason=reason, retry_after_s=notification.retry_after_s))
        self._wakes.set()

    def flow_closed(self, flow: Flow) -> None:
        """Refresh over another connection if this was ours: NOTIFYs cannot arrive any more."""
        if flow is self._flow:
            self.refresh()

    # ---- inside ---------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _emit(self, event: SubscriptionEvent) -> None:
        try:
            self._listener(event)
        except Exception:
            # An error of the listener must not end this subscription, or the connection that others share.
            log.exception("The listener of a SIP subscription failed. This is a bug. Report it.")

    def _finish(self, end: SubscriptionEnd) -> None:
        if self._end is None:
            self._end = end
            self._subscriber.forget(self)
            self._wakes.set()
            self._emit(end)

    async def _run(self) -> None:
        await self._attempt()
        while self._end is None:
            self._wakes.clear()
            due = self.state.next_due()
            if not self._refresh_wanted:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._wakes.wait()
            await self._do_what_is_due()

    async def _do_what_is_due(self) -> None:
        if self._end is None:
            match self.state.due(self._now()):
                case "silent":
                    self._finish(
                        SubscriptionEnd(
                            reason="silent", text="The server accepted the subscription and sent no NOTIFY."
                        )
                    )
                case "expired":
                    self._finish(
                        SubscriptionEnd(reason="expired", text="The subscription could not be refreshed in time.")
                    )
                case "refresh":
                    await self._attempt()
                case None if self._refresh_wanted:
                    await self._attempt()
                case None:
                    pass

    async def _attempt(self) -> None:
        """Subscribe or refresh once. A failure is reported to the listener, or ends the subscription."""
        began = self.state.expires_at is not None
        try:
            await self._subscriber.turns.take()
            self._refresh_wanted = False  # also if it was set during the wait
            response = await self._send()
        except SipDenied as error:
            self._finish(SubscriptionEnd(reason="denied", status=error.status, text=str(error)))
        except SipRefusal as error:
            reason = "gone" if error.status == 481 else "refused"
            self._finish(_ended_by(error, reason))
        except (SipTimeout, SipUnreachable, MalformedMessage) as error:
            if began:
                self._try_again(error)
            else:
                reason = "no_answer" if isinstance(error, SipTimeout) else "unreachable"
                self._finish(SubscriptionEnd(reason=reason, text=str(error)))
        else:
            self._emit(SubscriptionAccepted("eventlist" in response.headers.tokens("require")))

    def _try_again(self, error: SipError) -> None:
        self.state.try_again_at(self._now() + self._pause_s)
        self._pause_s = min(2 * self._pause_s, _TRY_AGAIN_S[1])
        self._emit(SubscriptionTrouble(error))

    async def _send(self) -> SipResponse:
        """Send SUBSCRIBE; after 423 once more, with the server's Min-Expires."""
        self.allowed_from = frozenset(await self.server.addresses())
        response, self._flow = await self._subscriber.agent.request(self._made, self.server)
        error = refusal_of(response) if response.status >= 300 else None
        least = error.min_expires if error is not None and error.status == 423 else None
        if least is not None and self.state.expires_s and self.state.expires_s < least <= 24 * 3600:
            self.state.expires_s = least
            response, self._flow = await self._subscriber.agent.request(self._made, self.server)
            error = refusal_of(response) if response.status >= 300 else None
        if error is not None:
            raise error
        self.state.accepted(response, self._now())
        return response

    def _made(self) -> SipRequest:
        wish = self.wish
        accept = (*wish.accept, *(("application/rlmi+xml", "multipart/related") if wish.resource_list else ()))
        supported = (("Supported", "eventlist"),) if wish.resource_list else ()
        fields = (("Event", wish.event), ("Accept", ", ".join(accept)), ("Expires", str(self.state.expires_s)))
        return self.state.dialog.request("SUBSCRIBE", *fields, *supported)


def _ended_by(error: SipRefusal, reason: str) -> SubscriptionEnd:
    return SubscriptionEnd(reason=reason, status=error.status, retry_after_s=error.retry_after_s, text=str(error))


class Subscriber:
    """All our subscriptions by one user agent. It handles NOTIFY."""

    def __init__(self, agent: UserAgent, per_s: float = 50.0) -> None:
        self.agent = agent
        self.turns = Turns(per_s)
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        agent.handle("NOTIFY", self._notified)
        agent.on_closed(self._closed)

    def subscribe(self, server: SipServer, wish: SubscriptionWish, listener: Listener) -> Subscription:
        """Start a subscription, and keep it alive until it ends or is unsubscribed. Events go to `listener`."""
        made = Subscription(self, server, wish, listener)
        dialog = made.state.dialog
        self._subscriptions[dialog.call_id, dialog.local_tag] = made
        made.start()
        return made

    async def fetch(self, server: SipServer, wish: SubscriptionWish) -> Notification:
        """Fetch the state once (RFC 6665 4.4.3).

        Raises:
            SipRefusal: the server refused; SipDenied if it refuses the login.
            SipTimeout: no answer, or no NOTIFY, in 32 s.
            SipUnreachable: there is no connection.
        """
        came: asyncio.Future[Notification] = asyncio.get_running_loop().create_future()

        def take(event: SubscriptionEvent) -> None:
            if isinstance(event, Notification) and not came.done():
                came.set_result(event)

        asked = Subscription(self, server, wish, take)
        asked.state.expires_s = 0
        dialog = asked.state.dialog
        self._subscriptions[dialog.call_id, dialog.local_tag] = asked
        try:
            await asked._send()
            async with asyncio.timeout(self.agent.settings.timers.timeout):
                return await came
        except TimeoutError:
            raise SipTimeout("The server accepted the subscription and sent no NOTIFY.") from None
        finally:
            self.forget(asked)

    async def close(self) -> None:
        """Drop all subscriptions, without unsubscribing."""
        for each in list(self._subscriptions.values()):
            await each.drop()

    def forget(self, subscription: Subscription) -> None:
        """Stop handling NOTIFYs of a subscription."""
        dialog = subscription.state.dialog
        self._subscriptions.pop((dialog.call_id, dialog.local_tag), None)

    def _notified(self, incoming: Incoming) -> None:
        request = incoming.request
        found = self._subscriptions.get((request.headers.first("call-id") or "", address(request.headers, "to").tag))
        if found is None or not found.state.belongs(request):
            incoming.respond(481, "Subscription Does Not Exist")
        elif not _may_come_from(incoming.flow.peer[0], found):
            self.agent.transport.counts["notify_from_elsewhere"] += 1
            incoming.respond(403, "Forbidden")
        else:
            found.notified(incoming)

    def _closed(self, flow: Flow) -> None:
        for each in list(self._subscriptions.values()):
            each.flow_closed(flow)


def _may_come_from(host: str, subscription: Subscription) -> bool:
    """Return whether a NOTIFY may come from this IP address: one of the server's, or in the networks that were set."""
    if host in subscription.allowed_from:
        return True
    came = ipaddress.ip_address(host.partition("%")[0])
    return any(came in network for network in subscription.server.also_from)
