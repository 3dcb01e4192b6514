"""The notifier (RFC 6665 4.2): phones, PBXs and presence servers subscribe to states of ours.

    SUBSCRIBE ──► NotifierRules.admit ──► 200 ──► NOTIFY ──► NOTIFY after `changed` ──► … ──► the last NOTIFY

A subscription has one NOTIFY under way at a time. Changes meanwhile are sent together in one more NOTIFY: the newest state always arrives,
those in between may not. A subscription ends when it expires, when `end` is called, or when a NOTIFY is refused or not answered.
NOTIFYs use the connection of the newest SUBSCRIBE. When that is closed, a new one is opened only to the address that the SUBSCRIBE
came from, so that nobody can make us connect elsewhere. Otherwise the state is sent after the next SUBSCRIBE.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Protocol

from suite.sip.dialogs import Dialog, DialogId, address
from suite.sip.errors import MalformedMessage, SipError, SipUnreachable
from suite.sip.flows import Flow
from suite.sip.incoming import Incoming, Refusal
from suite.sip.turns import TurnsOfPeers
from suite.sip.uris import parse_name_addr
from suite.sip.user_agent import UserAgent
from suite.sip.watchers import (
    NotifierLimits,
    NotifyBody,
    WatcherState,
    accepts,
    dialog_of,
    event_package,
    supports_lists,
    wanted_s,
)

log = logging.getLogger(__name__)


class NotifierRules(Protocol):
    """Decides who may subscribe, and provides the states. Calls must not block."""

    def admit(self, incoming: Incoming) -> Refusal | None:
        """Return the refusal of a first SUBSCRIBE or a fetch: 403, 404, or a 401 by `DigestServer.check`. None admits it.

        On UDP the source address can be forged, and NOTIFYs of an admitted subscription are sent there: require a login, or admit known
        networks only.
        """

    def admit_again(self, incoming: Incoming) -> Refusal | None:
        """Return the refusal, as of `admit`, of a SUBSCRIBE within a dialog that comes over another flow than the one before.

        Knowing the dialog does not prove that NOTIFYs may be sent to this address, which may be forged.
        """

    def is_list(self, uri: str) -> bool:
        """Return whether a URI is a list (RFC 4662). Called only if the SUBSCRIBE supports lists."""

    def body(self, watcher: Watcher) -> NotifyBody | None:
        """Return the body of the next NOTIFY; None for no body, when nothing is known."""

    def ended(self, watcher: Watcher) -> None:
        """Take the end of a subscription, or of a fetch."""

    def pace(self, watcher: Watcher) -> float:
        """Return how many NOTIFYs a second may be sent over the watcher's flow, for all its subscriptions together; 0 is no limit."""


