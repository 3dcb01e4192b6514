"""Non-INVITE transactions of RFC 3261 (17.1.2, 17.2.2), without I/O: messages and the time are arguments, actions are returned.

    client   send ──► Trying ──1xx──► Proceeding ──2xx-6xx──► Completed ──timer K──► gone
                        │ timer E: again, on UDP │              (absorbs repeated responses, UDP only)
                        └──── timer F, 32 s ─────┴──► TimedOut

    server   request ──► Trying ──respond──► Completed ──timer J──► gone
                        (a repeated request is absorbed)   (a repeated request gets the same response, UDP only)

A response belongs to a client transaction by the branch of its Via and the method of its CSeq; one with another branch is dropped.
A request belongs to a server transaction by branch, sent-by and method, or without RFC 3261's magic cookie by the fields of RFC 2543.
The number and size of transactions are bounded. Above a bound, those that were refused are dropped first, the oldest before others; a
retransmission is then handled as a new request. When there are none, new requests are answered 503 without a transaction.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from suite.sip.errors import MalformedMessage
from suite.sip.message import SipRequest, SipResponse, cseq
from suite.sip.replies import reply
from suite.sip.uris import first_via, host_port

BRANCH_COOKIE: Final = "z9hG4bK"
_ALWAYS_KEPT: Final = 1024
"""Timers of ended transactions that may stay in the heap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Timers of RFC 3261 (table 4), in seconds."""

    t1: float = 0.5
    """Round trip."""
    t2: float = 4.0
    """Longest pause between two retransmissions."""
    t4: float = 5.0
    """Longest time that a message stays in the network."""

    @property
    def timeout(self) -> float:
        """Timers F, J and N."""
        return 64 * self.t1


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send these bytes over this flow."""

    data: bytes
    flow: Hashable


@dataclass(frozen=True, slots=True)
class Answered:
    """A provisional response to one of our requests, or its final one."""

    branch: str
    response: SipResponse


