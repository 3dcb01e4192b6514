"""The user agent: sockets, transactions and time put together. Requests go out by `request`; what comes in goes to handlers."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self, cast

from suite.sip.dialogs import new_tag
from suite.sip.errors import MalformedMessage, SipError, SipTimeout, SipUnreachable
from suite.sip.flows import DatagramFlow, Flow, SipProtocol, TransportLimits
from suite.sip.headers import Headers
from suite.sip.incoming import Incoming, MergedRequests, refusal
from suite.sip.message import SipMessage, SipRequest, SipResponse, UnreadableBody
from suite.sip.replies import reply, stamped
from suite.sip.servers import SipServer
from suite.sip.srv import SipTarget
from suite.sip.transactions import (
    BRANCH_COOKIE,
    Action,
    Answered,
    Arrived,
    TimedOut,
    Timers,
    Transactions,
    Transmit,
)
from suite.sip.transport import DATAGRAM_BYTES, SipTransport
from suite.sip.uris import first_via, host_port

Handler = Callable[[Incoming], None]
"""Takes a request. It answers at once or later, and must not wait."""
_SIP_PORT: Final = 5060
_OUR_BRANCH: Final = re.compile(rb"(?i:branch)\s*=\s*(z9hG4bK[0-9a-f]{32})")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAgentSettings:
    """A user agent's words for itself, and its bounds."""

    name: str = "presence-suite"
    """User-Agent and Server."""
    contact_user: str = "presence"
    """The user of our Contact."""
    timers: Timers = field(default_factory=Timers)
    limits: TransportLimits = field(default_factory=TransportLimits)
    most_transactions: int = 50_000
    """Of each kind, theirs and ours. One takes about 2 kB; on UDP it is kept for 32 s."""


@dataclass(slots=True)
class _Asking:
    future: asyncio.Future[SipResponse]
    flow: Flow
    method: str


