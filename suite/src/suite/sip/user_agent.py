"""The user agent: sockets, transactions and timers together. `request` sends a request; received requests go to handlers."""

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
"""Takes a request. It responds at once or later, and must not block."""
_SIP_PORT: Final = 5060
_OUR_BRANCH: Final = re.compile(rb"(?i:branch)\s*=\s*(z9hG4bK[0-9a-f]{32})")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAgentSettings:
    """Names and limits of a user agent."""

    name: str = "presence-suite"
    """The value of User-Agent and Server."""
    contact_user: str = "presence"
    """The user of our Contact."""
    timers: Timers = field(default_factory=Timers)
    limits: TransportLimits = field(default_factory=TransportLimits)
    most_transactions: int = 50_000
    """Of clients and of servers, each. A transaction takes about 2 kB; on UDP it is kept for 32 s."""


@dataclass(slots=True)
class _Pending:
    future: asyncio.Future[SipResponse]
    flow: Flow
    method: str


class UserAgent:
    """An async context manager. Leaving it closes all sockets; waiting requests, and later ones, raise SipUnreachable."""

    def __init__(self, settings: UserAgentSettings | None = None) -> None:
        self.settings = settings or UserAgentSettings()
        self.transport = SipTransport(self, self.settings.limits)
        most = self.settings.most_transactions
        self.transactions = Transactions(self.settings.timers, most_client=most, most_server=most)
        self._handlers: dict[str, Handler] = {"OPTIONS": self._options}
        self._closings: list[Callable[[Flow], None]] = []
        self._pending: dict[str, _Pending] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._merged = MergedRequests(self.settings.timers.timeout)
        self._tag = new_tag()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(SipUnreachable("The user agent is closed."))
        await self.transport.close()

    # ---- public ---------------------------------------------------------------------------------------------------------

    async def listen(
        self, protocol: SipProtocol, host: str, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> tuple[str, int]:
        """Listen for requests, and return the address. TLS needs `tls`.

        Raises:
            OSError: the address cannot be used.
        """
        return await self.transport.listen(protocol, host, port, tls)

    def handle(self, method: str, handler: Handler) -> None:
        """Set the handler for a method. Requests with other methods are answered 405."""
        self._handlers[method] = handler

    def on_closed(self, callback: Callable[[Flow], None]) -> None:
        """Add a callback for closed connections."""
        self._closings.append(callback)

    @property
    def allowed(self) -> str:
        """The value of Allow."""
        return ", ".join(sorted(self._handlers))

    async def request(self, make: Callable[[], SipRequest], server: SipServer) -> tuple[SipResponse, Flow]:
        """Send a request to a server, and return its final response, of any status, and the flow. Challenges are answered.

        `make` is called for each try, because each needs its own CSeq. A large request goes over TCP. If an address of the
        server does not answer, has no connection or answers 503, the next one is tried (RFC 3263 4.3); they share the 32 s.

        Raises:
            SipUnreachable: there is no connection, or it broke.
            SipTimeout: there was no answer in 32 s.
            SipDenied: the server refuses the login.
        """
        tries = 0
        while True:
            tries += 1
            request = server.digest.prepare(make())
            response, flow = await self._request_targets(request, server)
            if response.status not in (401, 407):
                return response, flow
            server.digest.challenged(response, request, tries)

    async def transact(self, request: SipRequest, flow: Flow) -> SipResponse:
        """Send a request over a flow once, and return its final response. Via, Contact and User-Agent are added.

        Raises:
            SipUnreachable: the connection is closed.
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
            raise SipUnreachable("Too many requests wait for a response.") from None
        self._pending[branch] = _Pending(future, flow, request.method)
        try:
            self._act(actions)
            return await future
        finally:
            del self._pending[branch]
            if not future.done() or future.cancelled() or future.exception() is not None:
                self.transactions.abandon(branch, request.method)

    def contact(self, flow: Flow) -> str:
        """Return our Contact for a flow: its local address, so that requests come back over it."""
        where = host_port(*flow.local)
        transport = "" if flow.protocol == "udp" else f";transport={flow.protocol}"
        return f"<sip:{self.settings.contact_user}@{where}{transport}>"

    # ---- used by the transport ------------------------------------------------------------------------------------------

    def received(self, message: SipMessage, flow: Flow) -> None:
        """Take a message from a flow."""
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
        """Return whether a datagram may be a response to one of our requests: its branch is one of theirs."""
        found = _OUR_BRANCH.search(data)
        waited_for = found is not None and found[1].decode() in self._pending
        self.transactions.dropped_responses += not waited_for
        return waited_for

    def unreadable(self, error: MalformedMessage, flow: Flow) -> None:
        """Count data that is not a message, and answer it if its headers could be parsed."""
        self.transport.counts["unreadable"] += 1
        if isinstance(error, UnreadableBody) and error.request is not None and error.request.method != "ACK":
            try:
                request = stamped(error.request, *flow.peer)
                self._way_back(request, flow).send(self._reply(request, error.status, "Bad Request").to_bytes())
            except MalformedMessage:
                return

    def closed(self, flow: Flow) -> None:
        """Fail the requests that wait for a response over a closed connection."""
        for pending in self._pending.values():
            if pending.flow == flow and not pending.future.done():
                pending.future.set_exception(SipUnreachable("The server closed the connection."))
        for callback in self._closings:
            callback(flow)

    # ---- inside ---------------------------------------------------------------------------------------------------------

    async def _request_targets(self, request: SipRequest, server: SipServer) -> tuple[SipResponse, Flow]:
        """Send a request to the targets of a server in turn, until one answers with another status than 503."""
        targets = await server.targets()
        self.transport.trusted.update(each.host for each in targets)
        ends_at = self._loop.time() + self.settings.timers.timeout
        refused: tuple[SipResponse, Flow] | None = None
        failure: SipError = SipUnreachable(f"{server.host} has no address.")
        for left, target in zip(range(len(targets), 0, -1), targets, strict=True):
            # A single target has the whole time of its transaction, after connecting.
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
            with suppress(SipUnreachable):  # otherwise fragmented over UDP (RFC 3261 18.1.1)
                return await flow_to("tcp", target.host, target.port)
        name = server.tls_name or server.host
        return await flow_to(server.protocol, target.host, target.port, tls=server.tls, tls_name=name)

    @staticmethod
    def _way_back(request: SipRequest, flow: Flow) -> Flow:
        """Return the flow of a response: to the source port with `rport` (RFC 3581), otherwise to the port of the Via."""
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
            elif pending := self._pending.get(action.branch):
                self._answered(action, pending)
        self._set_timer()

    @staticmethod
    def _answered(action: Answered | TimedOut, pending: _Pending) -> None:
        if pending.future.done():
            return
        if isinstance(action, TimedOut):
            pending.future.set_exception(SipTimeout("The server did not answer."))
        elif action.response.status >= 200:
            pending.future.set_result(action.response)

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
            # An error of one request must not close the connection, which others share.
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
                return  # that timer sets the next one
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_timer) if due is not None else None

    def _on_timer(self) -> None:
        self._timer = None
        self._act(self.transactions.expire(self._loop.time()))