class Watcher:
    """One subscription to `uri`, the Request-URI of its first SUBSCRIBE."""

    def __init__(self, notifier: Notifier, incoming: Incoming, dialog: Dialog, expires_at: float) -> None:
        request = incoming.request
        self.state = WatcherState(dialog=dialog, event=request.headers.first("event") or "", expires_at=expires_at)
        self.event = event_package(request)
        self.uri = request.uri
        self.request = replace(request, body=b"")
        """The newest SUBSCRIBE without its body, for Accept, Supported and From."""
        self.flow = incoming.flow
        self.user = incoming.user
        """The user who logged in last; "" without a login."""
        self.was_answered = False
        """Whether a NOTIFY was answered, which shows that the address was not forged."""
        self.is_over = False
        self._notifier = notifier
        self._changed = asyncio.Event()
        self._reason = ""
        self._retry_after_s: int | None = None
        self._task = asyncio.create_task(self._run(), name=f"sip watcher {self.event}")

    @property
    def id(self) -> DialogId:
        """Return the key of its dialog."""
        return self.state.dialog.id

    def changed(self) -> None:
        """Send a NOTIFY soon. `NotifierRules.body` is called when it is written."""
        self._changed.set()

    def end(self, reason: str = "noresource", retry_after_s: int | None = None) -> None:
        """End the subscription with a last NOTIFY. Reasons are those of RFC 6665 4.1.3: `deactivated` makes phones subscribe again at once."""
        if not self._reason:
            self._reason, self._retry_after_s = reason, retry_after_s
            self._changed.set()

    def refreshed(self, incoming: Incoming, expires_at: float) -> None:
        """Take a SUBSCRIBE within the dialog."""
        self.request, self.flow = replace(incoming.request, body=b""), incoming.flow
        self.user = incoming.user or self.user
        self.state.dialog.move_target(incoming.request.headers)
        self.state.expires_at = expires_at
        self._changed.set()

    async def drop(self) -> None:
        """End the subscription without a NOTIFY."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._changed.set()  # the first NOTIFY follows the answer at once
        try:
            while not self.is_over:
                try:
                    async with asyncio.timeout_at(self.state.expires_at):
                        await self._changed.wait()
                except TimeoutError:
                    self._reason = self._reason or "timeout"
                await self._notifier.turns.take(self.flow, self._notifier.rules.pace(self))
                self._changed.clear()  # this NOTIFY has the changes made while it waited
                if loop.time() >= self.state.expires_at:
                    self._reason = self._reason or "timeout"
                await self._tell(loop.time())
        except Exception:
            log.exception("A NOTIFY could not be sent. This is a bug. Report it.")
        finally:
            self.is_over = True
            self._notifier.over(self)

    async def _tell(self, now: float) -> None:
        self.is_over = bool(self._reason)
        content = self._notifier.rules.body(self)
        request = self.state.notify(now, content, reason=self._reason, retry_after_s=self._retry_after_s)
        self.state.version += 1
        try:
            response = await self._notifier.agent.transact(request, await self._notifier.way_to(self))
        except SipUnreachable:
            # The watcher may refresh over another connection. The state is sent then.
            self._notifier.agent.transport.counts["notify_lost"] += 1
        except SipError:
            self.is_over = True
            self._notifier.agent.transport.counts["notify_lost"] += 1
        else:
            self.was_answered = True
            # A refusal ends the subscription, unless Retry-After says that it is temporary (RFC 6665 4.2.2).
            refused = response.status >= 300 and response.headers.first("retry-after") is None
            self.is_over = self.is_over or refused


class Notifier:
    """All subscriptions to states of ours. `events` has the content type of each event package."""

    def __init__(
        self, agent: UserAgent, rules: NotifierRules, events: dict[str, str], limits: NotifierLimits | None = None
    ) -> None:
        self.agent = agent
        self.rules = rules
        self._events = events
        self.limits = limits or NotifierLimits()
        self.turns = TurnsOfPeers()
        self._watchers: dict[DialogId, Watcher] = {}
        self._of_address: Counter[str] = Counter()
        self._address_of: dict[DialogId, str] = {}
        agent.handle("SUBSCRIBE", self._subscribed)

    def __iter__(self) -> Iterator[Watcher]:
        """Iterate over the current subscriptions."""
        return iter(list(self._watchers.values()))

    def __len__(self) -> int:
        """Return the number of subscriptions."""
        return len(self._watchers)

    async def close(self, reason: str = "deactivated", retry_after_s: int | None = None) -> None:
        """End all subscriptions with a last NOTIFY. Those that do not answer within 2 s are dropped."""
        self.turns.end()
        await self.end(list(self), reason, retry_after_s)

    async def end(self, watchers: Collection[Watcher], reason: str, retry_after_s: int | None = None) -> None:
        """End these subscriptions with a last NOTIFY. Those that do not answer within 2 s are dropped."""
        for each in watchers:
            each.end(reason, retry_after_s)
        if watchers:
            await asyncio.wait([each._task for each in watchers], timeout=2.0)
        for each in watchers:
            await each.drop()

    def over(self, watcher: Watcher) -> None:
        """Remove a subscription that has ended."""
        if self._watchers.pop(watcher.id, None) is None:
            return
        self._came_from(watcher, "")
        self.rules.ended(watcher)

    def _came_from(self, watcher: Watcher, address: str) -> None:
        """Count a subscription for its source address, and no longer for the one before; "" counts it for none."""
        before = self._address_of.pop(watcher.id, "")
        if before:
            self._of_address[before] -= 1
            if not self._of_address[before]:
                del self._of_address[before]
        if address:
            self._address_of[watcher.id] = address
            self._of_address[address] += 1

    def count_of(self, address: str) -> int:
        """Return the number of subscriptions of an address."""
        return self._of_address[address]

    async def way_to(self, watcher: Watcher) -> Flow:
        """Return the flow to a watcher, over a new connection if necessary.

        Raises:
            SipUnreachable: its connection is closed, and cannot be opened again, or only to another address.
        """
        if not watcher.flow.is_closed:
            return watcher.flow
        dialog = watcher.state.dialog
        try:
            target = parse_name_addr(dialog.routes[0] if dialog.routes else f"<{dialog.remote_target}>").uri
        except MalformedMessage:
            raise SipUnreachable("The watcher's Contact is not valid.") from None
        host = target.host.strip("[]")
        if host != watcher.flow.peer[0] or watcher.flow.protocol != "tcp":
            raise SipUnreachable("The watcher's connection is closed.")
        watcher.flow = await self.agent.transport.flow_to("tcp", host, target.port or 5060)
        return watcher.flow

    # ---- SUBSCRIBE ------------------------------------------------------------------------------------------------------

    def _subscribed(self, incoming: Incoming) -> None:
        event = event_package(incoming.request)
        if event not in self._events:
            incoming.respond(489, "Bad Event", ("Allow-Events", ", ".join(sorted(self._events))))
            return
        if incoming.request.headers.size > self.limits.header_chars:
            incoming.respond(513, "Message Too Large")
            return
        seconds = wanted_s(incoming.request, self.limits)
        if seconds is None:
            incoming.respond(423, "Interval Too Brief", ("Min-Expires", str(self.limits.shortest_s)))
        elif address(incoming.request.headers, "to").tag:
            self._again(incoming, seconds)
        else:
            self._first(incoming, event, seconds)

    def _again(self, incoming: Incoming, seconds: int) -> None:
        watcher = self._watchers.get(dialog_of(incoming.request))
        if watcher is None or watcher.is_over:
            incoming.respond(481, "Subscription Does Not Exist")
        elif incoming.flow != watcher.flow and (refused := self.rules.admit_again(incoming)) is not None:
            incoming.respond(refused[0], refused[1], *refused[2])
        elif not watcher.state.dialog.in_order(incoming.request):
            incoming.respond(500, "Out Of Order")
        else:
            self._came_from(watcher, incoming.flow.peer[0])
            watcher.refreshed(incoming, asyncio.get_running_loop().time() + seconds)
            self._accept(incoming, seconds, watcher.uri)

    def _first(self, incoming: Incoming, event: str, seconds: int) -> None:
        refused = self.rules.admit(incoming) or self._refused(incoming, event)
        if refused is not None:
            incoming.respond(refused[0], refused[1], *refused[2])
            return
        try:
            dialog = Dialog.of_request(incoming.request)
        except MalformedMessage as error:
            incoming.respond(400, str(error).rstrip("."))
            return
        dialog.local_tag = incoming.tag
        self._accept(incoming, seconds, incoming.request.uri)
        watcher = Watcher(self, incoming, dialog, asyncio.get_running_loop().time() + seconds)
        self._watchers[watcher.id] = watcher
        self._came_from(watcher, incoming.flow.peer[0])

    def _refused(self, incoming: Incoming, event: str) -> Refusal | None:
        if not accepts(incoming.request, self._events[event]):
            return 406, "Not Acceptable", (("Accept", self._events[event]),)
        of_address = self._of_address[incoming.flow.peer[0]]
        if len(self._watchers) >= self.limits.watchers or of_address >= self.limits.watchers_of_an_address:
            return 503, "Too Many Subscriptions", (("Retry-After", "60"),)
        return None

    def _accept(self, incoming: Incoming, seconds: int, uri: str) -> None:
        is_list = supports_lists(incoming.request) and self.rules.is_list(uri)
        lists = (("Require", "eventlist"),) if is_list else ()
        contact = ("Contact", self.agent.contact(incoming.flow))
        incoming.respond(200, "OK", ("Expires", str(seconds)), contact, *lists)