@dataclass(frozen=True, slots=True)
class TimedOut:
    """One of our requests was not answered in time."""

    branch: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A new request, to be answered by `respond` with this key."""

    key: str
    request: SipRequest
    flow: Hashable


Action = Transmit | Answered | TimedOut | Arrived


@dataclass(slots=True, eq=False)
class _Client:
    data: bytes
    flow: Hashable
    reliable: bool
    ends_at: float
    pause: float
    done: bool = False
    proceeding: bool = False


@dataclass(slots=True, eq=False)
class _Serving:
    flow: Hashable
    reliable: bool
    ends_at: float
    response: bytes | None = None


@dataclass(slots=True)
class Transactions:
    """All transactions of one user agent. A flow is anything hashable that the caller sends over."""

    timers: Timers = field(default_factory=Timers)
    most_client: int = 50_000
    most_server: int = 50_000
    most_kept_bytes: int = 64 * 1024 * 1024
    """Of responses that are kept for retransmitted requests. A response repeats headers of the request, which may have 32 kB."""
    dropped_responses: int = 0
    """Number of responses that match no request."""
    _clients: dict[tuple[str, str], _Client] = field(default_factory=dict)
    _serving: dict[str, _Serving] = field(default_factory=dict)
    _refusals: dict[str, None] = field(default_factory=dict)
    """Keys of requests that were refused, in the order of their answers."""
    kept_bytes: int = 0
    """Of responses that are kept."""
    _due: list[tuple[float, int, tuple[str, str] | str]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        """Return the number of transactions that are kept."""
        return len(self._clients) + len(self._serving)

    def next_due(self) -> float | None:
        """Return when to call `expire`; None for never."""
        return self._due[0][0] if self._due else None

    # ---- client ---------------------------------------------------------------------------------------------------------

    def send(self, request: SipRequest, flow: Hashable, *, reliable: bool, now: float) -> list[Action]:
        """Start a client transaction. The branch in the request's first Via must be unique.

        Raises:
            OverflowError: there are too many client transactions.
        """
        if len(self._clients) >= self.most_client:
            raise OverflowError
        key = (branch_of(request), request.method)
        client = _Client(request.to_bytes(), flow, reliable, now + self.timers.timeout, self.timers.t1)
        self._clients[key] = client
        self._again_at(key, client, now)
        return [Transmit(client.data, flow)]

    def receive_response(self, response: SipResponse, now: float) -> list[Action]:
        """Take a response. Repeated ones, and those that match no request, are dropped."""
        try:
            key = (branch_of(response), cseq(response.headers)[1])
        except MalformedMessage:
            key = ("", "")
        client = self._clients.get(key)
        if client is None:
            self.dropped_responses += 1
            return []
        if client.done:
            return []
        if response.status < 200:
            client.proceeding = True
            return [Answered(key[0], response)]
        client.done = True
        if client.reliable:
            del self._clients[key]
        else:
            self._push(now + self.timers.t4, key)
            client.ends_at = now + self.timers.t4
        return [Answered(key[0], response)]

    def abandon(self, branch: str, method: str) -> None:
        """Drop a client transaction: its flow is closed, or nobody waits for the response."""
        self._clients.pop((branch, method), None)

    def _again_at(self, key: tuple[str, str], client: _Client, now: float) -> None:
        at = client.ends_at if client.reliable else min(now + client.pause, client.ends_at)
        self._push(at, key)

    # ---- server ---------------------------------------------------------------------------------------------------------

    def receive_request(self, request: SipRequest, flow: Hashable, *, reliable: bool, now: float) -> list[Action]:
        """Take a request. A retransmission is absorbed, or answered with the same response.

        Raises:
            MalformedMessage: its Via is not valid, and it cannot be answered.
        """
        key = server_key(request)
        serving = self._serving.get(key)
        if serving is not None:
            return [Transmit(serving.response, flow)] if serving.response is not None else []
        if request.method == "ACK":
            return []
        if not self._has_room():
            return [Transmit(reply(request, 503, "Too Many Requests", ("Retry-After", "10")).to_bytes(), flow)]
        # A request that is never answered expires too.
        self._serving[key] = _Serving(flow, reliable, now + 2 * self.timers.timeout)
        self._push(now + 2 * self.timers.timeout, key)
        return [Arrived(key, request, flow)]

    def respond(self, key: str, response: SipResponse, now: float) -> list[Action]:
        """Send the final response to a request. Do nothing if its transaction has ended or is answered."""
        serving = self._serving.get(key)
        if serving is None or serving.response is not None:
            return []
        serving.response = response.to_bytes()
        if serving.reliable:
            del self._serving[key]
        else:
            self.kept_bytes += len(serving.response)
            if response.status >= 300:
                self._refusals[key] = None
            serving.ends_at = now + self.timers.timeout
            self._push(serving.ends_at, key)
        return [Transmit(serving.response, serving.flow)]

    def _has_room(self) -> bool:
        while len(self._serving) >= self.most_server or self.kept_bytes >= self.most_kept_bytes:
            if not self._refusals:
                return False
            self._forget(next(iter(self._refusals)))
        return True

    def _forget(self, key: str) -> None:
        self.kept_bytes -= len(self._serving.pop(key).response or b"")
        self._refusals.pop(key, None)

    # ---- time -----------------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> list[Action]:
        """Run the timers that are due."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now:
            _, _, key = heapq.heappop(self._due)
            if isinstance(key, tuple):
                actions += self._client_due(key, now)
            elif (serving := self._serving.get(key)) is not None and serving.ends_at <= now:
                self._forget(key)
        return actions

    def _client_due(self, key: tuple[str, str], now: float) -> list[Action]:
        client = self._clients.get(key)
        if client is None:
            return []
        if now >= client.ends_at:
            del self._clients[key]
            return [] if client.done else [TimedOut(key[0])]
        if client.done or client.reliable:
            return []
        client.pause = self.timers.t2 if client.proceeding else min(2 * client.pause, self.timers.t2)
        self._again_at(key, client, now)
        return [Transmit(client.data, client.flow)]

    def _push(self, at: float, key: tuple[str, str] | str) -> None:
        heapq.heappush(self._due, (at, next(self._numbers), key))
        if len(self._due) > 4 * len(self) + _ALWAYS_KEPT:
            self._drop_stale_timers()

    def _drop_stale_timers(self) -> None:
        self._due = [each for each in self._due if each[2] in self._clients or each[2] in self._serving]
        heapq.heapify(self._due)


def branch_of(message: SipRequest | SipResponse) -> str:
    """Return the branch of the first Via, or "".

    Raises:
        MalformedMessage: it is not valid.
    """
    return first_via(message.headers).parameters.get("branch", "")


def server_key(request: SipRequest) -> str:
    """Return a key that is the same for a request and its retransmissions, and different for any other (RFC 3261 17.2.3)."""
    via = first_via(request.headers)
    branch = via.parameters.get("branch", "")
    method = "INVITE" if request.method == "ACK" else request.method
    said = [branch, host_port(via.host, via.port), method]
    if not branch.startswith(BRANCH_COOKIE):
        said += [request.headers.first(name) or "" for name in ("from", "to", "call-id", "via")]
        said += [request.uri, str(cseq(request.headers)[0])]
    # Hashed, because the branch of a peer may have 8 kB.
    return blake2b("\n".join(said).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