class UserAgent:
    """An async context manager. Leaving it closes all sockets, and ends requests that wait with SipUnreachable, and later ones too."""

    def __init__(self, settings: UserAgentSettings | None = None) -> None:
        self.settings = settings or UserAgentSettings()
        self.transport = SipTransport(self, self.settings.limits)
        most = self.settings.most_transactions
        self.transactions = Transactions(self.settings.timers, most_client=most, most_server=most)
        self._handlers: dict[str, Handler] = {"OPTIONS": self._options}
        self._closings: list[Callable[[Flow], None]] = []
        self._asking: dict[str, _Asking] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._merged = MergedRequests(self.settings.timers.timeout)
        self._tag = new_tag()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for asking in self._asking.values():
            if not asking.future.done():
                asking.future.set_exception(SipUnreachable("The user agent is closed."))
        await self.transport.close()

    # ---- what others use ------------------------------------------------------------------------------------------------

    async def listen(
        self, protocol: SipProtocol, host: str, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen for requests, and return the address. `tls` is needed for TLS.

        Raises:
            OSError: the address cannot be had.
        """
        return await self.transport.listen(protocol, host, port, tls)

    def handle(self, method: str, handler: Handler) -> None:
        """Give requests with this method to a handler. Others are answered 405."""
        self._handlers[method] = handler

    def on_closed(self, tell: Callable[[Flow], None]) -> None:
        """Tell of connections that are gone."""
        self._closings.append(tell)

    @property
    def allowed(self) -> str:
        """The value of Allow."""
        return ", ".join(sorted(self._handlers))

    async def request(self, make: Callable[[], SipRequest], server: SipServer) -> tuple[SipResponse, Flow]:
        """Send a request to a server, and return its final response, of whatever status, and the flow. Challenges are answered.

        `make` is called for each try, because each has a CSeq of its own. A large request goes over TCP. A server with
        several addresses is asked at the next one after no answer, no connection or 503 (RFC 3263 4.3); they share the 32 s.

        Raises:
            SipUnreachable: there is no connection, or it broke.
            SipTimeout: there was no answer in 32 s.
            SipDenied: the login is not taken.
        """
        tries = 0
        while True:
            tries += 1
            request = server.digest.prepare(make())
            response, flow = await self._ask(request, server)
            if response.status not in (401, 407):
                return response, flow
            server.digest.challenged(response, request, tries)

    async def transact(self, request: SipRequest, flow: Flow) -> SipResponse:
        """Send a request over a flow once, and return its final response. Via, Contact and User-Agent are put in.

        Raises:
            SipUnreachable: the connection is gone.
            SipTimeout: there was no answer in 32 s.
        """
        if flow.is_closed or self.transport.is_closed:
            raise SipUnreachable("The connection is closed.")
        branch = BRANCH_COOKIE + secrets.token_hex(16)
        own = (("Via", f"SIP/2.0/{flow.protocol.upper()} {host_port(*flow.local)};branch={branch};rport"),)
        ours = (("Contact", self.contact(flow)), ("User-Agent", self.settings.name))
        sent = request.with_headers(Headers(Headers.of(*own).fields + request.headers.plus(*ours).fields))
        future: asyncio.Future[SipResponse] = self._loop.create_future()
        try:
            actions = self.transactions.send(sent, flow, reliable=flow.reliable, now=self._loop.time())
        except OverflowError:
            raise SipUnreachable("Too many requests of ours wait for their answers.") from None
        self._asking[branch] = _Asking(future, flow, request.method)
        try:
            self._act(actions)
            return await future
        finally:
            del self._asking[branch]
            if not future.done() or future.cancelled() or future.exception() is not None:
                self.transactions.abandon(branch, request.method)

    def contact(self, flow: Flow) -> str:
        """Return our Contact over a flow: its own address, so that requests come back over it."""
        where = host_port(*flow.local)
        transport = "" if flow.protocol == "udp" else f";transport={flow.protocol}"
        return f"<sip:{self.settings.contact_user}@{where}{transport}>"

    # ---- what the transport tells ---------------------------------------------------------------------------------------

    def received(self, message: SipMessage, flow: Flow) -> None:
        """Take a message."""
        now = self._loop.time()
        try:
            if isinstance(message, SipResponse):
                self._act(self.transactions.receive_response(message, now))
            else:
                request = stamped(message, *flow.peer)
                back = self._way_back(request, flow)
                self._act(self.transactions.receive_request(request, back, reliable=flow.reliable, now=now))
        except MalformedMessage as error:
            self.unreadable(error, flow)

    def expects(self, data: bytes) -> bool:
        """Return whether a datagram may be a response to a request of ours: it has a branch that we wait for."""
        found = _OUR_BRANCH.search(data)
        waited_for = found is not None and found[1].decode() in self._asking
        self.transactions.dropped_responses += not waited_for
        return waited_for

    def unreadable(self, error: MalformedMessage, flow: Flow) -> None:
        """Count what cannot be read, and answer it if enough of it could be."""
        self.transport.counts["unreadable"] += 1
        if isinstance(error, UnreadableBody) and error.request is not None and error.request.method != "ACK":
            try:
                request = stamped(error.request, *flow.peer)
                self._way_back(request, flow).send(self._reply(request, error.status, "Bad Request").to_bytes())
            except MalformedMessage:
                return

    def closed(self, flow: Flow) -> None:
        """End requests that wait for an answer over a connection."""
        for asking in self._asking.values():
            if asking.flow == flow and not asking.future.done():
                asking.future.set_exception(SipUnreachable("The server closed the connection."))
        for tell in self._closings:
            tell(flow)

    # ---- inside ---------------------------------------------------------------------------------------------------------

    async def _ask(self, request: SipRequest, server: SipServer) -> tuple[SipResponse, Flow]:
        """Send a request to the targets of a server, one after the other, until one answers with anything but 503."""
        targets = await server.targets()
        self.transport.trusted.update(each.host for each in targets)
        ends_at = self._loop.time() + self.settings.timers.timeout
        refused: tuple[SipResponse, Flow] | None = None
        failure: SipError = SipUnreachable(f"{server.host} has no address.")
        for left, target in zip(range(len(targets), 0, -1), targets, strict=True):
            # The only target has as long as its transaction, and connecting beside it.
            share_s = (ends_at - self._loop.time()) / left if len(targets) > 1 else None
            try:
                async with asyncio.timeout(share_s):
                    flow = await self._flow_to(server, target, request)
                    response = await self.transact(request, flow)
            except TimeoutError:
                failure = SipTimeout(
                    f"The server did not answer at {target} within its share of the time, {share_s:g} s."
                )
            except (SipUnreachable, SipTimeout) as error:
                failure = error
            else:
                if response.status != 503:
                    server.answered(target)
                    return response, flow
                refused = response, flow
            server.failed(target)
        if refused is not None:
            return refused
        raise failure

    async def _flow_to(self, server: SipServer, target: SipTarget, request: SipRequest) -> Flow:
        flow_to = self.transport.flow_to
        if server.protocol == "udp" and len(request.to_bytes()) > DATAGRAM_BYTES - 300:
            with suppress(SipUnreachable):  # else in pieces, as RFC 3261 18.1.1 has it
                return await flow_to("tcp", target.host, target.port)
        name = server.tls_name or server.host
        return await flow_to(server.protocol, target.host, target.port, tls=server.tls, tls_name=name)

    @staticmethod
    def _way_back(request: SipRequest, flow: Flow) -> Flow:
        """Return the flow of a response: to the port of the source if it asked for that (RFC 3581), else to that of its Via."""
        via = first_via(request.headers)
        if not isinstance(flow, DatagramFlow) or "rport" in via.parameters:
            return flow
        return DatagramFlow(flow.endpoint, (flow.peer[0], via.port or _SIP_PORT))

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Transmit):
                cast("Flow", action.flow).send(action.data)
            elif isinstance(action, Arrived):
                self._arrived(action)
            elif asking := self._asking.get(action.branch):
                self._answered(action, asking)
        self._set_timer()

    @staticmethod
    def _answered(action: Answered | TimedOut, asking: _Asking) -> None:
        if asking.future.done():
            return
        if isinstance(action, TimedOut):
            asking.future.set_exception(SipTimeout("The server did not answer."))
        elif action.response.status >= 200:
            asking.future.set_result(action.response)

    def _arrived(self, arrived: Arrived) -> None:
        incoming = Incoming(arrived.request, cast("Flow", arrived.flow), arrived.key, self._respond)
        handler = self._handlers.get(arrived.request.method)
        refused = refusal(arrived.request, self.allowed if handler is None else None)
        if refused is None and self._merged.is_merged(arrived.request, arrived.key, self._loop.time()):
            refused = 482, "Loop Detected", ()
        if refused is not None:
            incoming.respond(refused[0], refused[1], *refused[2])
        elif handler is not None:
            self._handled(incoming, handler)

    @staticmethod
    def _handled(incoming: Incoming, handler: Handler) -> None:
        try:
            handler(incoming)
        except Exception:
            # One request fails, not the connection that brings the requests of others too.
            log.exception("A SIP request could not be handled. This is a bug. Report it.")
            incoming.respond(500, "Server Internal Error")

    def _respond(self, key: str, response: SipResponse) -> None:
        self._act(self.transactions.respond(key, response, self._loop.time()))

    def _reply(self, request: SipRequest, status: int, reason: str) -> SipResponse:
        return reply(request, status, reason, ("Server", self.settings.name), to_tag=self._tag)

    def _options(self, incoming: Incoming) -> None:
        incoming.respond(200, "OK", ("Allow", self.allowed), ("Supported", "eventlist"))

    def _set_timer(self) -> None:
        due = self.transactions.next_due()
        if self._timer is not None:
            if due is not None and self._timer.when() <= due and not self._timer.cancelled():
                return  # it looks again when it rings
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._rings) if due is not None else None

    def _rings(self) -> None:
        self._timer = None
        self._act(self.transactions.expire(self._loop.time()))
